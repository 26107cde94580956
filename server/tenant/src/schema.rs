//! The shape of a tenant's tables, and who may use them.

use crate::members;
use sqlx::{
    AssertSqlSafe, Executor, PgConnection, PgTransaction,
    migrate::{MigrateError, Migrator},
};
use std::sync::LazyLock;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../tenant-migrations");
    // Its lock would outlive a transaction; ours ends with it.
    migrator.set_locking(false);
    migrator
});

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

/// Brings the tables in `schema` to the current version and lets `table_role` use them: all or nothing, and of several
/// at a time one after the other. Run by the owner of the database, never by a tenant's role; repeating it does nothing.
///
/// Nobody reaches the tables without usage on the schema, which [`admit`] gives to the tenant's own role only:
/// `table_role` may be a group that all tenants of a server are in.
pub async fn update(
    tx: &mut PgTransaction<'_>,
    schema: &str,
    table_role: &str,
) -> std::result::Result<(), MigrateError> {
    let prepare = format!(
        "select pg_advisory_xact_lock(hashtextextended('vestry schema {schema}', 0));
         create schema if not exists {schema};
         set local search_path = {schema}"
    );
    tx.execute(AssertSqlSafe(prepare)).await?;
    MIGRATIONS.run_direct(None, &mut **tx, false).await?;
    members::refold(tx).await?;
    let grants = format!(
        "grant select, insert, update, delete on all tables in schema {schema} to {table_role};
         revoke update, delete on {schema}.audit_log from {table_role};
         revoke insert, delete on {schema}.locks from {table_role};
         revoke all on {schema}._sqlx_migrations, {schema}.text_folding from {table_role};
         revoke all on schema {schema} from public, {table_role}"
    );
    tx.execute(AssertSqlSafe(grants)).await?;
    Ok(())
}

/// Lets a tenant's own role, and nobody else, into the schema. After [`update`], by the owner of the database.
pub async fn admit(connection: &mut PgConnection, schema: &str, role: &str) -> sqlx::Result<()> {
    let grant = format!("grant usage on schema {schema} to {role}");
    connection.execute(AssertSqlSafe(grant)).await?;
    Ok(())
}
