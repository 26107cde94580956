use super::{MAX_TOKENS, PersonalToken, PersonalTokenInput, Scope};
use crate::{Error, Result, Role, Viewer, admins::Admin};
use sqlx::PgConnection;
use uuid::Uuid;

pub async fn list(connection: &mut PgConnection, viewer: &Viewer) -> Result<Vec<PersonalToken>> {
    let rows = sqlx::query!(
        "select id, name, scope, created_at, last_used_at, expires_at
           from personal_tokens
          where admin_id = $1 and epoch = (select epoch from admins where id = $1)
          order by created_at desc, id desc
          limit $2",
        viewer.admin_id,
        MAX_TOKENS,
    )
    .fetch_all(connection)
    .await?;
    let tokens = rows.into_iter().map(|row| PersonalToken {
        id: row.id,
        details: PersonalTokenInput {
            name: row.name,
            scope: Scope::from_column(&row.scope),
            expires_at: row.expires_at,
        },
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    });
    Ok(tokens.collect())
}

pub async fn find(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<PersonalToken> {
    let row = sqlx::query!(
        "select name, scope, created_at, last_used_at, expires_at
           from personal_tokens
          where id = $1 and admin_id = $2 and epoch = (select epoch from admins where id = $2)",
        id,
        viewer.admin_id,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(PersonalToken {
        id,
        details: PersonalTokenInput {
            name: row.name,
            scope: Scope::from_column(&row.scope),
            expires_at: row.expires_at,
        },
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    })
}

/// Counts the viewer's tokens, and locks out concurrent additions. Deletes tokens of earlier epochs.
pub async fn lock(connection: &mut PgConnection, viewer: &Viewer) -> Result<i64> {
    let epoch =
        sqlx::query_scalar!("select epoch from admins where id = $1 for no key update", viewer.admin_id)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query!("delete from personal_tokens where admin_id = $1 and epoch <> $2", viewer.admin_id, epoch)
        .execute(&mut *connection)
        .await?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from personal_tokens where admin_id = $1"#,
        viewer.admin_id,
    );
    Ok(count.fetch_one(connection).await?)
}

/// Inserts a token; returns false if the id was ever used.
pub async fn add(
    connection: &mut PgConnection,
    viewer: &Viewer,
    id: Uuid,
    details: &PersonalTokenInput,
    digest: &[u8; 32],
) -> Result<bool> {
    let done = sqlx::query!(
        "insert into personal_tokens (id, admin_id, name, scope, digest, expires_at, epoch)
         select $1, $2, $3, $4, $5, $6, (select epoch from admins where id = $2)
          where not exists (select from audit_log where entity = 'personal_token' and entity_id = $1)
         on conflict (id) do nothing",
        id,
        viewer.admin_id,
        details.name,
        details.scope.name(),
        &digest[..],
        details.expires_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn delete(connection: &mut PgConnection, viewer: &Viewer, id: Uuid) -> Result<PersonalTokenInput> {
    let row = sqlx::query!(
        "delete from personal_tokens where id = $1 and admin_id = $2 returning name, scope, expires_at",
        id,
        viewer.admin_id,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(PersonalTokenInput {
        name: row.name,
        scope: Scope::from_column(&row.scope),
        expires_at: row.expires_at,
    })
}

pub struct FoundToken {
    pub admin: Admin,
    pub scope: Scope,
    /// Not used within the last minute.
    pub use_is_due: bool,
}

pub async fn find_by_digest(
    connection: &mut PgConnection,
    tenant_id: &str,
    digest: &[u8; 32],
) -> Result<FoundToken> {
    let row = sqlx::query!(
        r#"select t.scope, a.id, a.email, a.first_name, a.last_name, a.role, a.epoch,
                  case when not a.all_branches
                       then array(select branch_id from admin_branches where admin_id = a.id) end as branches,
                  coalesce(t.last_used_at < now() - interval '1 minute', true) as "use_is_due!"
             from personal_tokens t
             join admins a on a.id = t.admin_id and a.epoch = t.epoch
            where t.digest = $1 and (t.expires_at is null or t.expires_at > now()) and a.state = 'active'"#,
        &digest[..],
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)?;
    let admin = Admin {
        id: row.id,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        role: Role::from_column(&row.role),
        epoch: row.epoch,
        viewer: Viewer { tenant_id: tenant_id.to_owned(), admin_id: row.id, branches: row.branches },
        read_only: false,
    };
    Ok(FoundToken { admin, scope: Scope::from_column(&row.scope), use_is_due: row.use_is_due })
}

/// Updates `last_used_at`; only the first of concurrent requests writes.
pub async fn record_use(connection: &mut PgConnection, digest: &[u8; 32]) -> Result<()> {
    sqlx::query!(
        "update personal_tokens
            set last_used_at = now()
          where digest = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')",
        &digest[..],
    )
    .execute(connection)
    .await?;
    Ok(())
}
