//! OIDC subjects and the emails that the issuer has verified for them.

use crate::{Registry, Result};

/// Links a subject to an email, replacing an earlier link. Deletes the link if no admin has the email.
pub async fn link(registry: &Registry, issuer: &str, subject: &str, email: &str) -> Result<()> {
    sqlx::query!(
        "with known as (
             select $3::text as email where exists (select from admin_emails where email = $3)
         ), gone as (
             delete from oidc_subjects where issuer = $1 and subject = $2 and not exists (select from known)
         )
         insert into oidc_subjects as linked (issuer, subject, email)
         select $1, $2, email from known
         on conflict (issuer, subject) do update
            set email = excluded.email, linked_at = now()
          where linked.email <> excluded.email",
        issuer,
        subject,
        email,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Returns the email a subject is linked to.
pub async fn email_of(registry: &Registry, issuer: &str, subject: &str) -> Result<Option<String>> {
    let email = sqlx::query_scalar!(
        "select email from oidc_subjects where issuer = $1 and subject = $2",
        issuer,
        subject
    )
    .fetch_optional(&registry.pool)
    .await?;
    Ok(email)
}
