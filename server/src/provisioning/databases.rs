//! What is made and removed on a database server for one tenant. Everything is check-then-act:
//! whatever an earlier attempt has done is found and left alone.

use super::{Template, failure::Failure, servers::Administered, steps::Result};
use registry::tenants::Placement;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tenant::schema;

/// A role that may only log in, and what its password is checked against.
pub struct Role<'a> {
    pub name: &'a str,
    pub verifier: &'a str,
}

impl Administered {
    /// A database of the tenant's own, with the current tables when it is made now, and its role.
    /// Whether it was made now.
    pub async fn make_database(&self, database: &str, role: Role<'_>) -> Result<bool> {
        let mut connection = self.maintenance.acquire().await.map_err(Failure::of_server)?;
        let cloned = match exists(&mut connection, database).await? {
            true => false,
            false => self.clone_template(&mut connection, database).await?,
        };
        let name = role.name;
        let rights = format!(
            "{};
             grant {} to {name};
             alter role {name} in database {database} set search_path = {};
             revoke all on database {database} from public;
             grant connect on database {database} to {name};",
            role.made(),
            Template::TENANTS,
            schema::SCHEMA,
        );
        connection.execute(AssertSqlSafe(rights)).await.map_err(Failure::of_server)?;
        Ok(cloned)
    }

    async fn clone_template(&self, connection: &mut PgConnection, database: &str) -> Result<bool> {
        Template::ensure(self)
            .await
            .map_err(|error| Failure::passing("The template of new databases could not be made.", error))?;
        let clone = format!("create database {database} template {} strategy wal_log", Template::name());
        match connection.execute(AssertSqlSafe(clone)).await {
            Ok(_) => Ok(true),
            // A server that lost its worker in the middle may still have finished the work.
            Err(error) if is_code(&error, "42P04") => Ok(false),
            Err(error) => Err(Failure::of_server(error)),
        }
    }

    /// Brings a tenant's own database to the current tables.
    pub async fn update_database(&self, database: &str) -> Result {
        let mut inside = self.connect(database).await.map_err(Failure::of_server)?;
        if schema::version_of(&mut inside, schema::SCHEMA).await? != Some(schema::version()) {
            schema::migrate(&mut inside, schema::SCHEMA).await?;
            schema::grant(&mut inside, schema::SCHEMA, Template::TENANTS).await?;
        }
        inside.close().await.map_err(Failure::of_server)
    }

    /// The place of a tenant that has a schema only: the database it shares with others, and its role.
    pub async fn make_shared(&self, placement: &Placement, role: Role<'_>) -> Result {
        let (database, schema, name) = (&placement.database, &placement.schema, role.name);
        let mut connection = self.maintenance.acquire().await.map_err(Failure::of_server)?;
        if !exists(&mut connection, database).await? {
            let create = format!("create database {database} template template0 encoding 'UTF8'");
            match connection.execute(AssertSqlSafe(create)).await {
                Err(error) if !is_code(&error, "42P04") && !is_code(&error, "23505") => {
                    return Err(Failure::of_server(error));
                }
                _ => {}
            }
            let close = format!("revoke all on database {database} from public");
            connection.execute(AssertSqlSafe(close)).await.map_err(Failure::of_server)?;
            let mut inside = self.connect(database).await.map_err(Failure::of_server)?;
            inside.execute("revoke all on schema public from public").await.map_err(Failure::of_server)?;
            inside.close().await.map_err(Failure::of_server)?;
        }
        let rights = format!(
            "{};
             alter role {name} in database {database} set search_path = {schema};
             grant connect on database {database} to {name};",
            role.made(),
        );
        connection.execute(AssertSqlSafe(rights)).await.map_err(Failure::of_server)?;
        Ok(())
    }

    /// The tables of a tenant that has a schema only, all or none, and its rights there.
    pub async fn update_schema(&self, placement: &Placement, role: &str) -> Result {
        let mut inside = self.connect(&placement.database).await.map_err(Failure::of_server)?;
        let mut tx = inside.begin().await.map_err(Failure::of_server)?;
        if schema::version_of(&mut tx, &placement.schema).await? != Some(schema::version()) {
            schema::migrate(&mut tx, &placement.schema).await?;
            schema::grant(&mut tx, &placement.schema, role).await?;
        }
        tx.commit().await.map_err(Failure::of_server)?;
        inside.close().await.map_err(Failure::of_server)
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
            let mut inside = self.connect(&placement.database).await.map_err(Failure::of_server)?;
            let drop = format!(
                "drop schema if exists {} cascade;
                 do $$ begin
                     if exists (select from pg_roles where rolname = '{role}') then
                         revoke connect on database {} from {role};
                     end if;
                 end $$",
                placement.schema, placement.database
            );
            inside.execute(AssertSqlSafe(drop)).await.map_err(Failure::of_server)?;
            inside.close().await.map_err(Failure::of_server)?;
        }
        let drop = format!("drop role if exists {role}");
        connection.execute(AssertSqlSafe(drop)).await.map_err(Failure::of_server)?;
        Ok(())
    }
}

impl Role<'_> {
    fn made(&self) -> String {
        let Self { name, verifier } = self;
        format!(
            "do $$ begin
                 if not exists (select from pg_roles where rolname = '{name}') then
                     create role {name} login nosuperuser nocreatedb nocreaterole noreplication connection limit 50;
                 end if;
             end $$;
             alter role {name} password '{verifier}';
             alter role {name} set statement_timeout = '30s';
             alter role {name} set idle_in_transaction_session_timeout = '60s'"
        )
    }
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
