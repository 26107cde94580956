//! Idempotency keys: a repeated request creates nothing twice, and gets the stored response for a day.

use crate::{Result, Tenant, Viewer};
use ring::digest::{Context, SHA256};
use uuid::Uuid;

/// Digest that identifies a request by its parts.
pub fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// A new or repeated request with a key.
pub struct KeyedRequest {
    /// Id of the record to create; the same for every repetition.
    pub record_id: Uuid,
    /// False if the key was used for another request.
    pub is_same: bool,
    /// The stored response, if the request has completed.
    pub response: Option<StoredResponse>,
}

pub struct StoredResponse {
    pub status: i16,
    pub body: String,
    pub location: Option<String>,
    pub etag: Option<String>,
}

/// Registers an admin's request under a key. `request` is its digest.
pub async fn begin(tenant: &Tenant, viewer: &Viewer, key: &str, request: &[u8]) -> Result<KeyedRequest> {
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
    let response = row.status.zip(row.body).map(|(status, body)| StoredResponse {
        status,
        body,
        location: row.location,
        etag: row.etag,
    });
    Ok(KeyedRequest { record_id: row.record_id, is_same: row.request == request, response })
}

/// Prefix of form keys. An `Idempotency-Key` cannot contain a space.
pub const FORM_PREFIX: &str = "form ";

/// Stores a response. Deletes stored responses of the API after a day, and of forms after thirty: a browser may resubmit a
/// form that was open for weeks.
pub async fn store(tenant: &Tenant, viewer: &Viewer, key: &str, response: &StoredResponse) -> Result<()> {
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
        response.status,
        response.body,
        response.location,
        response.etag,
        FORM_PREFIX,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Deletes the key of a rejected request, so that a corrected one may use it.
pub async fn release(tenant: &Tenant, viewer: &Viewer, key: &str) -> Result<()> {
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
