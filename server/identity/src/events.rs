//! What happens around signing in, for the operator's log. No email, name, address or token is written.

use crate::{Error, Identity};
use tracing::Span;

/// From here on, each line of the log about this request names the tenant.
pub(crate) fn in_tenant(id: &str) {
    Span::current().record("tenant", id);
}

impl Identity {
    /// A sign-in that was refused. `account` tells apart attempts at one email from attempts at many: a digest that
    /// only this installation can make.
    pub(crate) fn log_refused(&self, email: &str, error: &Error) {
        let why = match error {
            Error::WrongCredentials => "wrong-credentials",
            Error::TooManyAttempts { .. } => "too-many-attempts",
            Error::Suspended { .. } => "suspended",
            Error::WrongTenant => "wrong-tenant",
            // Logged with its cause, where it is answered.
            _ => return,
        };
        metrics::counter!("vestry_sign_ins_total", "result" => why).increment(1);
        let digest = self.secret.digest("sign-in log", email.as_bytes());
        let account: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        tracing::info!(why, account, "sign-in refused");
    }
}
