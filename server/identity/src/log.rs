//! Tracing fields. Never records an email, name, address or token.

use tracing::Span;

/// Adds the tenant to the current span.
pub(crate) fn record_tenant(id: &str) {
    Span::current().record("tenant", id);
}
