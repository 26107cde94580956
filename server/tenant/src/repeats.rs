//! Requests that carry a key and may be sent again: what they make is made once, and they are answered the same
//! for a day.

use crate::{Result, Tenant, Viewer};
use ring::digest::{Context, SHA256};
use uuid::Uuid;

/// Digest of the parts of a request, by which it is told from any other.
pub fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// A request under a key, new or repeated.
pub struct Repeat {
    /// The id of what it makes; the same whenever it is repeated.
    pub record_id: Uuid,
    /// False when another request used the key.
    pub is_same: bool,
    /// How it was answered, if it was.
    pub answer: Option<Answer>,
}

pub struct Answer {
    pub status: i16,
    pub body: String,
    pub location: Option<String>,
    pub etag: Option<String>,
}

/// Notes a request of this admin under a key. `request` tells it from any other.
pub async fn begin(tenant: &Tenant, viewer: &Viewer, key: &str, request: &[u8]) -> Result<Repeat> {
    let mut connection = tenant.read(viewer).await?;
    let row = sqlx::query!(
        "insert into idempotency_keys (admin_id, key, request, record_id)
         values ($1, $2, $3, $4)
         on conflict (admin_id, key) do update set key = excluded.key
         returning request, record_id, status, body, location, etag",
        viewer.admin_id,
        key,
        request,
        Uuid::now_v7(),
    )
    .fetch_one(&mut *connection)
    .await?;
    let answer = row.status.zip(row.body).map(|(status, body)| Answer {
        status,
        body,
        location: row.location,
        etag: row.etag,
    });
    Ok(Repeat { record_id: row.record_id, is_same: row.request == request, answer })
}

/// The keys of forms begin with this, which no `Idempotency-Key` can: it has no spaces.
pub const FORM_PREFIX: &str = "form ";

/// Keeps how a request was answered. Forgets requests of programs after a day, and forms after thirty: a browser may
/// send a form again that stood open for weeks.
pub async fn keep(tenant: &Tenant, viewer: &Viewer, key: &str, answer: &Answer) -> Result<()> {
    let mut connection = tenant.read(viewer).await?;
    sqlx::query!(
        "with old as (delete from idempotency_keys
                       where created_at < now() - case when starts_with(key, $7) then interval '30 days'
                                                       else interval '1 day' end
                         and (admin_id, key) <> ($1, $2))
         update idempotency_keys set status = $3, body = $4, location = $5, etag = $6
          where admin_id = $1 and key = $2 and status is null",
        viewer.admin_id,
        key,
        answer.status,
        answer.body,
        answer.location,
        answer.etag,
        FORM_PREFIX,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Forgets a request that was refused: corrected, it may come again under the same key.
pub async fn forget(tenant: &Tenant, viewer: &Viewer, key: &str) -> Result<()> {
    let mut connection = tenant.read(viewer).await?;
    sqlx::query!(
        "delete from idempotency_keys where admin_id = $1 and key = $2 and status is null",
        viewer.admin_id,
        key,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}
