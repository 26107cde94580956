use crate::{Error, installation::Installation};
use clap::Subcommand;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Sign access tokens with a new key; those of the old one stay good for as long as they live, 15 minutes
    Rotate,
}

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let Command::Rotate = command;
    let id =
        installation.identity.renew_token_keys().await.map_err(|error| Error::Command(error.to_string()))?;
    println!("access tokens are signed with {id} now");
    Ok(())
}
