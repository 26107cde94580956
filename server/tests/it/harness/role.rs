use super::{Church, TestServer, cluster};
use identity::Secret;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

/// How a tenant's own role connects, with the password derived from the installation's secret.
pub fn as_role(server: &TestServer, to: &PgConnectOptions, id: &str, database: &str) -> PgConnectOptions {
    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let password = secret.tenant_roles().password(id, 1);
    to.clone().username(&format!("tenant_{id}")).password(&password).database(database)
}

/// Connects as the role of a church.
pub async fn enter(server: &TestServer, church: &Church, database: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect_with(&as_role(server, cluster(), &church.tenant_id, database)).await
}
