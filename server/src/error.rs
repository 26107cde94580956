use std::{net::SocketAddr, path::PathBuf};

/// Error that ends the process; worded for the operator, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read .env ({0}): make it readable, or remove it")]
    EnvFile(std::io::Error),
    #[error(
        ".env, line {0}: not a setting. Write NAME=value, and put a value with spaces, quotes, $ or \\ in 'single quotes'"
    )]
    EnvFileLine(usize),
    #[error(
        "cannot listen on {addr} ({source}): stop the program that uses it, or set VESTRY_ADDR to another address"
    )]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("cannot write to {} ({source}): make it writable, or set VESTRY_DATA_DIR to another folder", path.display())]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error(
        "VESTRY_REGISTRY_URL is not the URL of a PostgreSQL database, such as postgres://role:password@host/database"
    )]
    RegistryUrl,
    #[error(
        "VESTRY_SECRET_KEY is missing: VESTRY_REGISTRY_URL requires it, and it must never change. Generate one with: openssl rand -hex 32"
    )]
    NoSecret,
    #[error(
        "VESTRY_SECRET_KEY is too short: it needs at least 32 random characters. Generate one with: openssl rand -hex 32"
    )]
    ShortSecret,
    #[error(
        "VESTRY_OPERATOR_TOKEN is too weak: it needs at least 16 characters, all of them ASCII. Generate one with: openssl rand -hex 32"
    )]
    OperatorToken,
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    #[error("cannot open the registry: {}", registry::chain(.0))]
    RegistryOpen(registry::Error),
    #[error("the registry failed: {}", registry::chain(.0))]
    Registry(#[from] registry::Error),
    #[error("the registry has no tables: start vestry, or run: vestry migrate")]
    NotStarted,
    #[error("the registry's tables belong to an older release: start this release, or run: vestry migrate")]
    OlderRegistry,
    #[error(
        "VESTRY_SECRET_KEY is not the key of this installation, so its databases do not open. Set the original key; with the embedded PostgreSQL it is in secret.key in the data directory"
    )]
    OtherSecret,
    #[error(
        "the registry's churches are stored on the server at {known}, but VESTRY_REGISTRY_URL leads to another PostgreSQL server. If the churches have moved with it, run: vestry servers set primary --url …"
    )]
    OtherServer { known: String },
    #[error(
        "the registry's server was already added as {name}: use another registry, or remove {name} from database_servers"
    )]
    PrimaryTaken { name: String },
    #[error("STRIPE_SECRET_KEY has characters that no key has: copy it again from Stripe's dashboard")]
    StripeKey,
    #[error("STRIPE_API_URL is not a URL such as https://api.stripe.com")]
    StripeUrl,
    #[error(
        "cannot call Stripe over TLS ({0}): install the system's root certificates (package ca-certificates)"
    )]
    StripeClient(String),
    #[error("S3_BUCKET requires S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY")]
    S3Keys,
    #[error("S3_ENDPOINT is not a URL such as https://s3.eu-central-1.amazonaws.com")]
    S3Endpoint,
    #[error(
        "OIDC_ISSUER is missing, but other OIDC_ settings are set: set it to the issuer's `iss`, or unset the others"
    )]
    NoOidcIssuer,
    #[error(
        "OIDC_AUDIENCE is missing: set it to the `aud` of the issuer's tokens (in Cognito the id of the app client), or unset OIDC_ISSUER"
    )]
    NoOidcAudience,
    #[error(
        "OIDC_JWKS_URL is not a URL such as https://issuer.example.org/.well-known/jwks.json; unset, it is derived from OIDC_ISSUER"
    )]
    OidcJwksUrl,
    #[error(
        "cannot call the token issuer over TLS ({}): install the system's root certificates (package ca-certificates)", registry::chain(.0)
    )]
    OidcClient(reqwest::Error),
    #[error("VESTRY_SOURCE_URL is not a URL such as https://code.example.org/vestry")]
    SourceUrl,
    #[error("cannot create the template database: {0}")]
    Template(String),
    /// A command failed.
    #[error("{0}")]
    Command(String),
    #[error("cannot start the async runtime ({0})")]
    Runtime(std::io::Error),
}
