//! Programs that sign in: families of refresh tokens, and the keys that access tokens are signed with.

use crate::{Error, Registry, Result, TenantId, runs::interval};
use std::time::Duration;
use uuid::Uuid;

/// One sign-in of a program: who it is.
#[derive(Clone, Debug)]
pub struct Family {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub admin_id: Uuid,
    /// How often the admin had been disabled when it began; see `admins.epoch`.
    pub epoch: i32,
}

/// What is kept so that a request repeated under its Idempotency-Key is answered as it was.
pub struct Kept {
    /// Digest of the key and of what was asked.
    pub asked: Vec<u8>,
    /// The answer, encrypted.
    pub answer: Vec<u8>,
}

/// A refresh token somebody has shown.
pub struct Shown {
    pub family: Family,
    /// Which of the family's tokens it is, from 0.
    pub counter: i32,
    /// How its one use was answered, when that was asked in the same words.
    pub answer: Option<Vec<u8>>,
}

pub enum Rotated {
    Next,
    /// It had been used by the same request, which is answered the same.
    Repeated(Vec<u8>),
    /// It was used a moment ago, and its successor stands: two requests of one program have crossed.
    Crossed,
    /// It had been used by somebody else: the family has ended.
    Reused,
}

/// Starts a family with its first refresh token. When the same was asked before under the same key,
/// nothing is started, and the answer from then is returned.
pub async fn open(
    registry: &Registry,
    family: &Family,
    digest: &[u8],
    lives: Duration,
    kept: Option<Kept>,
) -> Result<Option<Vec<u8>>> {
    let (asked, answer) = kept.map(|kept| (kept.asked, kept.answer)).unzip();
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
        asked,
        answer,
        interval(lives),
        digest,
        family.epoch,
    )
    .execute(&registry.pool)
    .await?;
    match asked {
        Some(asked) if done.rows_affected() == 0 => {
            Ok(Some(answer_to(registry, &asked).await?.ok_or(Error::NotFound)?))
        }
        _ => Ok(None),
    }
}

/// How a sign-in was answered that was asked in these words.
pub async fn answer_to(registry: &Registry, asked: &[u8]) -> Result<Option<Vec<u8>>> {
    let answer = sqlx::query_scalar!("select answer from token_families where asked = $1", asked)
        .fetch_optional(&registry.pool)
        .await?;
    Ok(answer.flatten())
}

/// The family of a refresh token; `None` when it is unknown, or its family has ended.
pub async fn find(registry: &Registry, digest: &[u8], asked: Option<&[u8]>) -> Result<Option<Shown>> {
    let row = sqlx::query!(
        "select f.id, f.tenant_id, f.admin_id, f.epoch, t.counter, case when t.asked = $2 then t.answer end as answer
           from refresh_tokens t
           join token_families f on f.id = t.family_id
          where t.digest = $1 and f.expires_at > now()",
        digest,
        asked,
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
        Ok(Shown { family, counter: row.counter, answer: row.answer })
    })
    .transpose()
}

/// For how long a refresh token that was used is answered with the same successor again. Two windows of one program
/// refresh at the same moment; whoever has stolen a token gets no further than the program itself.
const CROSSING: Duration = Duration::from_secs(10);

/// Uses a refresh token up and puts the next one in its place, all or nothing.
pub async fn rotate(
    registry: &Registry,
    Shown { family, counter, .. }: &Shown,
    digest: &[u8],
    next: &[u8],
    lives: Duration,
    kept: Option<&Kept>,
) -> Result<Rotated> {
    let asked = kept.map(|kept| kept.asked.as_slice());
    let mut tx = registry.pool.begin().await?;
    let used = sqlx::query!(
        "update refresh_tokens set used_at = now(), asked = $2, answer = $3 where digest = $1 and used_at is null",
        digest,
        asked,
        kept.map(|kept| kept.answer.as_slice()),
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        tx.rollback().await?;
        let answer = find(registry, digest, asked).await?.and_then(|shown| shown.answer);
        return Ok(match answer {
            Some(answer) => Rotated::Repeated(answer),
            None if crossed(registry, digest, next).await? => Rotated::Crossed,
            None => {
                end(registry, family.id).await?;
                Rotated::Reused
            }
        });
    }
    sqlx::query!(
        "with family as (update token_families set expires_at = now() + $3 where id = $1 returning id)
         insert into refresh_tokens (digest, family_id, counter) select $2, id, $4 from family",
        family.id,
        next,
        interval(lives),
        counter + 1,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Rotated::Next)
}

/// Whether a token was used a moment ago, and this is its successor.
async fn crossed(registry: &Registry, digest: &[u8], next: &[u8]) -> Result<bool> {
    let crossed = sqlx::query_scalar!(
        r#"select exists (select from refresh_tokens used
                            join refresh_tokens next on next.family_id = used.family_id and next.digest = $2
                           where used.digest = $1 and used.used_at > now() - $3::interval) as "crossed!""#,
        digest,
        next,
        interval(CROSSING),
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(crossed)
}

/// Whether a family has not ended.
pub async fn lives(registry: &Registry, family_id: Uuid) -> Result<bool> {
    let lives = sqlx::query_scalar!(
        r#"select exists (select from token_families where id = $1 and expires_at > now()) as "lives!""#,
        family_id,
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(lives)
}

/// Ends a family, in every process at once.
pub async fn end(registry: &Registry, family_id: Uuid) -> Result<()> {
    sqlx::query!("delete from token_families where id = $1", family_id).execute(&registry.pool).await?;
    Ok(())
}

/// Ends the family of a refresh token, used or not.
pub async fn end_of(registry: &Registry, digest: &[u8]) -> Result<()> {
    sqlx::query!(
        "delete from token_families where id = (select family_id from refresh_tokens where digest = $1)",
        digest,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Forgets what has expired, and answers that nobody will ask for again.
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

/// The keys that access tokens are checked with, the newest first: it signs. One that was succeeded is
/// believed for so long. The first is made here.
pub async fn keys(registry: &Registry, believed: Duration) -> Result<Vec<String>> {
    let keys = known_keys(registry, believed).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    renew_keys(registry, believed).await?;
    known_keys(registry, believed).await
}

async fn known_keys(registry: &Registry, believed: Duration) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"select id as "id!"
             from (select id, created_at, lead(created_at) over (order by created_at, id) as succeeded_at
                     from token_keys) k
            where succeeded_at is null or succeeded_at > now() - $1::interval
            order by created_at desc, id desc"#,
        interval(believed),
    )
    .fetch_all(&registry.pool)
    .await?)
}

/// A new key signs from now on, in every process; its id is returned. Keys that nobody believes any more are
/// forgotten.
pub async fn renew_keys(registry: &Registry, believed: Duration) -> Result<String> {
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
        interval(believed),
    )
    .execute(&registry.pool)
    .await?;
    Ok(id)
}
