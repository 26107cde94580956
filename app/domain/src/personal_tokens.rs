//! Personal access tokens, which admins create for programs of their own.

use crate::{Kind, Record, field, record::section};
use std::sync::LazyLock;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalTokenInput {
    pub name: String,
    /// `read` or `write`.
    pub scope: String,
    /// In days; `never` for a token that does not expire.
    pub expires: String,
}

pub const SCOPES: [(&str, &str); 2] = [("read", "Read only"), ("write", "Read and change")];
const EXPIRIES: [(&str, &str); 4] =
    [("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), ("never", "Never")];

pub static PERSONAL_TOKEN: LazyLock<Record<PersonalTokenInput>> = LazyLock::new(|| Record {
    fields: section(
        "Token",
        [
            field!(PersonalTokenInput.name, "Name", Kind::Text { max: 80 })
                .required("Enter a name for the token.")
                .hint("Where you will use it, for example: our website."),
            field!(PersonalTokenInput.scope, "Access", Kind::choice(&SCOPES))
                .required("Choose what the token may do."),
            field!(PersonalTokenInput.expires, "Expires", Kind::choice(&EXPIRIES))
                .required("Choose when it expires."),
        ],
    ),
    check: |_, _| {},
});
