//! The people who sign in to this church's office.

use crate::{Editor, Error, Result, Role, Tenant, Viewer};
use uuid::Uuid;

/// Somebody who may enter. Made from a row of `admins` only.
#[derive(Clone, Debug)]
pub struct Admin {
    pub id: Uuid,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: Role,
    pub(crate) viewer: Viewer,
    pub(crate) read_only: bool,
}

impl Admin {
    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// The same person, who only looks: whatever its role, it is no editor.
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// The authority to change things, which a mere member of the staff has not.
    pub fn editor(&self) -> Result<Editor> {
        match self.role {
            Role::Owner | Role::Admin if !self.read_only => Ok(Editor(self.viewer.clone())),
            _ => Err(Error::Forbidden),
        }
    }
}

/// The admin with this id, if it is active.
pub async fn enter(tenant: &Tenant, id: Uuid) -> Result<Admin> {
    let mut connection = tenant.connect().await?;
    let row = sqlx::query!(
        r#"select email, first_name, last_name, role,
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
        viewer: Viewer { tenant_id: tenant.id().to_owned(), admin_id: id, branches: row.branches },
        read_only: false,
    })
}

/// What a password is checked against: the id and hash of the active admin with this email.
pub async fn credential(tenant: &Tenant, email: &str) -> Result<Option<(Uuid, String)>> {
    let mut connection = tenant.connect().await?;
    let row = sqlx::query!(
        r#"select id, password_hash as "hash!"
             from admins
            where email = lower($1) and state = 'active' and password_hash is not null"#,
        email,
    )
    .fetch_optional(&mut *connection)
    .await?;
    Ok(row.map(|row| (row.id, row.hash)))
}

/// The active admin with exactly this email.
pub async fn with_email(tenant: &Tenant, email: &str) -> Result<Option<Uuid>> {
    let mut connection = tenant.connect().await?;
    let id = sqlx::query_scalar!("select id from admins where email = $1 and state = 'active'", email)
        .fetch_optional(&mut *connection)
        .await?;
    Ok(id)
}

/// Notes that an admin has signed in.
pub async fn signed_in(tenant: &Tenant, id: Uuid) -> Result<()> {
    let mut connection = tenant.connect().await?;
    sqlx::query!(
        // The disk need not hear of it at once: the session, which is written at the same moment, would wait for that.
        "with soft as (select set_config('synchronous_commit', 'off', true))
         update admins set last_login_at = now() from soft where id = $1",
        id,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// The owner who opened the office.
pub async fn founder(tenant: &Tenant) -> Result<Uuid> {
    let mut connection = tenant.connect().await?;
    let id = sqlx::query_scalar!(
        "select id from admins where role = 'owner' and state = 'active' order by created_at, id limit 1"
    )
    .fetch_optional(&mut *connection)
    .await?;
    id.ok_or(Error::NotFound)
}
