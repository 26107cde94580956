//! The shape of a tenant's tables, and who may use them.

use crate::Result;
use sqlx::{
    AssertSqlSafe, Executor, PgConnection, PgTransaction,
    migrate::{MigrateError, Migrator},
};
use std::sync::LazyLock;

static MIGRATIONS: Migrator = sqlx::migrate!("../../tenant-migrations");

/// The schema of a tenant that has a database of its own.
pub const SCHEMA: &str = "church";

/// The version this binary works with: that of the last migration.
pub fn version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The tables this binary works with, by version and content.
pub fn edition() -> String {
    format!("{:04}_{}", version(), fingerprint())
}

/// Tells two sets of migrations apart even when they end with the same number.
fn fingerprint() -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    MIGRATIONS.iter().for_each(|migration| context.update(&migration.checksum));
    context.finish().as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Brings the tables in `schema` to the current version. Run by the owner of the database, never
/// by a tenant's role; repeating it does nothing.
pub async fn migrate(connection: &mut PgConnection, schema: &str) -> std::result::Result<(), MigrateError> {
    run(&MIGRATIONS, connection, schema).await
}

/// The same in a transaction, all or nothing. It takes no lock that outlives that: of two at a time, one fails.
pub async fn migrate_in(tx: &mut PgTransaction<'_>, schema: &str) -> std::result::Result<(), MigrateError> {
    static IN_TRANSACTION: LazyLock<Migrator> = LazyLock::new(|| {
        let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
        migrator.set_locking(false);
        migrator
    });
    run(&IN_TRANSACTION, tx, schema).await
}

async fn run(
    migrations: &Migrator,
    connection: &mut PgConnection,
    schema: &str,
) -> std::result::Result<(), MigrateError> {
    let prepare = format!("create schema if not exists {schema}; set search_path = {schema}");
    connection.execute(AssertSqlSafe(prepare)).await?;
    migrations.run_direct(None, connection, false).await
}

/// Lets `role` use the tables in `schema`, and those that later migrations will add; nothing else.
pub async fn grant(connection: &mut PgConnection, schema: &str, role: &str) -> Result<()> {
    let grants = format!(
        "grant usage on schema {schema} to {role};
         grant select, insert, update, delete on all tables in schema {schema} to {role};
         alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role};
         revoke update, delete on {schema}.audit_log from {role};
         revoke all on {schema}._sqlx_migrations from {role};"
    );
    connection.execute(AssertSqlSafe(grants)).await?;
    Ok(())
}

/// The version of the tables in `schema`; `None` when there are none.
pub async fn version_of(connection: &mut PgConnection, schema: &str) -> Result<Option<i64>> {
    let present: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(format!("{schema}._sqlx_migrations"))
        .fetch_one(&mut *connection)
        .await?;
    if !present {
        return Ok(None);
    }
    let query = format!("select max(version) from {schema}._sqlx_migrations where success");
    Ok(sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(connection).await?)
}
