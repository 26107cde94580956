use crate::{
    forms::{Errors, Form, rules},
    tags::form::NAME,
};
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemberForm {
    pub prefix: String,
    pub first_name: String,
    pub middle_name: String,
    pub last_name: String,
    pub suffix: String,
    pub preferred_name: String,
    pub branch_id: String,
    pub status_id: String,
    pub household_role: String,
    pub gender: String,
    pub marital_status: String,
    pub birth_year: String,
    pub birth_month: String,
    pub birth_day: String,
    pub anniversary: String,
    pub first_contact_on: String,
    pub joined_on: String,
    pub baptised_on: String,
    pub email: String,
    pub mobile: String,
    pub home_phone: String,
    pub notes: String,
    /// The names of those that are ticked.
    #[serde(skip)]
    pub tags: Vec<String>,
    /// More of them, with commas between.
    pub new_tags: String,
    /// Which state of the member was on the page.
    pub version: String,
    /// Of a form that adds a member: what it adds is added once.
    pub key: String,
}

/// What is stored, and what a person reads.
pub const HOUSEHOLD_ROLES: [(&str, &str); 4] =
    [("head", "Head of the household"), ("spouse", "Spouse"), ("child", "Child"), ("other", "Other")];
pub const GENDERS: [(&str, &str); 3] =
    [("unspecified", "Not specified"), ("female", "Female"), ("male", "Male")];
pub const MARITAL_STATUSES: [(&str, &str); 5] = [
    ("unknown", "Not known"),
    ("single", "Single"),
    ("married", "Married"),
    ("divorced", "Divorced"),
    ("widowed", "Widowed"),
];
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The fields, in the order of the page.
const FIELDS: [&str; 23] = [
    "first_name",
    "last_name",
    "preferred_name",
    "middle_name",
    "prefix",
    "suffix",
    "branch_id",
    "status_id",
    "first_contact_on",
    "joined_on",
    "baptised_on",
    "tags",
    "mobile",
    "home_phone",
    "email",
    "household_role",
    "marital_status",
    "gender",
    "anniversary",
    "birth_day",
    "birth_month",
    "birth_year",
    "notes",
];

impl Form for MemberForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("prefix", rules::optional(&self.prefix, 20));
        errors.note("first_name", rules::optional(&self.first_name, 80));
        errors.note("middle_name", rules::optional(&self.middle_name, 80));
        errors.note("last_name", rules::optional(&self.last_name, 80));
        if rules::nameless(&self.first_name, &self.last_name) {
            errors.note("first_name", Err("Enter a first or last name.".into()));
            errors.note("last_name", Err("Enter a last or first name.".into()));
        }
        errors.note("suffix", rules::optional(&self.suffix, 20));
        errors.note("preferred_name", rules::optional(&self.preferred_name, 80));
        errors.note("email", rules::email(&self.email));
        errors.note("mobile", rules::phone(&self.mobile));
        errors.note("home_phone", rules::phone(&self.home_phone));
        if self.branch_id.is_empty() {
            errors.note("branch_id", Err("Choose the branch.".into()));
        }
        if self.status_id.is_empty() {
            errors.note("status_id", Err("Choose the status.".into()));
        }
        errors.note("household_role", listed(&self.household_role, "the role", &HOUSEHOLD_ROLES));
        errors.note("gender", listed(&self.gender, "the gender", &GENDERS));
        errors.note("marital_status", listed(&self.marital_status, "the marital status", &MARITAL_STATUSES));
        errors.note("birth_year", rules::number(&self.birth_year, 1850, 2200));
        errors.note("birth_month", rules::number(&self.birth_month, 1, 12));
        errors.note("birth_day", rules::number(&self.birth_day, 1, 31));
        errors.note("birth_day", self.birthday());
        for (field, date) in [
            ("joined_on", &self.joined_on),
            ("baptised_on", &self.baptised_on),
            ("first_contact_on", &self.first_contact_on),
            ("anniversary", &self.anniversary),
        ] {
            errors.note(field, rules::date(date));
        }
        errors.note("notes", rules::optional_lines(&self.notes, 10_000));
        errors.note("tags", self.tagged());
        errors.in_order_of(&FIELDS)
    }

    /// A box that is ticked is sent for each tag, all under one name.
    fn decode(body: &str) -> Self {
        let sent: Vec<(String, String)> = serde_urlencoded::from_str(body).unwrap_or_default();
        let tags = sent.into_iter().filter(|(name, _)| name == "tags").map(|(_, tag)| tag).collect();
        Self { tags, ..serde_urlencoded::from_str(body).unwrap_or_default() }
    }
}

/// How many tags a member may bear.
const TAGS: usize = 20;

impl MemberForm {
    /// The names of all tags, each once however it is written.
    pub fn tag_names(&self) -> Vec<String> {
        let named = self.tags.iter().map(String::as_str).chain(self.new_tags.split(','));
        let mut seen = HashSet::new();
        named.filter_map(rules::line).filter(|name| seen.insert(name.to_lowercase())).collect()
    }

    fn tagged(&self) -> Result<(), String> {
        let names = self.tag_names();
        if self.tags.iter().any(|name| rules::line(name).is_none()) {
            return Err("Give every tag a name.".into());
        }
        let length = |name: &String| name.chars().count();
        if let Some(long) = names.iter().find(|name| length(name) > NAME) {
            let begins: String = long.chars().take(20).collect();
            return Err(format!(
                "Use at most {NAME} characters for a tag; “{begins}…” has {}.",
                length(long)
            ));
        }
        match names.len().max(self.tags.len()) {
            many if many > TAGS => Err(format!("Use at most {TAGS} tags for a member; these are {many}.")),
            _ => Ok(()),
        }
    }

    /// A day needs its month, and a month has only so many days.
    fn birthday(&self) -> Result<(), String> {
        let number = |text: &str| rules::numeric(text).parse::<u32>().ok();
        match (number(&self.birth_day), number(&self.birth_month), number(&self.birth_year)) {
            (Some(_), None, _) => Err("Choose the month as well.".into()),
            // Without a year, the 29th of February is one.
            (Some(day), Some(month), year) if day > rules::days_in(year.unwrap_or(2000), month) => {
                Err("There is no such day in the calendar.".into())
            }
            _ => Ok(()),
        }
    }
}

fn listed(value: &str, what: &str, choices: &[(&str, &str)]) -> Result<(), String> {
    let values: Vec<_> = choices.iter().map(|(value, _)| *value).collect();
    if value.is_empty() { Ok(()) } else { rules::one_of(value, what, &values) }
}

#[cfg(feature = "ssr")]
mod server {
    use super::{FIELDS, MemberForm};
    use crate::{
        forms::{
            Errors, Form,
            rules::{line, lines, numeric},
        },
        places,
    };
    use chrono::{Datelike, NaiveDate};
    use identity::ChurchProfile;
    use tenant::{
        Version,
        members::{Details, Member},
    };

    impl MemberForm {
        pub fn of(member: &Member, country: &str) -> Self {
            let details = member.details.clone();
            let text = |text: Option<String>| text.unwrap_or_default();
            let number = |number: Option<i16>| number.map(|number| number.to_string()).unwrap_or_default();
            let date =
                |date: Option<chrono::NaiveDate>| date.map(|date| date.to_string()).unwrap_or_default();
            Self {
                prefix: text(details.prefix),
                first_name: text(details.first_name),
                middle_name: text(details.middle_name),
                last_name: text(details.last_name),
                suffix: text(details.suffix),
                preferred_name: text(details.preferred_name),
                branch_id: details.branch_id.to_string(),
                status_id: details.status_id.to_string(),
                household_role: text(details.household_role),
                gender: details.gender,
                marital_status: details.marital_status,
                birth_year: number(details.birth_year),
                birth_month: number(details.birth_month),
                birth_day: number(details.birth_day),
                anniversary: date(details.anniversary),
                first_contact_on: date(details.first_contact_on),
                joined_on: date(details.joined_on),
                baptised_on: date(details.baptised_on),
                email: text(details.email),
                mobile: details
                    .mobile_e164
                    .map(|phone| places::readable(&phone, country))
                    .unwrap_or_default(),
                home_phone: text(details.home_phone),
                notes: text(details.notes),
                tags: details.tags,
                new_tags: String::new(),
                version: Version::from(member.updated_at).to_string(),
                key: String::new(),
            }
        }

        pub fn seen(&self) -> Option<Version> {
            self.version.parse().ok()
        }

        /// Converts the form for the `tenant` library. `before` is what is stored of a member that is changed: what
        /// stays as it was is not judged by rules that came later.
        pub fn details(&self, church: &ChurchProfile, before: Option<&Details>) -> Result<Details, Errors> {
            let home = &church.country;
            let mut errors = self.check();
            self.note_future(places::today_in(&church.timezone), before, &mut errors);
            let branch_id = self.branch_id.parse().unwrap_or_default();
            let status_id = self.status_id.parse().unwrap_or_default();
            if !self.branch_id.is_empty() && branch_id == uuid::Uuid::nil() {
                errors.note("branch_id", Err("Choose one of your branches.".into()));
            }
            if !self.status_id.is_empty() && status_id == uuid::Uuid::nil() {
                errors.note("status_id", Err("Choose one of your statuses.".into()));
            }
            let known = before.and_then(|before| before.mobile_e164.as_deref());
            let mobile_e164 = places::phone(&self.mobile, home, known, home).unwrap_or_else(|message| {
                errors.note("mobile", Err(message));
                None
            });
            if !errors.is_empty() {
                return Err(errors.in_order_of(&FIELDS));
            }
            let or = |text: &str, default: &str| line(text).unwrap_or_else(|| default.to_owned());
            let number = |text: &str| numeric(text).parse().ok();
            Ok(Details {
                prefix: line(&self.prefix),
                first_name: line(&self.first_name),
                middle_name: line(&self.middle_name),
                last_name: line(&self.last_name),
                suffix: line(&self.suffix),
                preferred_name: line(&self.preferred_name),
                branch_id,
                status_id,
                household_role: line(&self.household_role),
                gender: or(&self.gender, "unspecified"),
                marital_status: or(&self.marital_status, "unknown"),
                birth_year: number(&self.birth_year),
                birth_month: number(&self.birth_month),
                birth_day: number(&self.birth_day),
                anniversary: date(&self.anniversary),
                first_contact_on: date(&self.first_contact_on),
                joined_on: date(&self.joined_on),
                baptised_on: date(&self.baptised_on),
                email: line(&self.email),
                mobile_e164,
                home_phone: line(&numeric(&self.home_phone)),
                notes: lines(&self.notes),
                tags: self.tag_names(),
            })
        }

        /// Notes dates of the past that have not come yet, where the church is.
        fn note_future(&self, today: NaiveDate, before: Option<&Details>, errors: &mut Errors) {
            let dates = [
                ("first_contact_on", &self.first_contact_on, before.and_then(|b| b.first_contact_on)),
                ("joined_on", &self.joined_on, before.and_then(|b| b.joined_on)),
                ("baptised_on", &self.baptised_on, before.and_then(|b| b.baptised_on)),
                ("anniversary", &self.anniversary, before.and_then(|b| b.anniversary)),
            ];
            for (field, typed, before) in dates {
                if date(typed).is_some_and(|date| date > today && Some(date) != before) {
                    errors.note(field, Err("This date is in the future.".into()));
                }
            }
            let number = |text: &str| numeric(text).parse::<i16>().ok();
            let birth = (number(&self.birth_year), number(&self.birth_month), number(&self.birth_day));
            let same = before.is_some_and(|b| (b.birth_year, b.birth_month, b.birth_day) == birth);
            // What is not known of a birthday may have been its first day.
            let (year, month, day) = (birth.0.unwrap_or(0), birth.1.unwrap_or(1), birth.2.unwrap_or(1));
            let now = (today.year(), today.month() as i16, today.day() as i16);
            if !same && (i32::from(year), month, day) > now {
                errors.note("birth_year", Err("A birthday cannot be in the future.".into()));
            }
        }
    }

    fn date(text: &str) -> Option<NaiveDate> {
        numeric(text).parse().ok()
    }
}
