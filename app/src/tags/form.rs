use crate::forms::{Errors, Form, rules};
use serde::Deserialize;

/// How long a tag's name may be, in characters.
pub const NAME: usize = 50;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TagForm {
    pub name: String,
    /// Which state of the tag was on the page.
    pub version: String,
}

impl Form for TagForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("name", rules::required(&self.name, "a name for the tag", NAME));
        errors
    }
}

#[cfg(feature = "ssr")]
mod server {
    use super::TagForm;
    use crate::forms::{Errors, Form, rules::line};
    use tenant::{Version, tags::Tag};

    impl TagForm {
        pub fn of(tag: &Tag) -> Self {
            Self { name: tag.name.clone(), version: Version::from(tag.updated_at).to_string() }
        }

        pub fn seen(&self) -> Option<Version> {
            self.version.parse().ok()
        }

        pub fn named(&self) -> Result<String, Errors> {
            let errors = self.check();
            if errors.is_empty() { Ok(line(&self.name).unwrap_or_default()) } else { Err(errors) }
        }
    }
}
