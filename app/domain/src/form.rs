//! A posted form before it is validated.

use serde::{Deserialize, Serialize};

/// The pairs that were posted, in their order. It refills the inputs after an error, and is what `PATCH` merges into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawForm(pub Vec<(String, String)>);

impl RawForm {
    /// Decodes `application/x-www-form-urlencoded`. Bytes that are no text become U+FFFD.
    pub fn decode(body: &str) -> Self {
        Self(serde_urlencoded::from_str(body).unwrap_or_default())
    }

    /// Returns the first value of a name; empty when it was not posted.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// Returns all values of a name: ticked boxes share one.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Replaces the values of a name by one; an empty value is not kept.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        self.set_all(name, [value].into_iter().filter(|value| !value.is_empty()));
    }

    /// Replaces the values of a name.
    pub fn set_all(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }

    /// The form with one more value.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }
}

impl<const N: usize> From<[(&str, &str); N]> for RawForm {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}
