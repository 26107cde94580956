use crate::forms::{Errors, Form, rules};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ChurchForm {
    pub church: String,
    pub country: String,
    pub timezone: String,
    /// Where the data is to be kept, if there is a choice.
    pub region: String,
}

impl Form for ChurchForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("church", rules::required(&self.church, "the name of your church", 120));
        errors.note("country", chosen(&self.country, "Choose your country."));
        errors.note("timezone", chosen(&self.timezone, "Choose your time zone."));
        #[cfg(feature = "ssr")]
        {
            use crate::places;
            if !places::is_country(&self.country) {
                errors.note("country", Err("Choose your country.".into()));
            }
            if !places::is_timezone(&self.timezone) {
                errors.note("timezone", Err("Choose your time zone.".into()));
            }
        }
        errors
    }
}

fn chosen(value: &str, else_say: &str) -> Result<(), String> {
    if value.is_empty() { Err(else_say.to_owned()) } else { Ok(()) }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FounderForm {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password: String,
    /// Made with the page: the same form sent twice makes one church.
    pub key: String,
}

impl Form for FounderForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("first_name", self.check_names());
        errors.note("last_name", rules::optional(&self.last_name, 80));
        errors.note("email", rules::required(&self.email, "your email address", 254));
        errors.note("email", rules::email(&self.email));
        errors.note("password", rules::password(&self.password, &self.email));
        errors
    }
}

impl FounderForm {
    /// Many people have one name only: it goes into either field.
    fn check_names(&self) -> Result<(), String> {
        if rules::line(&self.first_name).is_none() && rules::line(&self.last_name).is_none() {
            return Err("Enter your name.".into());
        }
        rules::optional(&self.first_name, 80)
    }

    /// All of [`Form::check`], and that nobody who knows the church and the person guesses the password. Only on the
    /// server: what judges that is too large for a browser.
    #[cfg(feature = "ssr")]
    pub async fn check_for(&self, church: &str) -> Errors {
        let mut errors = self.check();
        let known = [church, &self.first_name, &self.last_name, &self.email];
        if errors.of("password").is_none() && identity::is_guessable(&self.password, &known).await {
            errors.note("password", Err(rules::GUESSABLE.into()));
        }
        errors
    }
}
