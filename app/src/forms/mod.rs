//! Forms: their rules, what is wrong with one, and its fields.

pub mod guard;
pub mod rules;

#[cfg(feature = "ssr")]
pub mod fields;
#[cfg(feature = "ssr")]
pub mod once;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A form as it was typed: every field a string, each missing one empty.
pub trait Form: DeserializeOwned + Default {
    /// What is wrong with it, by the rules that need no database.
    fn check(&self) -> Errors;

    /// Reads what a browser sends; whatever else it sends is passed over.
    fn decode(body: &str) -> Self {
        serde_urlencoded::from_str(body).unwrap_or_default()
    }
}

/// What is wrong with a form, in the order of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors(pub Vec<FieldError>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    pub field: String,
    /// Whole sentences that say what to do.
    pub message: String,
}

impl Errors {
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        Self(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// Notes what a rule said of a field; the first word on a field stands.
    pub fn note(&mut self, field: &str, said: Result<(), String>) {
        if let Err(message) = said
            && self.of(field).is_none()
        {
            self.0.push(FieldError { field: field.to_owned(), message });
        }
    }

    /// In the order of the page; what only the server knows is found out last.
    pub fn in_order_of(mut self, fields: &[&str]) -> Self {
        self.0.sort_by_key(|error| fields.iter().position(|field| *field == error.field));
        self
    }

    /// The heading of the summary.
    pub fn heading(&self) -> String {
        match self.0.len() {
            1 => "One thing needs another look".to_owned(),
            n => format!("{n} things need another look"),
        }
    }
}
