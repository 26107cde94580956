//! Authentication of operators' programs by `VESTRY_OPERATOR_TOKEN`.

use axum::http::{HeaderMap, header};
use ring::digest::{SHA256, digest};

/// Returns the bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns whether the request carries the operator's token. A missing or empty one never matches.
pub fn is_operator(headers: &HeaderMap, token: &str) -> bool {
    let Some(sent) = bearer(headers).filter(|sent| !sent.is_empty()) else { return false };
    // Compares digests, so that timing leaks nothing about the token.
    digest(&SHA256, sent.as_bytes()).as_ref() == digest(&SHA256, token.as_bytes()).as_ref()
}
