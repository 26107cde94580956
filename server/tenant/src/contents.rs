//! Detects whether a tenant's tables hold data, before they are dropped or reused.

use sqlx::{AssertSqlSafe, PgConnection};

/// Contents of one tenant's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// No rows.
    Empty,
    /// Only the rows of [`crate::seed::initial_data`], with an owner who has never signed in.
    Initial,
    /// Any other data.
    Data,
}

/// Tables that [`crate::seed::initial_data`] writes to.
const INITIAL: [&str; 4] = ["admins", "audit_log", "branches", "member_statuses"];

/// Tables filled by migrations. A missing entry makes every new database look used.
const FILLED_BY_MIGRATIONS: [&str; 3] = ["_sqlx_migrations", "locks", "text_folding"];

/// Inspects all tables of `schema`, or of the whole database with `None`. Requires the owner of the tables: an unreadable
/// table is an error, never empty.
pub async fn contents(connection: &mut PgConnection, schema: Option<&str>) -> sqlx::Result<Contents> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, format('exists (select from %I.%I)', nspname, relname)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where relkind in ('r', 'p') and relpersistence <> 't' and relname <> all ($2)
            and nspname !~ '^pg_' and nspname <> 'information_schema'
            and ($1::text is null or nspname = $1)",
    )
    .bind(schema)
    .bind(FILLED_BY_MIGRATIONS.as_slice())
    .fetch_all(&mut *connection)
    .await?;
    let mut filled = Vec::new();
    for (table, has_rows) in tables {
        let sql = AssertSqlSafe(format!("select {has_rows}"));
        if sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut *connection).await? {
            filled.push(table);
        }
    }
    if filled.is_empty() {
        return Ok(Contents::Empty);
    }
    if filled.iter().any(|table| !INITIAL.contains(&table.as_str())) || !filled.iter().any(|t| t == "admins")
    {
        return Ok(Contents::Data);
    }
    let schema = schema.unwrap_or(crate::schema::SCHEMA);
    // Every change by a person or a client has an audit entry with an actor.
    let is_initial = AssertSqlSafe(format!(
        "select (select count(*) = 1 and bool_and(role = 'owner' and last_login_at is null) from {schema}.admins)
            and (select count(*) <= 1 from {schema}.branches)
            and (select count(*) <= 2 and coalesce(bool_and(actor_id is null), true) from {schema}.audit_log)"
    ));
    let is_initial: bool = sqlx::query_scalar(is_initial).fetch_one(connection).await?;
    Ok(if is_initial { Contents::Initial } else { Contents::Data })
}
