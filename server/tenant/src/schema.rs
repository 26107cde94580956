//! Migrations of tenant tables, and the rights on them.

use crate::members;
use sqlx::{
    AssertSqlSafe, Executor, PgConnection, PgTransaction,
    migrate::{MigrateError, Migrator},
};
use std::sync::LazyLock;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../tenant-migrations");
    // sqlx's lock would outlive the transaction; `update` takes one that ends with it.
    migrator.set_locking(false);
    migrator
});

/// Name of the schema in a tenant's dedicated database.
pub const SCHEMA: &str = "church";

/// Returns the schema version of this binary: that of the last migration.
pub fn version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Returns the schema revision of this binary: version and fingerprint of the migrations.
pub fn revision() -> String {
    format!("{:04}_{}", version(), fingerprint())
}

/// Distinguishes sets of migrations with the same last version.
fn fingerprint() -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    MIGRATIONS.iter().for_each(|migration| context.update(&migration.checksum));
    context.finish().as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Migrates the tables in `schema` and grants `table_role` rights on them. Transactional, serialised and idempotent. Runs
/// as the owner of the database, never as a tenant's role.
///
/// The tables stay unreachable without usage of the schema, which [`grant_usage`] grants to the tenant's role only:
/// `table_role` may be a group with all tenant roles of a server.
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

/// Grants usage of the schema to a tenant's role. Runs after [`update`], as the owner of the database.
pub async fn grant_usage(connection: &mut PgConnection, schema: &str, role: &str) -> sqlx::Result<()> {
    let grant = format!("grant usage on schema {schema} to {role}");
    connection.execute(AssertSqlSafe(grant)).await?;
    Ok(())
}
