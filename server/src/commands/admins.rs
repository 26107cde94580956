use crate::{Error, installation::Installation};
use clap::Subcommand;
use registry::{
    TenantId,
    tenants::{self, Claim},
};
use uuid::Uuid;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Note that an admin's email is that person's own, as you have found out: it counts for sign-ins by OpenID Connect
    /// then, and not among the five unconfirmed churches an email may have
    Verify {
        /// The email, the id of the church, or the id of the admin
        who: String,
        /// The id of the church, when the email has several
        #[arg(long)]
        church: Option<String>,
    },
}

/// An admin's email in the one church that is looked at.
const CONNECTIONS: usize = 1;

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let Command::Verify { who, church } = command;
    installation.identity.limit_connections(CONNECTIONS);
    let church = church.map(|id| id.parse().map_err(|_| unknown(&id))).transpose()?;
    let claim = the_one(find(installation, &who, church.as_ref()).await?, &who)?;
    let Claim { email, tenant_id, church, .. } = &claim;
    let verified = installation.identity.verify_email(&installation.secret, tenant_id, email).await;
    verified.map_err(|error| Error::Command(format!("{church} ({tenant_id}) cannot be opened: {error}")))?;
    println!("{email} is verified in {church} ({tenant_id}).");
    Ok(())
}

/// The emails that are meant, of those that are not verified.
async fn find(
    installation: &Installation,
    who: &str,
    church: Option<&TenantId>,
) -> Result<Vec<Claim>, Error> {
    let registry = &installation.registry;
    if who.contains('@') {
        return Ok(tenants::unverified(registry, Some(who.trim()), church).await?);
    }
    if let Ok(id) = who.parse::<TenantId>() {
        return Ok(tenants::unverified(registry, None, Some(&id)).await?);
    }
    let id: Uuid = who.parse().map_err(|_| unknown(who))?;
    // Ids of admins are known to their churches only, which are asked one after the other.
    for claim in tenants::unverified(registry, None, church).await? {
        let email = installation.identity.email_of_admin(&installation.secret, &claim.tenant_id, id).await;
        match email {
            Ok(Some(email)) if email == claim.email => return Ok(vec![claim]),
            Ok(_) => {}
            Err(error) => eprintln!("{} was left out: {error}", claim.tenant_id),
        }
    }
    Ok(Vec::new())
}

fn the_one(mut claims: Vec<Claim>, who: &str) -> Result<Claim, Error> {
    match claims.len() {
        0 => Err(unknown(who)),
        1 => Ok(claims.remove(0)),
        // Strangers may have signed up with the same email: which church is this person's, somebody has to say.
        _ => {
            let lines = claims.iter().map(|claim| {
                let since = claim.created_at.format("%F %T UTC");
                format!("\n  {} --church {}   {}, since {since}", claim.email, claim.tenant_id, claim.church)
            });
            let lines: String = lines.collect();
            Err(Error::Command(format!(
                "{who} may be one of these. Verify what you have checked, and no other:{lines}"
            )))
        }
    }
}

fn unknown(who: &str) -> Error {
    Error::Command(format!(
        "there is no unverified admin {who} in an open church: vestry tenants list shows churches"
    ))
}
