//! Initial data of a new tenant.

use crate::{
    Result, Tenant,
    audit::{self, Entry},
    statuses,
};
use uuid::Uuid;

/// The owner, who signed the church up.
pub struct NewOwner<'a> {
    pub email: &'a str,
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub password_hash: &'a str,
}

/// Name of the initial branch.
pub const MAIN_BRANCH: &str = "Main church";

/// Inserts the owner, the main branch and the member statuses in one transaction. Does nothing if there is an owner.
pub async fn initial_data(
    tenant: &Tenant,
    new_owner: &NewOwner<'_>,
    timezone: &str,
    country: &str,
) -> Result<()> {
    let mut tx = tenant.begin().await?;
    let owner = Uuid::now_v7();
    let is_new = sqlx::query!(
        "insert into admins (id, email, first_name, last_name, role, password_hash)
         select $1, lower($2), $3, $4, 'owner', $5
          where not exists (select from admins where role = 'owner')
         on conflict (email) do nothing",
        owner,
        new_owner.email,
        new_owner.first_name,
        new_owner.last_name,
        new_owner.password_hash,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected()
        == 1;
    if !is_new {
        return Ok(());
    }
    let branch = Uuid::now_v7();
    sqlx::query!(
        "insert into branches (id, name, is_main, timezone, country) values ($1, $2, true, $3, $4)",
        branch,
        MAIN_BRANCH,
        timezone,
        country,
    )
    .execute(&mut *tx)
    .await?;
    let (names, kinds): (Vec<_>, Vec<_>) =
        statuses::FIRST.iter().map(|(name, kind)| (name.to_string(), kind.to_string())).unzip();
    sqlx::query!(
        "insert into member_statuses (id, name, kind, sort_order)
         select s.id, s.name, s.kind, s.nth
           from unnest($1::uuid[], $2::text[], $3::text[]) with ordinality as s (id, name, kind, nth)",
        &statuses::FIRST.map(|_| Uuid::now_v7()),
        &names,
        &kinds,
    )
    .execute(&mut *tx)
    .await?;
    for (entity, id) in [("admin", owner), ("branch", branch)] {
        audit::record(&mut tx, None, Entry { entity, id, action: "added" }, None::<&()>, None).await?;
    }
    Ok(tx.commit().await?)
}
