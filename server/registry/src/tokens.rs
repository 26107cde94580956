//! Token families of API clients, and the signing keys of access tokens.

use crate::{Error, Registry, Result, TenantId, pg::interval};
use std::time::Duration;
use uuid::Uuid;

/// One sign-in of an API client: a chain of refresh tokens.
#[derive(Clone, Debug)]
pub struct Family {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub admin_id: Uuid,
    /// The admin's epoch at the sign-in; see `admins.epoch`.
    pub epoch: i32,
}

/// A response to repeat for the same Idempotency-Key.
pub struct StoredResponse {
    /// Digest of the key and the request.
    pub request: Vec<u8>,
    /// The response, sealed.
    pub sealed: Vec<u8>,
}

/// A refresh token presented by a client.
pub struct PresentedToken {
    pub family: Family,
    /// Position in the family, from 0.
    pub counter: i32,
    /// The stored response, if the token was used by the same request.
    pub stored_response: Option<Vec<u8>>,
}

/// Result of [`rotate`].
pub enum Rotation {
    Rotated,
    /// The same request used the token before; holds its response.
    Repeated(Vec<u8>),
    /// Used moments ago, and its successor is valid: two requests of one client raced.
    Raced,
    /// Reused: the family is revoked.
    Reused,
}

/// Inserts a family with its first refresh token. For a repeated request, inserts nothing and returns the stored
/// response.
pub async fn create(
    registry: &Registry,
    family: &Family,
    digest: &[u8],
    ttl: Duration,
    response: Option<StoredResponse>,
) -> Result<Option<Vec<u8>>> {
    let (request, sealed) = response.map(|response| (response.request, response.sealed)).unzip();
    let done = sqlx::query!(
        "with family as (
             insert into token_families (id, tenant_id, admin_id, asked, answer, expires_at, epoch)
             values ($1, $2, $3, $4, $5, now() + $6, $8)
             on conflict (asked) do nothing
             returning id
         )
         insert into refresh_tokens (digest, family_id) select $7, id from family",
        family.id,
        family.tenant_id.as_str(),
        family.admin_id,
        request,
        sealed,
        interval(ttl),
        digest,
        family.epoch,
    )
    .execute(&registry.pool)
    .await?;
    match request {
        Some(request) if done.rows_affected() == 0 => {
            Ok(Some(find_response(registry, &request).await?.ok_or(Error::NotFound)?))
        }
        _ => Ok(None),
    }
}

/// Returns the sealed response of an earlier sign-in with this request digest.
pub async fn find_response(registry: &Registry, request: &[u8]) -> Result<Option<Vec<u8>>> {
    let response = sqlx::query_scalar!("select answer from token_families where asked = $1", request)
        .fetch_optional(&registry.pool)
        .await?;
    Ok(response.flatten())
}

/// Finds a refresh token and its family; `None` if unknown, expired or revoked.
pub async fn find(
    registry: &Registry,
    digest: &[u8],
    request: Option<&[u8]>,
) -> Result<Option<PresentedToken>> {
    let row = sqlx::query!(
        "select f.id, f.tenant_id, f.admin_id, f.epoch, t.counter, case when t.asked = $2 then t.answer end as answer
           from refresh_tokens t
           join token_families f on f.id = t.family_id
          where t.digest = $1 and f.expires_at > now()",
        digest,
        request,
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        let family = Family {
            id: row.id,
            tenant_id: row.tenant_id.parse()?,
            admin_id: row.admin_id,
            epoch: row.epoch,
        };
        Ok(PresentedToken { family, counter: row.counter, stored_response: row.answer })
    })
    .transpose()
}

/// How long a used refresh token still returns its successor: two windows of one client may refresh at once. A stolen
/// token gains no more than the client itself has.
const REUSE_GRACE: Duration = Duration::from_secs(10);

/// Replaces a refresh token with its successor, in one transaction.
pub async fn rotate(
    registry: &Registry,
    PresentedToken { family, counter, .. }: &PresentedToken,
    digest: &[u8],
    next: &[u8],
    ttl: Duration,
    response: Option<&StoredResponse>,
) -> Result<Rotation> {
    let request = response.map(|response| response.request.as_slice());
    let mut tx = registry.pool.begin().await?;
    let used = sqlx::query!(
        "update refresh_tokens set used_at = now(), asked = $2, answer = $3 where digest = $1 and used_at is null",
        digest,
        request,
        response.map(|response| response.sealed.as_slice()),
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        tx.rollback().await?;
        let stored = find(registry, digest, request).await?.and_then(|token| token.stored_response);
        return Ok(match stored {
            Some(response) => Rotation::Repeated(response),
            None if raced(registry, digest, next).await? => Rotation::Raced,
            None => {
                revoke(registry, family.id).await?;
                Rotation::Reused
            }
        });
    }
    sqlx::query!(
        "with family as (update token_families set expires_at = now() + $3 where id = $1 returning id)
         insert into refresh_tokens (digest, family_id, counter) select $2, id, $4 from family",
        family.id,
        next,
        interval(ttl),
        counter + 1,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Rotation::Rotated)
}

/// Returns whether the token was used moments ago and `next` is its successor.
async fn raced(registry: &Registry, digest: &[u8], next: &[u8]) -> Result<bool> {
    let raced = sqlx::query_scalar!(
        r#"select exists (select from refresh_tokens used
                            join refresh_tokens next on next.family_id = used.family_id and next.digest = $2
                           where used.digest = $1 and used.used_at > now() - $3::interval) as "raced!""#,
        digest,
        next,
        interval(REUSE_GRACE),
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(raced)
}

/// Returns whether a family is neither expired nor revoked.
pub async fn is_active(registry: &Registry, family_id: Uuid) -> Result<bool> {
    let is_active = sqlx::query_scalar!(
        r#"select exists (select from token_families where id = $1 and expires_at > now()) as "is_active!""#,
        family_id,
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(is_active)
}

/// Revokes a family; a trigger notifies every process.
pub async fn revoke(registry: &Registry, family_id: Uuid) -> Result<()> {
    sqlx::query!("delete from token_families where id = $1", family_id).execute(&registry.pool).await?;
    Ok(())
}

/// Revokes the family of a refresh token, used or not.
pub async fn revoke_by_token(registry: &Registry, digest: &[u8]) -> Result<()> {
    sqlx::query!(
        "delete from token_families where id = (select family_id from refresh_tokens where digest = $1)",
        digest,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Deletes expired families, and stored responses after a day.
pub async fn sweep(registry: &Registry) -> Result<()> {
    sqlx::query!(
        "with ended as (delete from token_families where expires_at <= now()),
              signed_in as (update token_families set asked = null, answer = null
                             where asked is not null and created_at < now() - interval '1 day')
         update refresh_tokens set asked = null, answer = null
          where asked is not null and used_at < now() - interval '1 day'"
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Returns the ids of valid signing keys, newest first: the newest signs. A replaced key stays valid for `grace`. Creates
/// the first key.
pub async fn signing_keys(registry: &Registry, grace: Duration) -> Result<Vec<String>> {
    let keys = valid_keys(registry, grace).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    rotate_signing_key(registry, grace).await?;
    valid_keys(registry, grace).await
}

async fn valid_keys(registry: &Registry, grace: Duration) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"select id as "id!"
             from (select id, created_at, lead(created_at) over (order by created_at, id) as succeeded_at
                     from token_keys) k
            where succeeded_at is null or succeeded_at > now() - $1::interval
            order by created_at desc, id desc"#,
        interval(grace),
    )
    .fetch_all(&registry.pool)
    .await?)
}

/// Creates a signing key for all processes and returns its id. Deletes keys whose grace has passed.
pub async fn rotate_signing_key(registry: &Registry, grace: Duration) -> Result<String> {
    let id = Uuid::new_v4().simple().to_string();
    sqlx::query!(
        "with old as (
             delete from token_keys k
              where exists (select from token_keys n
                             where (n.created_at, n.id) > (k.created_at, k.id) and n.created_at < now() - $2::interval)
         ), new as (
             insert into token_keys (id) values ($1)
         )
         select pg_notify('token_keys_changed', '')",
        id,
        interval(grace),
    )
    .execute(&registry.pool)
    .await?;
    Ok(id)
}
