//! What every cluster has besides the superuser: the role `vestry` and its database `vestry_registry`.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{Address, Error, Passwords};

pub(crate) const ROLE: &str = "vestry";
pub(crate) const REGISTRY: &str = "vestry_registry";

/// Each condition with the statement that brings it about, in this order.
const STEPS: [(&str, &str); 6] = [
    (
        // To end the connections to a database that it drops.
        "select pg_has_role('vestry', 'pg_signal_backend', 'member')",
        "grant pg_signal_backend to vestry",
    ),
    (
        "select exists (select from pg_database where datname = 'vestry_registry')",
        "create database vestry_registry owner vestry",
    ),
    (
        "select not has_database_privilege('public', 'vestry_registry', 'connect, temporary')",
        "revoke connect, temporary on database vestry_registry from public",
    ),
    (
        "select not has_database_privilege('public', 'postgres', 'connect, temporary')",
        "revoke connect, temporary on database postgres from public",
    ),
    (
        "select not has_database_privilege('public', 'template1', 'connect, temporary')",
        "revoke connect, temporary on database template1 from public",
    ),
    (
        // Its maintenance database, from which it creates and drops others.
        "select has_database_privilege('vestry', 'postgres', 'connect')",
        "grant connect on database postgres to vestry",
    ),
];

/// Brings about what is missing, and makes sure that both passwords are right.
pub(crate) async fn run(address: &Address, passwords: &Passwords) -> Result<(), Error> {
    let superuser = connect(address.options("postgres", &passwords.superuser, "postgres")).await?;
    establish(superuser, &passwords.vestry).await.map_err(Error::Bootstrap)?;
    let vestry = connect(address.options(ROLE, &passwords.vestry, REGISTRY)).await?;
    vestry.close().await.map_err(Error::Bootstrap)
}

async fn establish(mut superuser: PgConnection, password: &str) -> sqlx::Result<()> {
    // One process at a time, since a guest does this too; closing the connection releases it.
    sqlx::query("select pg_advisory_lock(hashtext('vestry bootstrap'))").execute(&mut superuser).await?;
    let exists = "select exists (select from pg_roles where rolname = 'vestry')";
    if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut superuser).await? {
        let create = "select format('create role vestry login createdb createrole password %L', $1::text)";
        let create: String = sqlx::query_scalar(create).bind(password).fetch_one(&mut superuser).await?;
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut superuser).await?;
    }
    for (condition, statement) in STEPS {
        if !sqlx::query_scalar::<_, bool>(condition).fetch_one(&mut superuser).await? {
            sqlx::raw_sql(statement).execute(&mut superuser).await?;
        }
    }
    superuser.close().await
}

async fn connect(options: PgConnectOptions) -> Result<PgConnection, Error> {
    const INVALID_PASSWORD: &str = "28P01";
    // The statement that creates the role holds its password.
    options.disable_statement_logging().connect().await.map_err(|error| match error.as_database_error() {
        Some(refusal) if refusal.code().is_some_and(|code| code == INVALID_PASSWORD) => Error::WrongSecret,
        _ => Error::Bootstrap(error),
    })
}
