//! Validation errors of a form or of a JSON body.

use serde::{Deserialize, Serialize};

/// Result of a rule; the error is a whole sentence that says what to do.
pub type ValidationResult<T = ()> = Result<T, String>;

/// Validation errors, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors(pub Vec<FieldError>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Name of the input; empty for an error of the whole form.
    pub field: String,
    pub message: String,
}

impl Errors {
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        Self(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// An error of the whole form.
    pub fn form(message: impl Into<String>) -> Self {
        Self::one("", message)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the error of a field, if it has one.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// Adds an error. The first error of a field wins.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        if self.of(field).is_none() {
            self.0.push(FieldError { field: field.to_owned(), message: message.into() });
        }
    }

    /// Adds the error of a rule, and returns its value otherwise.
    pub fn check<T>(&mut self, field: &str, result: ValidationResult<T>) -> Option<T> {
        result.map_err(|message| self.add(field, message)).ok()
    }

    /// Sorts by the order of `fields`; errors of the whole form come first.
    pub fn sort_by(&mut self, fields: &[&str]) {
        self.0.sort_by_key(|error| fields.iter().position(|field| *field == error.field));
    }

    /// Heading of the error summary.
    pub fn heading(&self) -> String {
        match self.0.len() {
            1 => "There is a problem".to_owned(),
            n => format!("There are {n} problems"),
        }
    }

    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}
