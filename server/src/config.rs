use crate::{Error, address::TrustedProxies, sensitive::Sensitive};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use identity::{Jwks, Oidc};
use std::{net::SocketAddr, num::ParseIntError, path::PathBuf, time::Duration};

/// Settings of all processes, from the command line and the environment.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address on which pages and the API are served.
    #[arg(long, env = "VESTRY_ADDR", default_value = "127.0.0.1:3000", global = true)]
    pub addr: SocketAddr,

    /// Directory of the embedded PostgreSQL, the generated secret, and files.
    #[arg(long, env = "VESTRY_DATA_DIR", default_value = ".vestry", global = true)]
    pub data_dir: PathBuf,

    /// URL of the registry's database. Its role must be allowed to create databases and roles.
    /// Unset: an embedded PostgreSQL in the data directory.
    #[arg(long, env = "VESTRY_REGISTRY_URL", hide_env_values = true, global = true)]
    pub registry_url: Option<Sensitive>,

    /// Key that all other secrets are derived from: at least 32 random characters. Unset with the
    /// embedded PostgreSQL: generated once, and stored in the data directory.
    #[arg(long, env = "VESTRY_SECRET_KEY", hide_env_values = true, global = true)]
    pub secret_key: Option<Sensitive>,

    /// Maximum connections to one database server for its tenants, over all processes. The registry
    /// and provisioning need up to 20 more per process.
    #[arg(long, env = "VESTRY_CONNECTION_BUDGET", default_value_t = 80, global = true,
          value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub connection_budget: u32,

    /// Maximum connections to the database of one tenant.
    #[arg(long, env = "VESTRY_TENANT_CONNECTIONS", default_value_t = 4, global = true,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub tenant_connections: u32,

    /// Seconds between the stop signal, after which /readyz answers 503, and the end of serving.
    #[arg(long, env = "VESTRY_DRAIN_SECONDS", default_value_t = 2, global = true,
          value_parser = clap::value_parser!(u32).range(0..=300))]
    pub drain_seconds: u32,

    /// Number of databases kept ready on every database server for new churches.
    #[arg(long, env = "VESTRY_READY_DATABASES", default_value_t = 5, global = true,
          value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub ready_databases: u32,

    /// Isolation of new churches: a dedicated database each, or a dedicated schema, which needs less
    /// disk. Existing churches keep theirs.
    #[arg(long, env = "VESTRY_ISOLATION", value_enum, default_value_t, global = true)]
    pub isolation: Isolation,

    /// Bearer token that operators' programs send to read /metrics and to call /api/tenants: at least
    /// 16 characters. Unset: /metrics from this machine only, and no such calls.
    #[arg(long, env = "VESTRY_OPERATOR_TOKEN", hide_env_values = true, global = true)]
    pub operator_token: Option<Sensitive>,

    /// Addresses and networks of the proxies whose X-Forwarded-For is trusted, separated by commas;
    /// none: no proxy.
    #[arg(long, env = "VESTRY_TRUSTED_PROXIES", default_value = "127.0.0.0/8,::1", global = true)]
    pub trusted_proxies: TrustedProxies,

    /// Maximum client connections. The limit on open files may allow fewer.
    #[arg(long, env = "VESTRY_HTTP_CONNECTIONS", default_value_t = 4096, global = true,
          value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub http_connections: u32,

    /// Maximum connections from one address other than a trusted proxy. IPv6 counts by /64.
    #[arg(long, env = "VESTRY_HTTP_CONNECTIONS_PER_ADDRESS", default_value_t = 200, global = true,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub http_connections_per_address: u32,

    #[command(flatten)]
    pub deadlines: Deadlines,

    /// API requests per minute, from one address and by one account; four times as many for one church.
    #[arg(long, env = "VESTRY_API_RATE", default_value_t = 1200, global = true,
          value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub api_rate: u32,

    /// Format of the log on stderr: text, or JSON for programs.
    #[arg(long, env = "VESTRY_LOG", value_enum, default_value_t, global = true)]
    pub log: Log,

    /// Public URL, for cookies and links. Unset: http:// and VESTRY_ADDR.
    #[arg(long, env = "VESTRY_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,

    /// URL of the source code of this version, linked at the foot of every page. The AGPL requires it of
    /// operators who run a modified version.
    #[arg(long, env = "VESTRY_SOURCE_URL", global = true)]
    pub source_url: Option<String>,

    /// Stripe's secret key (sk_…), or a restricted one (rk_…) that may write customers and subscriptions.
    /// Unset: trials without billing.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, global = true)]
    pub stripe_secret_key: Option<Sensitive>,

    /// URL of Stripe's API.
    #[arg(long, env = "STRIPE_API_URL", default_value = "https://api.stripe.com", global = true)]
    pub stripe_api_url: String,

    /// Price (price_…) that a church is subscribed to, billed after its trial of 14 days.
    /// Unset: churches become customers without a subscription.
    #[arg(long, env = "STRIPE_PRICE", global = true)]
    pub stripe_price: Option<String>,

    /// Bucket for files and pictures. Unset: the data directory.
    #[arg(long, env = "S3_BUCKET", global = true)]
    pub s3_bucket: Option<String>,

    /// URL of the S3-compatible storage. Unset: Amazon S3, in the region.
    #[arg(long, env = "S3_ENDPOINT", global = true)]
    pub s3_endpoint: Option<String>,

    /// Region of the bucket.
    #[arg(long, env = "S3_REGION", default_value = "us-east-1", global = true)]
    pub s3_region: String,

    /// Id of the key that may read, write and delete in the bucket.
    #[arg(long, env = "S3_ACCESS_KEY_ID", hide_env_values = true, global = true)]
    pub s3_access_key_id: Option<Sensitive>,

    /// Secret of that key.
    #[arg(long, env = "S3_SECRET_ACCESS_KEY", hide_env_values = true, global = true)]
    pub s3_secret_access_key: Option<Sensitive>,

    /// Maximum total size of one church's files and pictures, such as 1GiB.
    #[arg(long, env = "VESTRY_FILE_QUOTA", default_value = "1GiB", global = true)]
    pub file_quota: ByteSize,

    /// Maximum number of one church's files and pictures.
    #[arg(long, env = "VESTRY_FILE_QUOTA_COUNT", default_value_t = 20_000, global = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub file_quota_count: u32,

    /// Free disk space of the data directory below which files and pictures are rejected, such as
    /// 512MiB. Ignored with a bucket.
    #[arg(long, env = "VESTRY_MIN_FREE_DISK", default_value = "512MiB", global = true)]
    pub min_free_disk: ByteSize,

    #[command(flatten)]
    pub stripe_timeouts: StripeTimeouts,

    /// Issuer of OpenID Connect tokens (iss), such as AWS Cognito. Unset: Vestry's own tokens only.
    #[arg(long, env = "OIDC_ISSUER", global = true)]
    pub oidc_issuer: Option<String>,

    /// URL of the issuer's keys. Unset: /.well-known/jwks.json below OIDC_ISSUER.
    #[arg(long, env = "OIDC_JWKS_URL", global = true)]
    pub oidc_jwks_url: Option<String>,

    /// Required audience of its tokens (aud): in Cognito the id of the app client.
    #[arg(long, env = "OIDC_AUDIENCE", global = true)]
    pub oidc_audience: Option<String>,

    /// Claim with the id of the only church that a token opens. Must be writable by the issuer's administrators only:
    /// with it, the email counts as verified.
    #[arg(long, env = "OIDC_TENANT_CLAIM", global = true)]
    pub oidc_tenant_claim: Option<String>,

    /// Minimum milliseconds between two fetches of the issuer's keys. Hidden: for tests.
    #[arg(long, default_value = "30000", hide = true, global = true, value_parser = millis)]
    pub oidc_refetch_interval: Duration,
}

/// Timeouts of calls to Stripe. Hidden: for tests.
#[derive(Args, Clone, Copy, Debug)]
pub struct StripeTimeouts {
    /// Timeout of one call, in milliseconds.
    #[arg(long = "stripe-deadline", default_value = "10000", hide = true, global = true, value_parser = millis)]
    pub deadline: Duration,

    /// Delay between the first and the second attempt.
    #[arg(long = "stripe-backoff", default_value = "1000", hide = true, global = true, value_parser = millis)]
    pub backoff: Duration,

    /// How long the circuit breaker stays open.
    #[arg(long = "stripe-pause", default_value = "30000", hide = true, global = true, value_parser = millis)]
    pub pause: Duration,
}

/// Deadlines for clients. Hidden: for tests.
#[derive(Args, Clone, Copy, Debug)]
pub struct Deadlines {
    /// For the headers of a request, from the first byte.
    #[arg(long = "header-deadline", default_value = "15000", hide = true, global = true, value_parser = millis)]
    pub headers: Duration,

    /// Between two chunks of a request body, and of a response body that the client reads.
    #[arg(long = "transfer-deadline", default_value = "30000", hide = true, global = true, value_parser = millis)]
    pub transfer: Duration,

    /// Between two requests. Longer than proxies keep connections (60 s), so that they close first.
    #[arg(long = "idle-deadline", default_value = "75000", hide = true, global = true, value_parser = millis)]
    pub idle: Duration,

    /// Age at which an event stream ends; the browser then reconnects.
    #[arg(long = "stream-age", default_value = "600000", hide = true, global = true, value_parser = millis)]
    pub stream: Duration,
}

fn millis(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
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

impl Config {
    pub fn limits(&self) -> tenant::Limits {
        tenant::Limits {
            // Zero until the first heartbeat allots connections.
            per_server: 0,
            per_tenant: self.tenant_connections as usize,
            wait: Duration::from_secs(5),
            idle: Duration::from_secs(60),
        }
    }

    /// Returns the OIDC issuer, if it is configured completely.
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
        let keys = Jwks::new(keys, self.oidc_refetch_interval).map_err(Error::OidcClient)?;
        let trimmed = |value: String| value.trim().to_owned();
        Ok(Some(Oidc::new(trimmed(issuer), trimmed(audience), claim.map(trimmed), keys)))
    }

    /// Returns the URL of the source code: the setting, or else the package's `repository`, which may be empty.
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

    /// Validates the operator's token: long enough not to be guessed, and valid in a header.
    pub fn operator_token(&self) -> Result<Option<Sensitive>, Error> {
        let Some(token) = self.operator_token.as_deref().map(str::trim).filter(|token| !token.is_empty())
        else {
            return Ok(None);
        };
        let usable = token.len() >= 16 && token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        usable.then(|| Some(token.into())).ok_or(Error::OperatorToken)
    }

    /// Returns whether browsers use https, so that cookies may require it.
    pub fn is_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.trim().to_ascii_lowercase().starts_with("https://"))
    }
}
