//! Whoever runs the installation, as a program: it shows `VESTRY_OPERATOR_TOKEN`.

use axum::http::{HeaderMap, header};
use ring::digest::{SHA256, digest};

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = bearer(headers).unwrap_or_default();
    // Digests tell nothing by the time it takes to compare them.
    digest(&SHA256, shown.as_bytes()).as_ref() == digest(&SHA256, token.as_bytes()).as_ref()
}
