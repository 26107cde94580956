use crate::{Result, Tenant};

/// Checks that the tenant's tables are readable.
pub async fn ping(tenant: &Tenant) -> Result<()> {
    let mut connection = tenant.connect().await?;
    sqlx::query_scalar!(r#"select exists (select from admins) as "there!""#)
        .fetch_one(&mut *connection)
        .await?;
    Ok(())
}
