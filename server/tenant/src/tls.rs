//! URLs of database servers, and their TLS settings.

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{fmt, net::IpAddr, path::Path};

/// Parses the URL of a database server. Remote servers default to `sslmode=verify-full` unless the URL or PGSSLMODE names
/// a weaker mode: sqlx sends the password in clear text to any server that asks.
///
/// # Errors
/// The URL cannot be parsed.
pub fn connect_options(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    let verified_by_default = !is_local(&options) && !names_mode(url);
    Ok(if verified_by_default { options.ssl_mode(PgSslMode::VerifyFull) } else { options })
}

/// Returns the `sslmode` of a remote server weaker than `verify-full`; otherwise `None`.
pub fn weaker_mode(options: &PgConnectOptions) -> Option<&'static str> {
    let mode = match options.get_ssl_mode() {
        PgSslMode::VerifyFull => return None,
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::Require => "require",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Allow => "allow",
        PgSslMode::Disable => "disable",
    };
    (!is_local(options)).then_some(mode)
}

/// Returns whether the server is local: a Unix socket, or a loopback address.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn names_mode(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let named = |pair: &str| matches!(pair.split('=').next(), Some("sslmode" | "ssl-mode"));
    query.split('&').any(named) || std::env::var_os("PGSSLMODE").is_some()
}

/// TLS settings of a server's URL; its tenants' connections use them too.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls(Vec<(String, String)>);

impl Tls {
    pub fn from_options(options: &PgConnectOptions) -> Self {
        // sqlx has no getters for certificates, but its URL contains them. Host and role are replaced, as not all fit into a
        // URL.
        let url = options.clone().host("localhost").username("tls").to_url_lossy();
        let settings = url.query_pairs().filter(|(name, _)| name.starts_with("ssl"));
        // sqlx writes "file: " before a path.
        let value = |value: &str| value.strip_prefix("file: ").unwrap_or(value).to_owned();
        Self(settings.map(|(name, text)| (name.into_owned(), value(&text))).collect())
    }

    pub(crate) fn apply(&self, options: PgConnectOptions) -> PgConnectOptions {
        self.0.iter().fold(options, |options, (name, value)| match name.as_str() {
            "sslmode" => options.ssl_mode(value.parse().unwrap_or(PgSslMode::VerifyFull)),
            "sslrootcert" if is_pem(value) => options.ssl_root_cert_from_pem(value.clone().into_bytes()),
            "sslrootcert" => options.ssl_root_cert(Path::new(value)),
            "sslcert" if is_pem(value) => options.ssl_client_cert_from_pem(value),
            "sslcert" => options.ssl_client_cert(Path::new(value)),
            "sslkey" if is_pem(value) => options.ssl_client_key_from_pem(value),
            "sslkey" => options.ssl_client_key(Path::new(value)),
            _ => options,
        })
    }
}

/// Prints the mode only: settings may contain a private key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.0.iter().find(|(name, _)| name == "sslmode").map(|(_, value)| value.as_str());
        f.debug_tuple("Tls").field(&mode.unwrap_or("default")).finish()
    }
}

fn is_pem(value: &str) -> bool {
    value.contains("-----BEGIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_machine_is_verified_unless_a_weaker_mode_is_named() {
        for (url, weaker, mode) in [
            ("postgres://a:b@db.example.org/x", None, "verify-full"),
            ("postgres://a:b@192.0.2.1/x?application_name=sslmode", None, "verify-full"),
            ("postgres://a:b@[2001:db8::1]/x", None, "verify-full"),
            ("postgres://a:b@db.example.org/x?sslmode=verify-full", None, "verify-full"),
            ("postgres://a:b@db.example.org/x?sslmode=prefer", Some("prefer"), "prefer"),
            ("postgres://a:b@db.example.org/x?ssl-mode=require", Some("require"), "require"),
            ("postgres://a:b@db.example.org/x?sslmode=disable", Some("disable"), "disable"),
            ("postgres://a:b@db.example.org/x?sslmode=verify-ca", Some("verify-ca"), "verify-ca"),
            ("postgres://a:b@localhost/x", None, "prefer"),
            ("postgres://a:b@127.0.0.2/x", None, "prefer"),
            ("postgres://a:b@[::1]/x", None, "prefer"),
            ("postgres://a:b@%2Frun%2Fpostgresql/x", None, "prefer"),
        ] {
            let options = connect_options(url).unwrap();
            assert_eq!(weaker_mode(&options), weaker, "{url}");
            assert_eq!(format!("{:?}", Tls::from_options(&options)), format!("Tls({mode:?})"), "{url}");
        }
    }

    #[test]
    fn tls_settings_are_carried_over_whole() {
        let url = "postgres://a:b@db.example.org/x?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem";
        let tls = Tls::from_options(&connect_options(url).unwrap());
        let other = tls.apply(PgConnectOptions::new_without_pgpass().host("other").username("tenant"));
        assert_eq!(Tls::from_options(&other), tls);
        assert_eq!(tls.0.len(), 4);
        assert_ne!(Tls::from_options(&connect_options("postgres://a:b@db.example.org/x").unwrap()), tls);
    }
}
