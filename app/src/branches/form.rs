use crate::forms::{Errors, Form, rules};
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BranchForm {
    pub name: String,
    pub short_code: String,
    pub is_main: String,
    pub parent_id: String,
    pub phone: String,
    pub email: String,
    pub website: String,
    pub address1: String,
    pub address2: String,
    pub city: String,
    pub region: String,
    pub postal_code: String,
    pub country: String,
    pub timezone: String,
    pub service_times: String,
    /// Which state of the branch was on the page.
    pub version: String,
    /// Of a form that adds a branch: what it adds is added once.
    pub key: String,
}

/// The fields, in the order of the page.
const FIELDS: [&str; 15] = [
    "name",
    "short_code",
    "parent_id",
    "service_times",
    "is_main",
    "phone",
    "email",
    "website",
    "address1",
    "address2",
    "city",
    "postal_code",
    "region",
    "country",
    "timezone",
];

impl Form for BranchForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("name", rules::required(&self.name, "the name of the branch", 120));
        errors.note("short_code", rules::optional(&self.short_code, 12));
        errors.note("phone", rules::phone(&self.phone));
        errors.note("email", rules::email(&self.email));
        errors.note("website", rules::website(&self.website));
        errors.note("address1", rules::optional(&self.address1, 200));
        errors.note("address2", rules::optional(&self.address2, 200));
        errors.note("city", rules::optional(&self.city, 120));
        errors.note("region", rules::optional(&self.region, 120));
        errors.note("postal_code", rules::optional(&self.postal_code, 20));
        errors.note("service_times", rules::optional_lines(&self.service_times, 1000));
        if self.timezone.is_empty() {
            errors.note("timezone", Err("Choose the time zone.".into()));
        }
        errors.in_order_of(&FIELDS)
    }
}

#[cfg(feature = "ssr")]
mod server {
    use super::{BranchForm, FIELDS};
    use crate::{
        forms::{
            Errors, Form,
            rules::{line, lines},
        },
        places,
    };
    use identity::ChurchProfile;
    use tenant::{
        Version,
        branches::{Branch, Details},
    };

    impl BranchForm {
        /// What a new branch starts with: where the church is.
        pub fn blank(country: &str, timezone: &str) -> Self {
            Self { country: country.into(), timezone: timezone.into(), ..Self::default() }
        }

        pub fn of(branch: &Branch) -> Self {
            let details = branch.details.clone();
            let country = details.country.unwrap_or_default();
            let phone = details.phone_e164.map(|phone| places::readable(&phone, &country));
            Self {
                name: details.name,
                short_code: details.short_code.unwrap_or_default(),
                is_main: if details.is_main { "on".into() } else { String::new() },
                parent_id: details.parent_id.map(|id| id.to_string()).unwrap_or_default(),
                phone: phone.unwrap_or_default(),
                email: details.email.unwrap_or_default(),
                website: details.website.unwrap_or_default(),
                address1: details.address1.unwrap_or_default(),
                address2: details.address2.unwrap_or_default(),
                city: details.city.unwrap_or_default(),
                region: details.region.unwrap_or_default(),
                postal_code: details.postal_code.unwrap_or_default(),
                country,
                timezone: details.timezone,
                service_times: details.service_times.unwrap_or_default(),
                version: Version::from(branch.updated_at).to_string(),
                key: String::new(),
            }
        }

        pub fn seen(&self) -> Option<Version> {
            self.version.parse().ok()
        }

        /// Converts the form for the `tenant` library. `before` is what is stored of a branch that is changed.
        pub fn details(&self, church: &ChurchProfile, before: Option<&Details>) -> Result<Details, Errors> {
            let mut errors = self.check();
            let country = line(&self.country);
            if country.as_deref().is_some_and(|country| !places::is_country(country)) {
                errors.note("country", Err("Choose a country.".into()));
            }
            if !places::is_timezone(&self.timezone) {
                errors.note("timezone", Err("Choose the time zone.".into()));
            }
            let parent_id = line(&self.parent_id).map(|id| id.parse()).transpose();
            if parent_id.is_err() {
                errors.note("parent_id", Err("Choose one of your branches.".into()));
            }
            let home = country.as_deref().unwrap_or(&church.country);
            let (known, shown_in) = before
                .map(|before| (before.phone_e164.as_deref(), before.country.as_deref().unwrap_or_default()))
                .unwrap_or_default();
            let phone_e164 = places::phone(&self.phone, home, known, shown_in).unwrap_or_else(|message| {
                errors.note("phone", Err(message));
                None
            });
            if !errors.is_empty() {
                return Err(errors.in_order_of(&FIELDS));
            }
            Ok(Details {
                name: line(&self.name).unwrap_or_default(),
                short_code: line(&self.short_code),
                is_main: !self.is_main.is_empty(),
                parent_id: parent_id.unwrap_or_default(),
                phone_e164,
                email: line(&self.email),
                website: line(&self.website).map(with_scheme),
                address1: line(&self.address1),
                address2: line(&self.address2),
                city: line(&self.city),
                region: line(&self.region),
                postal_code: line(&self.postal_code),
                country,
                timezone: self.timezone.clone(),
                service_times: lines(&self.service_times),
            })
        }
    }

    fn with_scheme(website: String) -> String {
        match website.contains("://") {
            true => website,
            false => format!("https://{website}"),
        }
    }
}
