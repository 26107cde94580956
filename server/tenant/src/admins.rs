//! The people who sign in to this church's office.

use crate::{
    Editor, Error, Result, Role, Tenant, Viewer,
    audit::{self, Entry},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// Somebody who may enter. Made from a row of `admins` only.
#[derive(Clone, Debug)]
pub struct Admin {
    pub id: Uuid,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: Role,
    /// How often this admin was disabled: sessions and tokens of an earlier time are void.
    pub epoch: i32,
    pub(crate) viewer: Viewer,
    pub(crate) read_only: bool,
}

impl Admin {
    /// First and last name, or the only one there is.
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }

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

    /// The authority to change what belongs to the whole church: branches and tags.
    pub fn editor_of_all_branches(&self) -> Result<Editor> {
        let editor = self.editor()?;
        editor.of_all_branches()?;
        Ok(editor)
    }
}

/// The admin with this id, if it is active.
pub async fn enter(tenant: &Tenant, id: Uuid) -> Result<Admin> {
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

/// An active admin, as somebody who signs in chooses among several churches.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: Uuid,
    pub role: Role,
    pub password_hash: Option<String>,
    /// Where the main branch is.
    pub town: Option<String>,
}

/// The active admin with this email, to check a password. The connection is closed again when it was opened for this:
/// anybody may try any email, and those who fail must not fill the server with idle connections.
pub async fn with_email(tenant: &Tenant, email: &str) -> Result<Option<Account>> {
    let mut connection = tenant.connect_briefly().await?;
    account(&mut connection, email, false).await
}

/// The same with exactly this email, if it is verified: for whoever shows no password.
pub async fn with_verified_email(tenant: &Tenant, email: &str) -> Result<Option<Account>> {
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

/// The email of the active admin with this id.
pub async fn email_of(tenant: &Tenant, id: Uuid) -> Result<Option<String>> {
    let mut connection = tenant.connect_briefly().await?;
    let email = sqlx::query_scalar!("select email from admins where id = $1 and state = 'active'", id)
        .fetch_optional(&mut *connection)
        .await?;
    Ok(email)
}

/// Notes that these emails are verified; false when nobody here has them, or they were already. For the installation,
/// which knows why.
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
