use crate::{
    Error,
    address::TrustedProxies,
    commands::{admins, doctor, keys, servers, tenants},
    sensitive::Sensitive,
};
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use identity::{Jwks, Oidc};
use std::{net::SocketAddr, num::ParseIntError, path::PathBuf, time::Duration};

/// The office that churches run on: every church owns its own database.
#[derive(Clone, Debug, Parser)]
#[command(name = "vestry", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where pages and the API are served.
    #[arg(long, env = "VESTRY_ADDR", default_value = "127.0.0.1:3000", global = true)]
    pub addr: SocketAddr,

    /// Embedded PostgreSQL, generated secret, files and mail.
    #[arg(long, env = "VESTRY_DATA_DIR", default_value = ".vestry", global = true)]
    pub data_dir: PathBuf,

    /// The registry's database, as a URL. Its role must be allowed to create databases and roles.
    /// Unset: a PostgreSQL of Vestry's own, in the data directory.
    #[arg(long, env = "VESTRY_REGISTRY_URL", hide_env_values = true, global = true)]
    pub registry_url: Option<Sensitive>,

    /// What all other secrets are derived from: at least 32 random characters. Unset with the
    /// embedded PostgreSQL: made once, and kept in the data directory.
    #[arg(long, env = "VESTRY_SECRET_KEY", hide_env_values = true, global = true)]
    pub secret_key: Option<Sensitive>,

    /// The most connections to one database server for its tenants, over all processes. The registry
    /// and provisioning need up to 20 more for each process.
    #[arg(long, env = "VESTRY_CONNECTION_BUDGET", default_value_t = 80, global = true,
          value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub connection_budget: u32,

    /// The most connections to the database of one tenant.
    #[arg(long, env = "VESTRY_TENANT_CONNECTIONS", default_value_t = 4, global = true,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub tenant_connections: u32,

    /// How many databases stand ready on every database server for churches that sign up.
    #[arg(long, env = "VESTRY_READY_DATABASES", default_value_t = 5, global = true,
          value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub ready_databases: u32,

    /// How the data of churches that sign up is kept apart: each in a database of its own, or in a
    /// schema of its own, which takes less room. Those that are there stay as they are.
    #[arg(long, env = "VESTRY_ISOLATION", value_enum, default_value_t, global = true)]
    pub isolation: Isolation,

    /// What an operator's program shows, as a bearer token, to read /metrics and to call
    /// /api/tenants: at least 16 characters. Unset: metrics only from this machine, and no such calls.
    #[arg(long, env = "VESTRY_OPERATOR_TOKEN", hide_env_values = true, global = true)]
    pub operator_token: Option<Sensitive>,

    /// Addresses and networks of the proxies whose X-Forwarded-For is believed, separated by commas;
    /// none: nobody's.
    #[arg(long, env = "VESTRY_TRUSTED_PROXIES", default_value = "127.0.0.0/8,::1", global = true)]
    pub trusted_proxies: TrustedProxies,

    /// The most connections of clients in all. The limit on open files may allow fewer.
    #[arg(long, env = "VESTRY_HTTP_CONNECTIONS", default_value_t = 4096, global = true,
          value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub http_connections: u32,

    /// The most connections from one address that is no trusted proxy. IPv6 counts by /64.
    #[arg(long, env = "VESTRY_HTTP_CONNECTIONS_PER_ADDRESS", default_value_t = 200, global = true,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub http_connections_per_address: u32,

    #[command(flatten)]
    pub deadlines: Deadlines,

    /// How many requests of the API are answered in a minute, from one address and by one account; four times as
    /// many for one church.
    #[arg(long, env = "VESTRY_API_RATE", default_value_t = 1200, global = true,
          value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub api_rate: u32,

    /// How the log is written, to stderr: lines for people, or JSON for programs.
    #[arg(long, env = "VESTRY_LOG", value_enum, default_value_t, global = true)]
    pub log: Log,

    /// The address people see, for cookies and links. Unset: http:// and VESTRY_ADDR.
    #[arg(long, env = "VESTRY_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,

    /// Where the source code of this version can be downloaded: linked at the foot of every page, as the AGPL asks
    /// of whoever runs a modified version.
    #[arg(long, env = "VESTRY_SOURCE_URL", global = true)]
    pub source_url: Option<String>,

    /// Stripe's secret key (sk_…), or a restricted one (rk_…) that may write customers and subscriptions.
    /// Unset: trials without billing.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, global = true)]
    pub stripe_secret_key: Option<Sensitive>,

    /// Where Stripe is reached.
    #[arg(long, env = "STRIPE_API_URL", default_value = "https://api.stripe.com", global = true)]
    pub stripe_api_url: String,

    /// The price (price_…) that a church is subscribed to, to be billed when its trial of 14 days is over.
    /// Unset: churches become customers only, and the trial is Vestry's own.
    #[arg(long, env = "STRIPE_PRICE", global = true)]
    pub stripe_price: Option<String>,

    /// The bucket in which files and pictures are kept. Unset: the data directory.
    #[arg(long, env = "S3_BUCKET", global = true)]
    pub s3_bucket: Option<String>,

    /// Where object storage that speaks S3 is reached. Unset: Amazon's, in the region.
    #[arg(long, env = "S3_ENDPOINT", global = true)]
    pub s3_endpoint: Option<String>,

    /// The region of the bucket.
    #[arg(long, env = "S3_REGION", default_value = "us-east-1", global = true)]
    pub s3_region: String,

    /// The key that may read, write and delete in the bucket.
    #[arg(long, env = "S3_ACCESS_KEY_ID", hide_env_values = true, global = true)]
    pub s3_access_key_id: Option<Sensitive>,

    /// Its secret half.
    #[arg(long, env = "S3_SECRET_ACCESS_KEY", hide_env_values = true, global = true)]
    pub s3_secret_access_key: Option<Sensitive>,

    /// How much the files and pictures of one church may have, such as 1GiB.
    #[arg(long, env = "VESTRY_FILE_QUOTA", default_value = "1GiB", global = true)]
    pub file_quota: ByteSize,

    /// How many files and pictures one church may have.
    #[arg(long, env = "VESTRY_FILE_QUOTA_COUNT", default_value_t = 20_000, global = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub file_quota_count: u32,

    /// Files and pictures are refused when less than this would stay free on the disk of the data directory, such as
    /// 512MiB. Not in a bucket.
    #[arg(long, env = "VESTRY_MIN_FREE_DISK", default_value = "512MiB", global = true)]
    pub min_free_disk: ByteSize,

    #[command(flatten)]
    pub stripe_patience: Patience,

    /// The issuer of OpenID Connect tokens, such as AWS Cognito, as it calls itself in them (iss). Unset: our own
    /// tokens only.
    #[arg(long, env = "OIDC_ISSUER", global = true)]
    pub oidc_issuer: Option<String>,

    /// Where that issuer publishes its keys. Unset: /.well-known/jwks.json below OIDC_ISSUER.
    #[arg(long, env = "OIDC_JWKS_URL", global = true)]
    pub oidc_jwks_url: Option<String>,

    /// Whom its tokens must be for (aud): in Cognito the id of the app client.
    #[arg(long, env = "OIDC_AUDIENCE", global = true)]
    pub oidc_audience: Option<String>,

    /// The claim that names the one church a token opens, where it has that claim. Only the issuer's
    /// administrators may be able to write it: with it an email counts without being verified.
    #[arg(long, env = "OIDC_TENANT_CLAIM", global = true)]
    pub oidc_tenant_claim: Option<String>,

    /// So many milliseconds pass between two looks at the issuer's keys. Not for operators: tests have less patience.
    #[arg(long, default_value = "30000", hide = true, global = true, value_parser = millis)]
    pub oidc_pause: Duration,
}

/// How long Stripe is waited for. Not for operators: tests have less patience.
#[derive(Args, Clone, Copy, Debug)]
pub struct Patience {
    /// A call is given up after so many milliseconds.
    #[arg(long = "stripe-deadline", default_value = "10000", hide = true, global = true, value_parser = millis)]
    pub deadline: Duration,

    /// From the first attempt at a job to the second.
    #[arg(long = "stripe-backoff", default_value = "1000", hide = true, global = true, value_parser = millis)]
    pub backoff: Duration,

    /// No call is made for so long after several in a row have failed.
    #[arg(long = "stripe-pause", default_value = "30000", hide = true, global = true, value_parser = millis)]
    pub pause: Duration,
}

/// How long a client may take. Not for operators: tests have less patience.
#[derive(Args, Clone, Copy, Debug)]
pub struct Deadlines {
    /// For the headers of a request, from their first byte on.
    #[arg(long = "header-deadline", default_value = "15000", hide = true, global = true, value_parser = millis)]
    pub headers: Duration,

    /// Between two parts of a body, and between two parts of an answer that the client takes.
    #[arg(long = "transfer-deadline", default_value = "30000", hide = true, global = true, value_parser = millis)]
    pub transfer: Duration,

    /// Between two requests. Longer than proxies keep their connections (60 s), so that they close them first.
    #[arg(long = "idle-deadline", default_value = "75000", hide = true, global = true, value_parser = millis)]
    pub idle: Duration,

    /// The age at which an event stream ends; the browser then connects again.
    #[arg(long = "stream-age", default_value = "600000", hide = true, global = true, value_parser = millis)]
    pub stream: Duration,
}

fn millis(given: &str) -> Result<Duration, ParseIntError> {
    given.parse().map(Duration::from_millis)
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Log {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Isolation {
    #[default]
    Database,
    Schema,
}

impl From<Isolation> for registry::tenants::Isolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Database => Self::Database,
            Isolation::Schema => Self::Schema,
        }
    }
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve pages, and provision churches (the default)
    Serve,
    /// Provision churches only, beside processes that serve
    Work,
    /// Exit with 0 if the server on VESTRY_ADDR answers, for container engines
    Healthcheck,
    /// Bring the registry's tables to this release, which `serve` and `work` do too when they start
    Migrate,
    /// Compare the registry with the database servers, and say what does not fit and what to do
    Doctor(doctor::Options),
    /// The churches of this installation
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// The people who sign in to churches
    #[command(subcommand)]
    Admins(admins::Command),
    /// What the access tokens of the API are signed with
    #[command(subcommand)]
    Keys(keys::Command),
    /// The database servers they live on
    #[command(subcommand)]
    Servers(servers::Command),
}

impl Config {
    pub fn limits(&self) -> tenant::Limits {
        tenant::Limits {
            // Nothing before the other processes have agreed.
            per_server: 0,
            per_tenant: self.tenant_connections as usize,
            wait: Duration::from_secs(5),
            idle: Duration::from_secs(60),
        }
    }

    /// The outside issuer whose tokens are believed, if one is configured, and then wholly.
    pub fn oidc(&self) -> Result<Option<Oidc>, Error> {
        let (audience, claim) = (self.oidc_audience.clone(), self.oidc_tenant_claim.clone());
        let Some(issuer) = self.oidc_issuer.clone() else {
            let half = audience.or(claim).or(self.oidc_jwks_url.clone());
            return if half.is_some() { Err(Error::NoOidcIssuer) } else { Ok(None) };
        };
        let audience = audience.ok_or(Error::NoOidcAudience)?;
        let keys = self
            .oidc_jwks_url
            .clone()
            .unwrap_or_else(|| format!("{}/.well-known/jwks.json", issuer.trim().trim_end_matches('/')));
        let keys: reqwest::Url = keys.trim().parse().map_err(|_| Error::OidcJwksUrl)?;
        if !matches!(keys.scheme(), "https" | "http") {
            return Err(Error::OidcJwksUrl);
        }
        let keys = Jwks::new(keys, self.oidc_pause).map_err(Error::OidcClient)?;
        let trimmed = |value: String| value.trim().to_owned();
        Ok(Some(Oidc::new(trimmed(issuer), trimmed(audience), claim.map(trimmed), keys)))
    }

    /// Returns where the source code is offered: the setting, or else the package's `repository`, which need not be set
    /// either.
    pub fn source_url(&self) -> Result<Option<String>, Error> {
        let url = self.source_url.as_deref().unwrap_or(env!("CARGO_PKG_REPOSITORY")).trim();
        if url.is_empty() {
            return Ok(None);
        }
        let parsed: reqwest::Url = url.parse().map_err(|_| Error::SourceUrl)?;
        match parsed.scheme() {
            "https" | "http" => Ok(Some(parsed.into())),
            _ => Err(Error::SourceUrl),
        }
    }

    /// The operator's token. A short one could be guessed, and one that no header can carry would match nobody.
    pub fn operator_token(&self) -> Result<Option<Sensitive>, Error> {
        let Some(token) = self.operator_token.as_deref().map(str::trim).filter(|token| !token.is_empty())
        else {
            return Ok(None);
        };
        let usable = token.len() >= 16 && token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        usable.then(|| Some(token.into())).ok_or(Error::OperatorToken)
    }

    /// Whether browsers reach us over https, and cookies may insist on it.
    pub fn is_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.trim().to_ascii_lowercase().starts_with("https://"))
    }
}
