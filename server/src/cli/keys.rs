use crate::{Error, installation::Installation};
use clap::Subcommand;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Sign access tokens with a new key; existing tokens stay valid until they expire, after 15 minutes
    Rotate,
}

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let Command::Rotate = command;
    let id = installation
        .identity
        .rotate_signing_key()
        .await
        .map_err(|error| Error::Command(error.to_string()))?;
    println!("new signing key: {id}");
    Ok(())
}
