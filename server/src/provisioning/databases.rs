//! What is made and removed on a database server for one tenant. Everything is check-then-act:
//! whatever an earlier attempt has done is found and left alone.

use super::{Template, failure::Failure, servers::Administered, steps::Result};
use identity::Secret;
use registry::{TenantId, ready::Vacancy, tenants::Placement};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::time::Duration;
use tenant::{
    contents::{Contents, contents},
    schema,
};
use tokio::time::timeout;
use uuid::Uuid;

/// A signup waits this long for a look into a ready database before it takes another.
const INSPECTION: Duration = Duration::from_secs(2);

/// A role that may only log in, and what its password is checked against.
pub struct Role {
    name: String,
    verifier: String,
    connection_limit: i32,
}

impl Administered {
    /// A database of the tenant's own, with the current tables when it is made now, and its role.
    /// Whether it was made now.
    pub async fn make_database(&self, database: &str, role: &Role) -> Result<bool> {
        // Whoever waits for a turn holds no connection meanwhile.
        let _turn = self.turns.acquire().await;
        let mut connection = self.maintenance.acquire().await.map_err(Failure::of_server)?;
        let cloned = match exists(&mut connection, database).await? {
            true => false,
            false => self.clone_template(&mut connection, database).await?,
        };
        let rights = format!("{}{}", role.rights(database), self.mark_of(&format!("database {database}")));
        connection.execute(AssertSqlSafe(rights)).await.map_err(Failure::of_server)?;
        drop(connection);
        if cloned {
            // Whoever enters a database first waits until PostgreSQL has read its catalogs, and keeps what they say for
            // the next.
            let mut inside = self.connect(database).await.map_err(Failure::of_server)?;
            schema::admit(&mut inside, schema::SCHEMA, &role.name).await.map_err(Failure::of_server)?;
            inside.close().await.map_err(Failure::of_server)?;
        }
        Ok(cloned)
    }

    /// Says in PostgreSQL which installation made something, as several may share a server.
    fn mark_of(&self, what: &str) -> String {
        self.mark.as_ref().map(|mark| format!("comment on {what} is '{mark}';")).unwrap_or_default()
    }

    async fn clone_template(&self, connection: &mut PgConnection, database: &str) -> Result<bool> {
        Template::ensure(self)
            .await
            .map_err(|error| Failure::passing("The template of new databases could not be made.", error))?;
        let clone =
            format!("create database {database} template {} strategy wal_log", Template::name(self.owner()));
        match connection.execute(AssertSqlSafe(clone)).await {
            Ok(_) => Ok(true),
            // A server that lost its worker in the middle may still have finished the work.
            Err(error) if is_code(&error, "42P04") => Ok(false),
            Err(error) => Err(Failure::of_server(error)),
        }
    }

    /// Brings a tenant's own database to the current tables, and lets its role in.
    pub async fn update_database(&self, database: &str, role: &str) -> Result {
        let _turn = self.turns.acquire().await;
        let mut inside = self.connect(database).await.map_err(Failure::of_server)?;
        let mut tx = inside.begin().await.map_err(Failure::of_server)?;
        schema::update(&mut tx, schema::SCHEMA, Template::TENANTS).await?;
        schema::admit(&mut tx, schema::SCHEMA, role).await.map_err(Failure::of_server)?;
        tx.commit().await.map_err(Failure::of_server)?;
        inside.close().await.map_err(Failure::of_server)?;
        self.harden(database).await.map_err(Failure::of_server)
    }

    /// Restores a tenant's role, in whatever state it or its database is.
    pub async fn repair_role(&self, placement: &Placement, role: &Role, own_database: bool) -> Result {
        let (database, name) = (&placement.database, &role.name);
        let mut connection = self.maintenance.acquire().await.map_err(Failure::of_server)?;
        let mut tx = connection.begin().await.map_err(Failure::of_server)?;
        // Of two processes that write one role, one fails.
        let rights = match own_database {
            true => role.rights(database),
            false => role.rights_in_schema(database, &placement.schema),
        };
        let repair = format!(
            "select pg_advisory_xact_lock(hashtextextended('vestry repair {name}', 0));
             {};
             alter role {name} reset all;
             alter role {name} in database {database} reset all;
             {rights}",
            role.made(),
        );
        tx.execute(AssertSqlSafe(repair)).await.map_err(Failure::of_server)?;
        tx.commit().await.map_err(Failure::of_server)?;
        drop(connection);
        match own_database {
            true => self.update_database(database, name).await,
            false => self.update_schema(placement, name).await,
        }
    }

    /// The database that tenants with a schema only share, and the role by which they may enter it: letting
    /// each in by name would change one row for all of them, which no two can do at a time.
    pub async fn make_shared_database(&self, database: &str) -> Result {
        let entrance = entrance(database);
        let mut connection = self.maintenance.acquire().await.map_err(Failure::of_server)?;
        let foreign: Option<bool> = sqlx::query_scalar(
            "select pg_get_userbyid(datdba) <> current_user from pg_database where datname = $1",
        )
        .bind(database)
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::of_server)?;
        if foreign == Some(true) {
            return Err(Failure::lasting(
                "The database server is used by another installation. Its operator has to correct that.",
                format!("the database {database} belongs to another role: give the registry another name"),
            ));
        }
        // The last deed of those below.
        let open: bool = sqlx::query_scalar(
            "select exists (select from pg_database d, aclexplode(d.datacl) acl
                             where d.datname = $1 and acl.grantee = to_regrole($2)::oid)",
        )
        .bind(database)
        .bind(&entrance)
        .fetch_one(&mut *connection)
        .await
        .map_err(Failure::of_server)?;
        if open {
            return Ok(());
        }
        let create = format!("create database {database} template template0 encoding 'UTF8'");
        match connection.execute(AssertSqlSafe(create)).await {
            Err(error) if !is_code(&error, "42P04") && !is_code(&error, "23505") => {
                return Err(Failure::of_server(error));
            }
            _ => {}
        }
        let close = format!("revoke all on database {database} from public");
        connection.execute(AssertSqlSafe(close)).await.map_err(Failure::of_server)?;
        self.shared(database)
            .execute("revoke all on schema public from public")
            .await
            .map_err(Failure::of_server)?;
        self.harden(database).await.map_err(Failure::of_server)?;
        let open = format!(
            "do $$ begin create role {entrance} nologin; exception when duplicate_object then end $$;
             grant connect on database {database} to {entrance}"
        );
        connection.execute(AssertSqlSafe(open)).await.map_err(Failure::of_server)?;
        Ok(())
    }

    /// The tables of a tenant that has a schema only, its role, and what that may do: all or nothing.
    pub async fn make_schema(&self, placement: &Placement, role: &Role) -> Result {
        let (database, schema, name) = (&placement.database, &placement.schema, &role.name);
        let mut connection = self.shared(database).acquire().await.map_err(Failure::of_server)?;
        let mut tx = connection.begin().await.map_err(Failure::of_server)?;
        tx.execute(AssertSqlSafe(role.rights_in_schema(database, schema)))
            .await
            .map_err(Failure::of_server)?;
        schema::update(&mut tx, schema, name).await?;
        schema::admit(&mut tx, schema, name).await.map_err(Failure::of_server)?;
        tx.commit().await.map_err(Failure::of_server)
    }

    /// Brings a tenant's schema to the current tables. Its role is left alone: of two who write that, one fails.
    pub async fn update_schema(&self, placement: &Placement, role: &str) -> Result {
        let mut connection = self.shared(&placement.database).acquire().await.map_err(Failure::of_server)?;
        let mut tx = connection.begin().await.map_err(Failure::of_server)?;
        schema::update(&mut tx, &placement.schema, role).await?;
        schema::admit(&mut tx, &placement.schema, role).await.map_err(Failure::of_server)?;
        tx.commit().await.map_err(Failure::of_server)
    }

    /// What a tenant's own database holds; `None` when there is no such database.
    pub async fn database_contents(&self, database: &str) -> Result<Option<Contents>> {
        match self.connect(database).await {
            Ok(mut inside) => {
                let found = contents(&mut inside, None).await.map_err(Failure::of_server)?;
                inside.close().await.map_err(Failure::of_server)?;
                Ok(Some(found))
            }
            Err(error) if is_code(&error, "3D000") => Ok(None),
            Err(error) => Err(Failure::of_server(error)),
        }
    }

    /// The same of a tenant that has a schema only.
    pub async fn schema_contents(&self, database: &str, schema: &str) -> Result<Option<Contents>> {
        let mut connection = match self.shared(database).acquire().await {
            Ok(connection) => connection,
            Err(error) if is_code(&error, "3D000") => return Ok(None),
            Err(error) => return Err(Failure::of_server(error)),
        };
        let there: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
            .bind(schema)
            .fetch_one(&mut *connection)
            .await
            .map_err(Failure::of_server)?;
        match there {
            false => Ok(None),
            true => contents(&mut connection, Some(schema)).await.map(Some).map_err(Failure::of_server),
        }
    }

    /// Whether a ready database may be handed to a church.
    pub async fn vacancy(&self, id: &TenantId) -> Vacancy {
        let name = id.own_name();
        let look = async {
            let found = self.database_contents(&name).await?;
            let role = sqlx::query_scalar::<_, bool>("select to_regrole($1) is not null").bind(&name);
            let role = role.fetch_one(&self.maintenance).await.map_err(Failure::of_server)?;
            Ok::<_, Failure>(match found {
                Some(Contents::Empty) if role => Vacancy::Vacant,
                Some(Contents::Empty) | None => Vacancy::Missing,
                Some(Contents::Initial | Contents::Data) => Vacancy::Occupied,
            })
        };
        match timeout(INSPECTION, look).await {
            Ok(Ok(vacancy)) => vacancy,
            Ok(Err(failure)) => {
                tracing::warn!(
                    database = name,
                    cause = failure.cause,
                    "a ready database could not be looked at"
                );
                Vacancy::Unknown
            }
            Err(_) => Vacancy::Unknown,
        }
    }

    /// `drop role` comes last: until then a repetition finds what is left to do.
    pub async fn drop_database(&self, database: &str, role: &str) -> Result {
        for statement in [
            format!("drop database if exists {database} with (force)"),
            format!("drop role if exists {role}"),
        ] {
            self.maintenance.execute(AssertSqlSafe(statement)).await.map_err(Failure::of_server)?;
        }
        Ok(())
    }

    pub async fn drop_schema(&self, placement: &Placement, role: &str) -> Result {
        let mut connection = self.maintenance.acquire().await.map_err(Failure::of_server)?;
        if exists(&mut connection, &placement.database).await? {
            let drop = format!(
                "drop schema if exists {} cascade;
                 do $$ begin
                     if exists (select from pg_roles where rolname = '{role}') then
                         revoke connect on database {} from {role};
                     end if;
                 end $$",
                placement.schema, placement.database
            );
            let shared = self.shared(&placement.database);
            shared.execute(AssertSqlSafe(drop)).await.map_err(Failure::of_server)?;
        }
        let drop = format!("drop role if exists {role}");
        connection.execute(AssertSqlSafe(drop)).await.map_err(Failure::of_server)?;
        Ok(())
    }
}

/// The comment on what an installation has made.
pub fn installation_mark(id: Uuid) -> String {
    format!("vestry {id}")
}

impl Role {
    pub fn of(id: &TenantId, version: i32, secret: &Secret, connection_limit: i32) -> Self {
        let verifier = secret.tenant_roles().verifier(id.as_str(), version);
        Self { name: id.own_name(), verifier, connection_limit }
    }

    /// The role, and its way into a database of its own. The settings are for people who use psql: Vestry sends its own.
    fn rights(&self, database: &str) -> String {
        let name = &self.name;
        format!(
            "{};
             grant {} to {name};
             alter role {name} in database {database} set search_path = {};
             revoke all on database {database} from public;
             grant connect on database {database} to {name};",
            self.made(),
            Template::TENANTS,
            schema::SCHEMA,
        )
    }

    /// The role, and its way into a database that it shares.
    fn rights_in_schema(&self, database: &str, schema: &str) -> String {
        let name = &self.name;
        format!(
            "{};
             grant {} to {name};
             alter role {name} in database {database} set search_path = {schema};",
            self.made(),
            entrance(database),
        )
    }

    fn made(&self) -> String {
        let Self { name, verifier, connection_limit } = self;
        format!(
            "do $$ begin
                 if not exists (select from pg_roles where rolname = '{name}') then
                     create role {name} login nosuperuser nocreatedb nocreaterole noreplication;
                 end if;
             end $$;
             alter role {name} login connection limit {connection_limit} password '{verifier}';
             alter role {name} set statement_timeout = '30s';
             alter role {name} set idle_in_transaction_session_timeout = '60s';
             do $$ begin
                 -- A superuser has to allow it: `vestry doctor --sql`.
                 alter role {name} set temp_file_limit = '1GB';
             exception when insufficient_privilege then end $$"
        )
    }
}

/// Whoever has this role may enter the database; no more than that.
fn entrance(shared_database: &str) -> String {
    format!("{shared_database}_tenants")
}

async fn exists(connection: &mut PgConnection, database: &str) -> Result<bool> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
        .map_err(Failure::of_server)
}

fn is_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|db| db.code()).is_some_and(|found| found == code)
}
