//! Whoever runs the installation, as a program: it shows `VESTRY_OPERATOR_TOKEN`.

use axum::http::{HeaderMap, header};
use ring::digest::{SHA256, digest};

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares the shown token with the operator's. A missing or empty one never matches.
pub fn shows(headers: &HeaderMap, token: &str) -> bool {
    let Some(shown) = bearer(headers).filter(|shown| !shown.is_empty()) else { return false };
    // Comparing digests leaks nothing through timing.
    digest(&SHA256, shown.as_bytes()).as_ref() == digest(&SHA256, token.as_bytes()).as_ref()
}
