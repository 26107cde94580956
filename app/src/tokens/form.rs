use crate::forms::{Errors, Form, rules};
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TokenForm {
    pub name: String,
    pub scope: String,
    /// Days, or "never".
    pub expires: String,
    /// Made with the page: the same form sent twice makes one token.
    pub key: String,
}

/// What is stored, and what a person reads.
pub const SCOPES: [(&str, &str); 2] = [("read", "May read"), ("write", "May read and change")];
pub const EXPIRIES: [(&str, &str); 4] =
    [("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), ("never", "Never")];

impl Form for TokenForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("name", rules::required(&self.name, "a name for the token", 80));
        errors.note(
            "scope",
            rules::one_of(&self.scope, "what the token may do", &SCOPES.map(|(value, _)| value)),
        );
        errors.note(
            "expires",
            rules::one_of(&self.expires, "when it expires", &EXPIRIES.map(|(value, _)| value)),
        );
        errors
    }
}

#[cfg(feature = "ssr")]
mod server {
    use super::TokenForm;
    use crate::forms::{Errors, Form, once::new_key, rules::line};
    use chrono::{Duration, Utc};
    use tenant::personal_tokens::{PersonalTokenInput, Scope};

    impl TokenForm {
        /// What a new token starts with: no more than it needs, and an end.
        pub fn blank() -> Self {
            Self { scope: "read".into(), expires: "90".into(), key: new_key(), ..Self::default() }
        }

        /// What the form says, in the words of the `tenant` library; the days are counted from now.
        pub fn details(&self) -> Result<PersonalTokenInput, Errors> {
            let errors = self.check();
            if !errors.is_empty() {
                return Err(errors);
            }
            let expires_at = self.expires.parse().ok().map(|days| Utc::now() + Duration::days(days));
            Ok(PersonalTokenInput {
                name: line(&self.name).unwrap_or_default(),
                scope: Scope::from_name(&self.scope).unwrap_or(Scope::Read),
                expires_at,
            })
        }
    }
}
