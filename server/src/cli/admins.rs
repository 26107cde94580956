use crate::{Error, installation::Installation};
use clap::Subcommand;
use registry::{
    TenantId,
    admin_emails::{self, UnverifiedEmail},
};
use uuid::Uuid;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Mark an admin's email as verified, after you have checked that it is theirs. Verified emails may sign in by OpenID
    /// Connect, and do not count toward the five unverified churches of an email
    Verify {
        /// Email, id of the church, or id of the admin
        admin: String,
        /// Id of the church, if the email has several
        #[arg(long)]
        church: Option<String>,
    },
}

/// One tenant at a time.
const CONNECTIONS: usize = 1;

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let Command::Verify { admin, church } = command;
    installation.identity.limit_connections(CONNECTIONS);
    let church = church.map(|id| id.parse().map_err(|_| unknown(&id))).transpose()?;
    let email = only_match(find(installation, &admin, church.as_ref()).await?, &admin)?;
    let UnverifiedEmail { email, tenant_id, church, .. } = &email;
    let verified = installation.identity.verify_email(&installation.secret, tenant_id, email).await;
    verified.map_err(|error| Error::Command(format!("{church} ({tenant_id}) cannot be opened: {error}")))?;
    println!("{email} is verified in {church} ({tenant_id}).");
    Ok(())
}

/// Finds the unverified emails that match an email or id.
async fn find(
    installation: &Installation,
    admin: &str,
    church: Option<&TenantId>,
) -> Result<Vec<UnverifiedEmail>, Error> {
    let registry = &installation.registry;
    if admin.contains('@') {
        return Ok(admin_emails::unverified(registry, Some(admin.trim()), church).await?);
    }
    if let Ok(id) = admin.parse::<TenantId>() {
        return Ok(admin_emails::unverified(registry, None, Some(&id)).await?);
    }
    let id: Uuid = admin.parse().map_err(|_| unknown(admin))?;
    // Only the tenant databases know admin ids.
    for candidate in admin_emails::unverified(registry, None, church).await? {
        let email =
            installation.identity.email_of_admin(&installation.secret, &candidate.tenant_id, id).await;
        match email {
            Ok(Some(email)) if email == candidate.email => return Ok(vec![candidate]),
            Ok(_) => {}
            Err(error) => eprintln!("{} was skipped: {error}", candidate.tenant_id),
        }
    }
    Ok(Vec::new())
}

fn only_match(mut emails: Vec<UnverifiedEmail>, admin: &str) -> Result<UnverifiedEmail, Error> {
    match emails.len() {
        0 => Err(unknown(admin)),
        1 => Ok(emails.remove(0)),
        // Others may have signed up with the same email, so the operator has to choose the church.
        _ => {
            let lines = emails.iter().map(|email| {
                let since = email.created_at.format("%F %T UTC");
                format!("\n  {} --church {}   {}, since {since}", email.email, email.tenant_id, email.church)
            });
            let lines: String = lines.collect();
            Err(Error::Command(format!(
                "{admin} matches several. Verify only the one you have checked:{lines}"
            )))
        }
    }
}

fn unknown(admin: &str) -> Error {
    Error::Command(format!("no unverified admin {admin} in an active church; see vestry tenants list"))
}
