//! Creates, repairs and drops the database objects of one tenant. Each operation checks first, so it is idempotent.

use super::{
    Template,
    servers::ServerAdmin,
    step_error::{Result, StepError},
};
use identity::Secret;
use registry::{DEDICATED_SCHEMA, TenantId, ready::Vacancy, tenants::Placement};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::time::Duration;
use tenant::{
    contents::{Contents, contents},
    schema,
};
use tokio::time::timeout;

/// Timeout for inspecting a ready database; the signup then tries another.
const INSPECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// A tenant's login role, with the verifier of its password.
pub struct Role {
    name: String,
    verifier: String,
    connection_limit: i32,
}

impl ServerAdmin {
    /// Creates a dedicated database with the current tables, and its role. Returns false if the database existed.
    pub async fn create_database(&self, database: &str, role: &Role) -> Result<bool> {
        // Acquired before the connection, so that waiting holds none.
        let _permit = self.clone_permits.acquire().await;
        let mut connection = self.maintenance.acquire().await.map_err(StepError::from_server)?;
        let cloned = match exists(&mut connection, database).await? {
            true => false,
            false => self.clone_template(&mut connection, database).await?,
        };
        let rights = format!("{}{}", role.rights(database), self.mark_sql(&format!("database {database}")));
        connection.execute(AssertSqlSafe(rights)).await.map_err(StepError::from_server)?;
        drop(connection);
        if cloned {
            // Also warms the catalog cache of the new database.
            let mut inside = self.connect(database).await.map_err(StepError::from_server)?;
            schema::grant_usage(&mut inside, DEDICATED_SCHEMA, &role.name)
                .await
                .map_err(StepError::from_server)?;
            inside.close().await.map_err(StepError::from_server)?;
        }
        Ok(cloned)
    }

    /// Returns the statement that marks an object with this installation, as several may share a server.
    fn mark_sql(&self, what: &str) -> String {
        self.mark.as_ref().map(|mark| format!("comment on {what} is '{mark}';")).unwrap_or_default()
    }

    async fn clone_template(&self, connection: &mut PgConnection, database: &str) -> Result<bool> {
        Template::ensure(self).await.map_err(|error| {
            StepError::transient("The template of new databases could not be created.", error)
        })?;
        let clone =
            format!("create database {database} template {} strategy wal_log", Template::name(self.owner()));
        match connection.execute(AssertSqlSafe(clone)).await {
            Ok(_) => Ok(true),
            // An earlier attempt may have finished after its worker died.
            Err(error) if is_code(&error, "42P04") => Ok(false),
            Err(error) => Err(StepError::from_server(error)),
        }
    }

    /// Migrates a dedicated database and grants its role usage of the schema.
    pub async fn update_database(&self, database: &str, role: &str) -> Result {
        let _permit = self.clone_permits.acquire().await;
        let mut inside = self.connect(database).await.map_err(StepError::from_server)?;
        let mut tx = inside.begin().await.map_err(StepError::from_server)?;
        schema::update(&mut tx, DEDICATED_SCHEMA, Template::TENANTS).await?;
        schema::grant_usage(&mut tx, DEDICATED_SCHEMA, role).await.map_err(StepError::from_server)?;
        tx.commit().await.map_err(StepError::from_server)?;
        inside.close().await.map_err(StepError::from_server)?;
        self.harden(database).await.map_err(StepError::from_server)
    }

    /// Restores a tenant's role and its rights, whatever state they are in.
    pub async fn repair_role(&self, placement: &Placement, role: &Role, dedicated: bool) -> Result {
        let (database, name) = (&placement.database, &role.name);
        let mut connection = self.maintenance.acquire().await.map_err(StepError::from_server)?;
        let mut tx = connection.begin().await.map_err(StepError::from_server)?;
        // Serialised: concurrent updates of one role fail.
        let rights = match dedicated {
            true => role.rights(database),
            false => role.rights_in_schema(database, &placement.schema),
        };
        let repair = format!(
            "select pg_advisory_xact_lock(hashtextextended('vestry repair {name}', 0));
             {};
             alter role {name} reset all;
             alter role {name} in database {database} reset all;
             {rights}",
            role.create_sql(),
        );
        tx.execute(AssertSqlSafe(repair)).await.map_err(StepError::from_server)?;
        tx.commit().await.map_err(StepError::from_server)?;
        drop(connection);
        match dedicated {
            true => self.update_database(database, name).await,
            false => self.update_schema(placement, name).await,
        }
    }

    /// Creates the database of schema-isolated tenants, and the group role that may connect to it. A grant for each
    /// tenant would update one catalog row, which concurrent signups cannot do.
    pub async fn create_shared_database(&self, database: &str) -> Result {
        let group = connect_group(database);
        let mut connection = self.maintenance.acquire().await.map_err(StepError::from_server)?;
        let foreign: Option<bool> = sqlx::query_scalar(
            "select pg_get_userbyid(datdba) <> current_user from pg_database where datname = $1",
        )
        .bind(database)
        .fetch_optional(&mut *connection)
        .await
        .map_err(StepError::from_server)?;
        if foreign == Some(true) {
            return Err(StepError::permanent(
                "The database server is used by another installation. Its operator has to correct that.",
                format!("the database {database} belongs to another role: give the registry another name"),
            ));
        }
        // The grant is the last statement below.
        let open: bool = sqlx::query_scalar(
            "select exists (select from pg_database d, aclexplode(d.datacl) acl
                             where d.datname = $1 and acl.grantee = to_regrole($2)::oid)",
        )
        .bind(database)
        .bind(&group)
        .fetch_one(&mut *connection)
        .await
        .map_err(StepError::from_server)?;
        if open {
            return Ok(());
        }
        let create = format!("create database {database} template template0 encoding 'UTF8'");
        match connection.execute(AssertSqlSafe(create)).await {
            Err(error) if !is_code(&error, "42P04") && !is_code(&error, "23505") => {
                return Err(StepError::from_server(error));
            }
            _ => {}
        }
        let close = format!("revoke all on database {database} from public");
        connection.execute(AssertSqlSafe(close)).await.map_err(StepError::from_server)?;
        self.shared(database)
            .execute("revoke all on schema public from public")
            .await
            .map_err(StepError::from_server)?;
        self.harden(database).await.map_err(StepError::from_server)?;
        let open = format!(
            "do $$ begin create role {group} nologin; exception when duplicate_object then end $$;
             grant connect on database {database} to {group}"
        );
        connection.execute(AssertSqlSafe(open)).await.map_err(StepError::from_server)?;
        Ok(())
    }

    /// Creates a schema-isolated tenant's tables, role and rights in one transaction.
    pub async fn create_schema(&self, placement: &Placement, role: &Role) -> Result {
        let (database, schema, name) = (&placement.database, &placement.schema, &role.name);
        let mut connection = self.shared(database).acquire().await.map_err(StepError::from_server)?;
        let mut tx = connection.begin().await.map_err(StepError::from_server)?;
        tx.execute(AssertSqlSafe(role.rights_in_schema(database, schema)))
            .await
            .map_err(StepError::from_server)?;
        schema::update(&mut tx, schema, name).await?;
        schema::grant_usage(&mut tx, schema, name).await.map_err(StepError::from_server)?;
        tx.commit().await.map_err(StepError::from_server)
    }

    /// Migrates a tenant's schema. Leaves its role alone: concurrent updates of one role fail.
    pub async fn update_schema(&self, placement: &Placement, role: &str) -> Result {
        let mut connection =
            self.shared(&placement.database).acquire().await.map_err(StepError::from_server)?;
        let mut tx = connection.begin().await.map_err(StepError::from_server)?;
        schema::update(&mut tx, &placement.schema, role).await?;
        schema::grant_usage(&mut tx, &placement.schema, role).await.map_err(StepError::from_server)?;
        tx.commit().await.map_err(StepError::from_server)
    }

    /// Returns what a dedicated database holds; `None` if it does not exist.
    pub async fn database_contents(&self, database: &str) -> Result<Option<Contents>> {
        match self.connect(database).await {
            Ok(mut inside) => {
                let found = contents(&mut inside, None).await.map_err(StepError::from_server)?;
                inside.close().await.map_err(StepError::from_server)?;
                Ok(Some(found))
            }
            Err(error) if is_code(&error, "3D000") => Ok(None),
            Err(error) => Err(StepError::from_server(error)),
        }
    }

    /// Returns what a tenant's schema holds; `None` if it does not exist.
    pub async fn schema_contents(&self, database: &str, schema: &str) -> Result<Option<Contents>> {
        let mut connection = match self.shared(database).acquire().await {
            Ok(connection) => connection,
            Err(error) if is_code(&error, "3D000") => return Ok(None),
            Err(error) => return Err(StepError::from_server(error)),
        };
        let exists: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
            .bind(schema)
            .fetch_one(&mut *connection)
            .await
            .map_err(StepError::from_server)?;
        match exists {
            false => Ok(None),
            true => contents(&mut connection, Some(schema)).await.map(Some).map_err(StepError::from_server),
        }
    }

    /// Returns whether a signup may take a ready database.
    pub async fn vacancy(&self, id: &TenantId) -> Vacancy {
        let name = id.pg_identifier();
        let inspect = async {
            let found = self.database_contents(&name).await?;
            let role = sqlx::query_scalar::<_, bool>("select to_regrole($1) is not null").bind(&name);
            let role = role.fetch_one(&self.maintenance).await.map_err(StepError::from_server)?;
            Ok::<_, StepError>(match found {
                Some(Contents::Empty) if role => Vacancy::Vacant,
                Some(Contents::Empty) | None => Vacancy::Missing,
                Some(Contents::Initial | Contents::Data) => Vacancy::Occupied,
            })
        };
        match timeout(INSPECTION_TIMEOUT, inspect).await {
            Ok(Ok(vacancy)) => vacancy,
            Ok(Err(error)) => {
                tracing::warn!(database = name, error = error.cause, "cannot inspect a ready database");
                Vacancy::Unknown
            }
            Err(_) => Vacancy::Unknown,
        }
    }

    /// Drops a database and its role. The role goes last, so that a repeated call finds what is left.
    pub async fn drop_database(&self, database: &str, role: &str) -> Result {
        for statement in [
            format!("drop database if exists {database} with (force)"),
            format!("drop role if exists {role}"),
        ] {
            self.maintenance.execute(AssertSqlSafe(statement)).await.map_err(StepError::from_server)?;
        }
        Ok(())
    }

    pub async fn drop_schema(&self, placement: &Placement, role: &str) -> Result {
        let mut connection = self.maintenance.acquire().await.map_err(StepError::from_server)?;
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
            shared.execute(AssertSqlSafe(drop)).await.map_err(StepError::from_server)?;
        }
        let drop = format!("drop role if exists {role}");
        connection.execute(AssertSqlSafe(drop)).await.map_err(StepError::from_server)?;
        Ok(())
    }
}

impl Role {
    pub fn new(id: &TenantId, version: i32, secret: &Secret, connection_limit: i32) -> Self {
        let verifier = secret.tenant_roles().verifier(id.as_str(), version);
        Self { name: id.pg_identifier(), verifier, connection_limit }
    }

    /// Returns the statements that create the role with access to its dedicated database. The settings are for psql:
    /// Vestry's connections override them.
    fn rights(&self, database: &str) -> String {
        let name = &self.name;
        format!(
            "{};
             grant {} to {name};
             alter role {name} in database {database} set search_path = {};
             revoke all on database {database} from public;
             grant connect on database {database} to {name};",
            self.create_sql(),
            Template::TENANTS,
            DEDICATED_SCHEMA,
        )
    }

    /// Returns the statements that create the role with access to its schema in a shared database.
    fn rights_in_schema(&self, database: &str, schema: &str) -> String {
        let name = &self.name;
        format!(
            "{};
             grant {} to {name};
             alter role {name} in database {database} set search_path = {schema};",
            self.create_sql(),
            connect_group(database),
        )
    }

    fn create_sql(&self) -> String {
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

/// Returns the name of the group role that may connect to a shared database, and nothing else.
fn connect_group(shared_database: &str) -> String {
    format!("{shared_database}_tenants")
}

async fn exists(connection: &mut PgConnection, database: &str) -> Result<bool> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
        .map_err(StepError::from_server)
}

fn is_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|db| db.code()).is_some_and(|found| found == code)
}
