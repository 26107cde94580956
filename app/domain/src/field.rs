//! Fields: their kinds, how each is read from a form and from JSON, and how it is shown.

use crate::{
    Context, Errors, PartialDate, RawForm, Value,
    errors::ValidationResult,
    rules::{self, line, lines, numeric},
};
use chrono::NaiveDate;
use serde_json::Value as Json;
use std::{borrow::Cow, collections::HashSet, sync::Arc};

/// Text of a description. A church's own fields are described at run time.
pub type Text = Cow<'static, str>;

/// What a field holds. It decides the input, the rules, the JSON type and how a value is shown.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One line of at most `max` characters.
    Text {
        max: usize,
    },
    /// Several lines of at most `max` characters.
    LongText {
        max: usize,
    },
    Email,
    /// A phone number; `is_e164` stores it as E.164, otherwise as typed.
    Phone {
        is_e164: bool,
    },
    Url,
    /// A day that is not in the future.
    PastDate,
    /// A birthday: parts may be unknown. It has three inputs and three JSON members: day, month and year.
    PartialDate,
    /// One of a list, as value and label. `default` is what an empty value stands for.
    Choice {
        choices: Vec<(Text, Text)>,
        default: Option<Text>,
    },
    /// The id of another record.
    Reference(Reference),
    YesNo,
    /// Names of tags: ticked ones, and new ones separated by commas.
    Tags {
        max: usize,
        max_name: usize,
    },
    /// An ISO 3166 code.
    Country,
    /// An IANA name.
    TimeZone,
}

/// The list that a reference chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    Branch,
    Status,
}

impl Kind {
    pub fn choice(choices: &[(&'static str, &'static str)]) -> Self {
        let choices = choices.iter().map(|(value, label)| (Text::from(*value), Text::from(*label))).collect();
        Self::Choice { choices, default: None }
    }

    /// A choice whose first value stands for "not known", and is what an empty value becomes.
    pub fn choice_or_unknown(choices: &[(&'static str, &'static str)]) -> Self {
        match Self::choice(choices) {
            Self::Choice { choices, .. } => {
                let default = choices.first().map(|(value, _)| value.clone());
                Self::Choice { choices, default }
            }
            kind => kind,
        }
    }
}

/// One field of a record of type `T`.
pub struct Field<T> {
    /// Name of the input, and in camel case of the JSON member.
    pub name: Text,
    pub label: Text,
    pub kind: Kind,
    /// Heading that it stands under, in forms and on detail pages.
    pub section: Text,
    /// Rarely used: forms fold it away until it has a value.
    pub is_folded: bool,
    /// Part of the record's title, so that a detail page does not repeat it.
    pub is_title: bool,
    /// The error message when it is empty; `None` for an optional field.
    pub required: Option<&'static str>,
    pub hint: Option<&'static str>,
    /// What programmers read about it in the API's documentation, beyond the hint.
    pub api_note: Option<&'static str>,
    pub example: Option<&'static str>,
    get: Arc<dyn Fn(&T) -> Value + Send + Sync>,
    set: Arc<dyn Fn(&mut T, Value) + Send + Sync>,
}

/// Describes a field that is one field of the struct: `field!(MemberInput.email, "Email", Kind::Email)`.
#[macro_export]
macro_rules! field {
    ($record:ident . $name:ident, $label:expr, $kind:expr) => {
        $crate::Field::new(
            stringify!($name),
            $label,
            $kind,
            |record: &$record| $crate::Value::from(record.$name.clone()),
            |record: &mut $record, value| record.$name = value.into(),
        )
    };
}

impl<T> Field<T> {
    pub fn new(
        name: impl Into<Text>,
        label: impl Into<Text>,
        kind: Kind,
        get: impl Fn(&T) -> Value + Send + Sync + 'static,
        set: impl Fn(&mut T, Value) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            kind,
            section: Text::default(),
            is_folded: false,
            is_title: false,
            required: None,
            hint: None,
            api_note: None,
            example: None,
            get: Arc::new(get),
            set: Arc::new(set),
        }
    }

    pub(crate) fn in_section(self, title: &'static str) -> Self {
        Self { section: title.into(), ..self }
    }

    pub fn required(self, message: &'static str) -> Self {
        Self { required: Some(message), ..self }
    }

    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub fn api_note(self, note: &'static str) -> Self {
        Self { api_note: Some(note), ..self }
    }

    pub fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    pub fn folded(self) -> Self {
        Self { is_folded: true, ..self }
    }

    pub fn title(self) -> Self {
        Self { is_title: true, ..self }
    }

    pub fn value(&self, record: &T) -> Value {
        (self.get)(record)
    }

    pub(crate) fn set(&self, record: &mut T, value: Value) {
        (self.set)(record, value);
    }

    /// Names of the inputs that post it.
    pub fn inputs(&self) -> Vec<String> {
        match self.kind {
            Kind::PartialDate => ["day", "month", "year"].map(|part| format!("{}_{part}", self.name)).into(),
            Kind::Tags { .. } => vec![self.name.to_string(), format!("new_{}", self.name)],
            _ => vec![self.name.to_string()],
        }
    }

    /// Names of the members that hold it in JSON.
    pub fn json_names(&self) -> Vec<String> {
        match self.kind {
            Kind::PartialDate => self.inputs().iter().map(|name| camel_case(name)).collect(),
            _ => vec![camel_case(&self.name)],
        }
    }

    /// Writes a value into the inputs of a form. A phone number is written as people in `country` read it.
    pub(crate) fn fill(&self, form: &mut RawForm, value: Value, country: &str) {
        match value {
            Value::Empty => {}
            Value::YesNo(is_ticked) => form.set(&self.name, if is_ticked { "on" } else { "" }),
            Value::Date(date) => form.set(&self.name, date.to_string()),
            Value::Id(id) if id.is_nil() => {}
            Value::Id(id) => form.set(&self.name, id.to_string()),
            Value::Text(text) => form.set(&self.name, self.readable(text, country)),
            Value::List(names) => form.set_all(&self.name, names),
            Value::PartialDate(date) => {
                let parts = [date.day, date.month, date.year];
                for (input, part) in self.inputs().iter().zip(parts) {
                    form.set(input, part.map(|part| part.to_string()).unwrap_or_default());
                }
            }
        }
    }

    #[cfg(feature = "ssr")]
    fn readable(&self, text: String, country: &str) -> String {
        match self.kind {
            Kind::Phone { is_e164: true } => crate::locale::readable(&text, country),
            _ => text,
        }
    }

    #[cfg(not(feature = "ssr"))]
    fn readable(&self, text: String, _: &str) -> String {
        text
    }

    /// What was posted for the field, normalised so that two forms can be compared.
    pub(crate) fn posted(&self, form: &RawForm) -> Vec<String> {
        match self.kind {
            Kind::LongText { .. } => lines(form.get(&self.name)).into_iter().collect(),
            Kind::Phone { .. } | Kind::PastDate | Kind::PartialDate => {
                self.inputs().iter().map(|input| numeric(form.get(input))).collect()
            }
            Kind::Tags { .. } => {
                let mut names: Vec<_> =
                    self.tag_names(form).iter().map(|name| name.to_lowercase()).collect();
                names.sort_unstable();
                names
            }
            _ => line(form.get(&self.name)).into_iter().collect(),
        }
    }

    /// Reads and validates what was posted. `None` after an error.
    pub(crate) fn read(&self, form: &RawForm, context: &Context<'_>, errors: &mut Errors) -> Option<Value> {
        if let Kind::PartialDate = self.kind {
            return self.read_partial_date(form, context, errors);
        }
        let value = self.read_input(form, context);
        let value = value.and_then(|value| match self.required {
            Some(message) if value.is_empty() => Err(message.to_owned()),
            _ => Ok(value),
        });
        errors.check(&self.name, value)
    }

    fn read_input(&self, form: &RawForm, context: &Context<'_>) -> ValidationResult<Value> {
        let posted = form.get(&self.name);
        let text = |text: Option<String>| Ok(text.map_or(Value::Empty, Value::Text));
        match &self.kind {
            Kind::Text { max } => {
                rules::optional(posted, *max)?;
                text(line(posted))
            }
            Kind::LongText { max } => {
                rules::optional_lines(posted, *max)?;
                text(lines(posted))
            }
            Kind::Email => {
                rules::email(posted)?;
                text(line(posted))
            }
            Kind::Url => {
                rules::website(posted)?;
                text(line(posted).map(rules::with_scheme))
            }
            Kind::Phone { is_e164 } => {
                rules::phone(posted)?;
                let number = line(&numeric(posted));
                text(if *is_e164 { number.map(|number| e164(number, context)).transpose()? } else { number })
            }
            Kind::PastDate => {
                rules::date(posted)?;
                let date: Option<NaiveDate> = numeric(posted).parse().ok();
                match (date, context.today) {
                    (Some(date), Some(today)) if date > today => Err("This date is in the future.".into()),
                    (date, _) => Ok(date.into()),
                }
            }
            Kind::Choice { choices, default } => match line(posted) {
                None => text(default.as_ref().map(ToString::to_string)),
                Some(value) if choices.iter().any(|(known, _)| *known == value) => Ok(Value::Text(value)),
                Some(_) => Err("Choose one of the list.".into()),
            },
            Kind::Reference(reference) => match line(posted) {
                None => Ok(Value::Empty),
                Some(id) => id.parse().map(Value::Id).map_err(|_| reference.unknown().into()),
            },
            Kind::YesNo => Ok(Value::YesNo(!posted.is_empty())),
            Kind::Tags { max, max_name } => self.read_tags(form, *max, *max_name),
            Kind::Country => text(line(posted).map(country).transpose()?),
            Kind::TimeZone => text(line(posted).map(time_zone).transpose()?),
            Kind::PartialDate => Ok(Value::Empty),
        }
    }

    fn read_partial_date(
        &self,
        form: &RawForm,
        context: &Context<'_>,
        errors: &mut Errors,
    ) -> Option<Value> {
        let [day_input, month_input, year_input] = &self.inputs()[..] else { return None };
        let known = errors.0.len();
        let mut read = |input: &String, from, to| {
            errors.check(input, rules::number(form.get(input), from, to));
            numeric(form.get(input)).parse::<i16>().ok()
        };
        let (day, month, year) =
            (read(day_input, 1, 31), read(month_input, 1, 12), read(year_input, 1850, 2200));
        let date = PartialDate { year, month, day };
        match (day, month) {
            (Some(_), None) => errors.add(day_input, "Choose the month as well."),
            // Without a year, the 29th of February exists.
            (Some(day), Some(month))
                if day as u32 > rules::days_in(year.unwrap_or(2000) as u32, month as u32) =>
            {
                errors.add(day_input, rules::NO_SUCH_DATE);
            }
            _ => {}
        }
        if context.today.is_some_and(|today| date.earliest() > rules::year_month_day(today)) {
            errors.add(year_input, "A birthday cannot be in the future.");
        }
        (errors.0.len() == known).then(|| date.into())
    }

    /// The names of all tags, each once whatever its case.
    fn tag_names(&self, form: &RawForm) -> Vec<String> {
        let new = format!("new_{}", self.name);
        let named = form.all(&self.name).chain(form.get(&new).split(','));
        let mut seen = HashSet::new();
        named.filter_map(line).filter(|name| seen.insert(name.to_lowercase())).collect()
    }

    fn read_tags(&self, form: &RawForm, max: usize, max_name: usize) -> ValidationResult<Value> {
        let names = self.tag_names(form);
        if form.all(&self.name).any(|name| line(name).is_none()) {
            return Err("Give every tag a name.".into());
        }
        let length = |name: &String| name.chars().count();
        if let Some(long) = names.iter().find(|name| length(name) > max_name) {
            let begins: String = long.chars().take(20).collect();
            return Err(format!(
                "Use at most {max_name} characters for a tag; “{begins}…” has {}.",
                length(long)
            ));
        }
        match names.len().max(form.all(&self.name).count()) {
            many if many > max => Err(format!("Use at most {max} tags for a person; these are {many}.")),
            _ => Ok(Value::List(names)),
        }
    }

    /// Writes a JSON member into the form, after checking its type. The name is one of [`Field::json_names`].
    pub(crate) fn fill_json(&self, form: &mut RawForm, name: &str, json: &Json) -> ValidationResult {
        let Some(position) = self.json_names().iter().position(|known| known == name) else { return Ok(()) };
        let input = &self.inputs()[position];
        match (&self.kind, json) {
            (Kind::Tags { .. }, Json::Null) => form.set_all(input, []),
            (Kind::Tags { .. }, Json::Array(items)) => {
                let names: Option<Vec<_>> =
                    items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                form.set_all(input, names.ok_or("Must be an array of strings.")?);
            }
            (Kind::Tags { .. }, _) => return Err("Must be an array of strings.".into()),
            (_, Json::Null) => form.set(input, ""),
            (Kind::YesNo, Json::Bool(is_ticked)) => form.set(input, if *is_ticked { "on" } else { "" }),
            (Kind::YesNo, _) => return Err("Must be true or false.".into()),
            (Kind::PartialDate, Json::Number(number)) if number.is_i64() => {
                form.set(input, number.to_string());
            }
            (Kind::PartialDate, _) => return Err("Must be a whole number.".into()),
            (_, Json::String(text)) => form.set(input, text.as_str()),
            _ => return Err("Must be a string.".into()),
        }
        Ok(())
    }
}

impl Reference {
    /// The error message for an id that names nothing of the church.
    pub fn unknown(self) -> &'static str {
        match self {
            Self::Branch => "Choose one of your branches.",
            Self::Status => "Choose one of your statuses.",
        }
    }
}

/// Only the server has the tables of countries, zones and phone numbers; they are too large for a browser.
#[cfg(feature = "ssr")]
mod tables {
    use super::ValidationResult;
    use crate::{Context, locale};

    pub fn e164(number: String, context: &Context<'_>) -> ValidationResult<String> {
        locale::e164(&number, context.country)
    }

    pub fn country(code: String) -> ValidationResult<String> {
        if locale::is_country(&code) { Ok(code) } else { Err("Choose a country.".into()) }
    }

    pub fn time_zone(name: String) -> ValidationResult<String> {
        if locale::is_timezone(&name) { Ok(name) } else { Err("Choose a time zone.".into()) }
    }
}

#[cfg(not(feature = "ssr"))]
mod tables {
    use super::ValidationResult;
    use crate::Context;

    pub fn e164(number: String, _: &Context<'_>) -> ValidationResult<String> {
        Ok(number)
    }

    pub fn country(code: String) -> ValidationResult<String> {
        Ok(code)
    }

    pub fn time_zone(name: String) -> ValidationResult<String> {
        Ok(name)
    }
}

use tables::{country, e164, time_zone};

/// `first_name` → `firstName`.
pub fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &capital.into_iter().chain(letters).collect::<String>()
    })
}
