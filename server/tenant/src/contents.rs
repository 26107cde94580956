//! Whether a church's tables hold anything, for whoever is about to drop them or to hand them out.

use sqlx::{AssertSqlSafe, PgConnection};

/// What the tables of one church hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Not one row.
    Empty,
    /// What [`crate::office::furnish`] writes, and an owner who has never signed in.
    Initial,
    /// Somebody's data.
    Data,
}

/// Tables that [`crate::office::furnish`] writes to.
const INITIAL: [&str; 4] = ["admins", "audit_log", "branches", "member_statuses"];

/// Tables that migrations fill. One that is missing here makes every new database look as if it were in use.
const SEEDED: [&str; 3] = ["_sqlx_migrations", "locks", "text_folding"];

/// Looks into all tables of `schema`, or of the whole database when it is `None`. Needs the owner of the tables;
/// a table that cannot be read is an error, never taken for empty.
pub async fn contents(connection: &mut PgConnection, schema: Option<&str>) -> sqlx::Result<Contents> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, format('exists (select from %I.%I)', nspname, relname)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where relkind in ('r', 'p') and relpersistence <> 't' and relname <> all ($2)
            and nspname !~ '^pg_' and nspname <> 'information_schema'
            and ($1::text is null or nspname = $1)",
    )
    .bind(schema)
    .bind(SEEDED.as_slice())
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
    // Every change of a person or a program adds an entry with an actor to the audit log.
    let untouched = AssertSqlSafe(format!(
        "select (select count(*) = 1 and bool_and(role = 'owner' and last_login_at is null) from {schema}.admins)
            and (select count(*) <= 1 from {schema}.branches)
            and (select count(*) <= 2 and coalesce(bool_and(actor_id is null), true) from {schema}.audit_log)"
    ));
    let untouched: bool = sqlx::query_scalar(untouched).fetch_one(connection).await?;
    Ok(if untouched { Contents::Initial } else { Contents::Data })
}
