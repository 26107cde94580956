use std::{net::SocketAddr, path::PathBuf};

/// Why Vestry does not start, in words for the operator, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(".env cannot be read ({0}): make it readable, or remove it")]
    EnvFile(std::io::Error),
    #[error(
        ".env, line {0}: this is not a setting. Write NAME=value, and put a value with spaces, quotes, $ or \\ in 'single quotes'"
    )]
    EnvFileLine(usize),
    #[error(
        "{addr} cannot be listened on ({source}): stop what uses it, or set VESTRY_ADDR to another address"
    )]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("{} cannot be written ({source}): make it writable, or set VESTRY_DATA_DIR to another folder", path.display())]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error(
        "VESTRY_REGISTRY_URL is not the address of a PostgreSQL database: it looks like postgres://role:password@host/database"
    )]
    RegistryUrl,
    #[error(
        "VESTRY_SECRET_KEY is missing: with a registry of your own it must be set, and stay the same. Make one with: openssl rand -hex 32"
    )]
    NoSecret,
    #[error(
        "VESTRY_SECRET_KEY is too short: it needs at least 32 random characters. Make one with: openssl rand -hex 32"
    )]
    ShortSecret,
    #[error(
        "VESTRY_OPERATOR_TOKEN is too weak: it needs at least 16 characters, all of them ASCII. Make one with: openssl rand -hex 32"
    )]
    OperatorToken,
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    #[error("the registry could not be opened: {}", registry::chain(.0))]
    RegistryOpen(registry::Error),
    #[error("the registry did not do what was asked: {}", registry::chain(.0))]
    Registry(#[from] registry::Error),
    #[error("the registry has no tables yet: start vestry, or run: vestry migrate")]
    NotStarted,
    #[error("the registry's tables are of an older release: start this release, or run: vestry migrate")]
    OlderRegistry,
    #[error(
        "VESTRY_SECRET_KEY is not the key of this installation: with another one no church's database opens. Set the key it was set up with; with the embedded PostgreSQL it is in the data directory, in secret.key"
    )]
    OtherSecret,
    #[error(
        "the registry says that its churches are on the server at {known}, and VESTRY_REGISTRY_URL leads to another PostgreSQL server: if the churches have moved here with it, run: vestry servers set primary --url …"
    )]
    OtherServer { known: String },
    #[error(
        "the server of the registry is known as {name} already, which was added by hand: start with a registry of its own, or remove {name} from database_servers"
    )]
    PrimaryTaken { name: String },
    #[error(
        "STRIPE_SECRET_KEY cannot be a key: it has characters that no key has. Copy it anew from Stripe's dashboard"
    )]
    StripeKey,
    #[error("STRIPE_API_URL is not an address: it looks like https://api.stripe.com")]
    StripeUrl,
    #[error(
        "Stripe cannot be called over TLS ({0}): install the system's root certificates (package ca-certificates)"
    )]
    StripeClient(String),
    #[error(
        "S3_BUCKET is set, and S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are not: both are needed to keep files there"
    )]
    S3Keys,
    #[error("S3_ENDPOINT is not an address: it looks like https://s3.eu-central-1.amazonaws.com")]
    S3Endpoint,
    #[error(
        "OIDC_ISSUER is missing though other OIDC_ settings are there: set it to what the issuer calls itself in its tokens (iss), or unset the others"
    )]
    NoOidcIssuer,
    #[error(
        "OIDC_AUDIENCE is missing: set it to whom the issuer's tokens are for (aud; in Cognito the id of the app client), or unset OIDC_ISSUER"
    )]
    NoOidcAudience,
    #[error(
        "OIDC_JWKS_URL is not an address: it looks like https://issuer.example.org/.well-known/jwks.json, which is also what is taken from OIDC_ISSUER when it is unset"
    )]
    OidcJwksUrl,
    #[error(
        "the issuer of tokens cannot be called over TLS ({}): install the system's root certificates (package ca-certificates)", registry::chain(.0)
    )]
    OidcClient(reqwest::Error),
    #[error("VESTRY_SOURCE_URL is not an address: it looks like https://code.example.org/vestry")]
    SourceUrl,
    #[error("the template of new databases could not be made: {0}")]
    Template(String),
    /// An operator's command that cannot be carried out.
    #[error("{0}")]
    Command(String),
    #[error("the runtime could not be started ({0})")]
    Runtime(std::io::Error),
}
