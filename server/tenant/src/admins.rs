//! The people who sign in to a tenant.

use crate::{
    Editor, Error, Result, Role, Tenant, Viewer,
    audit::{self, Entry},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// An active admin. Only constructed from a row of `admins`.
#[derive(Clone, Debug)]
pub struct Admin {
    pub id: Uuid,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: Role,
    /// Times this admin was disabled; sessions and tokens of an earlier epoch are invalid.
    pub epoch: i32,
    pub(crate) viewer: Viewer,
    pub(crate) read_only: bool,
}

impl Admin {
    /// Returns first and last name, or the only one.
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }

    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// Drops the write permission, whatever the role.
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Returns the authority to write; fails for viewers.
    pub fn editor(&self) -> Result<Editor> {
        match self.role {
            Role::Owner | Role::Admin if !self.read_only => Ok(Editor(self.viewer.clone())),
            _ => Err(Error::Forbidden),
        }
    }
}

/// Finds an active admin by id.
pub async fn find_active(tenant: &Tenant, id: Uuid) -> Result<Admin> {
    let mut connection = tenant.connect().await?;
    let row = sqlx::query!(
        r#"select email, first_name, last_name, role, epoch,
                  case when not all_branches
                       then array(select branch_id from admin_branches where admin_id = a.id) end as branches
             from admins a
            where id = $1 and state = 'active'"#,
        id,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(Admin {
        id,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        role: Role::from_column(&row.role),
        epoch: row.epoch,
        viewer: Viewer { tenant_id: tenant.id().to_owned(), admin_id: id, branches: row.branches },
        read_only: false,
    })
}

/// An active admin, as an option at sign-in.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: Uuid,
    pub role: Role,
    pub password_hash: Option<String>,
    /// City of the main branch.
    pub town: Option<String>,
}

/// Finds an active admin by email, to check a password. Keeps no new connection: failed sign-ins must not fill the server
/// with idle connections.
pub async fn find_account(tenant: &Tenant, email: &str) -> Result<Option<Account>> {
    let mut connection = tenant.connect_briefly().await?;
    account(&mut connection, email, false).await
}

/// Finds an active admin by exact, verified email, for sign-ins without a password.
pub async fn find_verified_account(tenant: &Tenant, email: &str) -> Result<Option<Account>> {
    let mut connection = tenant.connect_briefly().await?;
    account(&mut connection, email, true).await
}

async fn account(connection: &mut PgConnection, email: &str, verified: bool) -> Result<Option<Account>> {
    let row = sqlx::query!(
        r#"select id, role, password_hash, (select city from branches where is_main) as "town?"
             from admins
            where email = case when $2 then $1 else lower($1) end and state = 'active' and (email_verified_at is not null or not $2)"#,
        email,
        verified,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Account {
        id: row.id,
        role: Role::from_column(&row.role),
        password_hash: row.password_hash,
        town: row.town,
    }))
}

/// Returns the email of an active admin.
pub async fn email_of(tenant: &Tenant, id: Uuid) -> Result<Option<String>> {
    let mut connection = tenant.connect_briefly().await?;
    let email = sqlx::query_scalar!("select email from admins where id = $1 and state = 'active'", id)
        .fetch_optional(&mut *connection)
        .await?;
    Ok(email)
}

/// Marks emails as verified; returns false if none changed. Acts as the installation.
pub async fn verify(tenant: &Tenant, emails: &[String]) -> Result<bool> {
    let mut tx = tenant.begin().await?;
    let verified = sqlx::query_scalar!(
        "update admins set email_verified_at = now(), updated_at = now()
          where email = any($1) and email_verified_at is null
         returning id",
        emails,
    )
    .fetch_all(&mut *tx)
    .await?;
    for id in &verified {
        let entry = Entry { entity: "admin", id: *id, action: "verified" };
        audit::record(&mut tx, None, entry, None::<&()>, None).await?;
    }
    tx.commit().await?;
    Ok(!verified.is_empty())
}

/// Updates `last_login_at`.
pub async fn record_sign_in(tenant: &Tenant, id: Uuid) -> Result<()> {
    let mut connection = tenant.connect().await?;
    sqlx::query!(
        // Skips fsync: losing `last_login_at` is harmless, and the session write would queue behind it.
        "with soft as (select set_config('synchronous_commit', 'off', true))
         update admins set last_login_at = now() from soft where id = $1",
        id,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Returns the id of the first active owner.
pub async fn find_owner(tenant: &Tenant) -> Result<Uuid> {
    let mut connection = tenant.connect().await?;
    let id = sqlx::query_scalar!(
        "select id from admins where role = 'owner' and state = 'active' order by created_at, id limit 1"
    )
    .fetch_optional(&mut *connection)
    .await?;
    id.ok_or(Error::NotFound)
}
