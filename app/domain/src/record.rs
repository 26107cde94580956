//! Descriptions of records, and the parser for forms and JSON bodies.

use crate::{Errors, Field, Kind, RawForm, Value};
use chrono::NaiveDate;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value as Json};

/// What validation needs to know besides the form. The default is the browser's: it knows neither.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// ISO 3166 code of the church: phone numbers without a country code are read in it.
    pub country: &'a str,
    /// Today's date where the church is.
    pub today: Option<NaiveDate>,
}

/// The fields of a record, in the order of the form.
pub struct Record<T> {
    pub fields: Vec<Field<T>>,
    /// Rules that concern several fields at once.
    pub check: fn(&T, &mut Errors),
}

/// Puts fields under the heading of a section.
pub fn section<T>(title: &'static str, fields: impl IntoIterator<Item = Field<T>>) -> Vec<Field<T>> {
    fields.into_iter().map(|field| field.in_section(title)).collect()
}

impl<T> Record<T> {
    pub fn field(&self, name: &str) -> Option<&Field<T>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Sections in the order of the form, with their fields.
    pub fn sections(&self) -> Vec<(&str, &[Field<T>])> {
        self.fields
            .chunk_by(|one, other| one.section == other.section)
            .map(|fields| (&*fields[0].section, fields))
            .collect()
    }

    /// The form of a stored record.
    pub fn fill(&self, record: &T, context: &Context<'_>) -> RawForm {
        let mut form = RawForm::default();
        let values: Vec<_> = self.fields.iter().map(|field| field.value(record)).collect();
        let country = self.fields.iter().zip(&values).find_map(|(field, value)| match (&field.kind, value) {
            (Kind::Country, Value::Text(code)) => Some(code.clone()),
            _ => None,
        });
        let country = country.as_deref().unwrap_or(context.country);
        for (field, value) in self.fields.iter().zip(values) {
            field.fill(&mut form, value, country);
        }
        form
    }

    /// Merges a JSON object into a form, as `PATCH` does: an absent member stays, `null` empties. Checks the types.
    pub fn merge_json(&self, form: &mut RawForm, body: &Map<String, Json>) -> Result<(), Errors> {
        let mut errors = Errors::default();
        for (name, json) in body {
            let field =
                self.fields.iter().find(|field| field.json_names().iter().any(|known| known == name));
            match field {
                Some(field) => drop(errors.check(name, field.fill_json(form, name, json))),
                None => errors.add(name, format!("Unknown field `{name}`.")),
            }
        }
        errors.into_result()
    }

    /// The record as members of a JSON object.
    pub fn json<'a>(&'a self, record: &'a T) -> impl Serialize + 'a {
        Fields(self, record)
    }
}

impl<T: Clone + Default> Record<T> {
    /// Parses and validates a form. `current` is the stored record: fields that are as it shows them stay as they are,
    /// unvalidated.
    pub fn parse(&self, form: &RawForm, current: Option<&T>, context: &Context<'_>) -> Result<T, Errors> {
        let shown = current.map(|current| self.fill(current, context));
        let mut record = current.cloned().unwrap_or_default();
        let errors = self.read(form, shown.as_ref(), context, &mut record);
        errors.into_result().map(|()| record)
    }

    /// Validates a form where no stored record is at hand: in the browser. `opened` is what the form held when it was
    /// shown: fields that were left alone are not validated.
    pub fn check_form(&self, form: &RawForm, opened: Option<&RawForm>) -> Errors {
        let context = &Context::default();
        let mut record = T::default();
        // Rules that concern several fields need the values of those that were left alone as well.
        if let Some(opened) = opened {
            self.read(opened, None, context, &mut record);
        }
        self.read(form, opened, context, &mut record)
    }

    fn read(
        &self,
        form: &RawForm,
        shown: Option<&RawForm>,
        context: &Context<'_>,
        record: &mut T,
    ) -> Errors {
        let mut errors = Errors::default();
        // A record that has a country has its phone numbers there.
        let country = self.fields.iter().find(|field| matches!(field.kind, Kind::Country));
        let country = country.map_or("", |field| form.get(&field.name));
        let context =
            &Context { country: if country.is_empty() { context.country } else { country }, ..*context };
        for field in &self.fields {
            if shown.is_some_and(|shown| field.posted(shown) == field.posted(form)) {
                continue;
            }
            if let Some(value) = field.read(form, context, &mut errors) {
                field.set(record, value);
            }
        }
        (self.check)(record, &mut errors);
        let inputs: Vec<_> = self.fields.iter().flat_map(Field::inputs).collect();
        errors.sort_by(&inputs.iter().map(String::as_str).collect::<Vec<_>>());
        errors
    }
}

struct Fields<'a, T>(&'a Record<T>, &'a T);

impl<T> Serialize for Fields<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in &self.0.fields {
            match field.value(self.1) {
                Value::PartialDate(date) => {
                    for (name, part) in field.json_names().iter().zip([date.day, date.month, date.year]) {
                        map.serialize_entry(name, &part)?;
                    }
                }
                value => {
                    for name in field.json_names() {
                        map.serialize_entry(&name, &value)?;
                    }
                }
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::{MEMBER, MemberInput};
    use serde_json::json;

    fn context() -> Context<'static> {
        Context { country: "KE", today: NaiveDate::from_ymd_opt(2026, 11, 26) }
    }

    fn form() -> RawForm {
        RawForm::from([
            ("first_name", " Ruth "),
            ("branch_id", "0190f3a0-0000-7000-8000-000000000001"),
            ("status_id", "0190f3a0-0000-7000-8000-000000000002"),
        ])
    }

    #[test]
    fn a_form_becomes_a_record_and_a_form_again() {
        let form = form().with("birth_day", "٣").with("birth_month", "5").with("new_tags", "Choir, choir ,Ushers");
        let member = MEMBER.parse(&form, None, &context()).expect("it is valid");
        assert_eq!((member.first_name.as_deref(), member.birth_day), (Some("Ruth"), Some(3)));
        assert_eq!(member.tags, ["Choir", "Ushers"]);
        assert_eq!((member.gender.as_str(), member.marital_status.as_str()), ("unspecified", "unknown"));
        let filled = MEMBER.fill(&member, &context());
        assert_eq!(MEMBER.parse(&filled, None, &context()), Ok(member));
    }

    #[test]
    fn errors_stand_at_their_inputs_in_the_order_of_the_page() {
        let form = RawForm::from([("notes", "x"), ("birth_day", "31"), ("birth_month", "2"), ("email", "x")]);
        let errors = MEMBER.parse(&form, None, &context()).expect_err("it is not valid");
        let fields: Vec<_> = errors.0.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["first_name", "last_name", "branch_id", "status_id", "email", "birth_day"]);
    }

    #[test]
    fn what_was_left_alone_is_not_validated() {
        let valid = MEMBER.parse(&form(), None, &context()).expect("it is valid");
        let old = MemberInput { email: Some("no email".into()), ..valid };
        let form = MEMBER.fill(&old, &context()).with("first_name", "Rut");
        let changed = MEMBER.parse(&form, Some(&old), &context()).expect("the email was not touched");
        assert_eq!((changed.first_name.as_deref(), changed.email), (Some("Rut"), old.email.clone()));
        let form = form.with("email", "another one");
        assert!(MEMBER.parse(&form, Some(&old), &context()).is_err());
    }

    #[test]
    fn json_is_merged_by_its_types() {
        let body = json!({"firstName": null, "lastName": "Okafor", "birthDay": 3, "birthMonth": 5, "tags": ["Choir"]});
        let mut merged = form();
        MEMBER.merge_json(&mut merged, body.as_object().expect("an object")).expect("types are right");
        let member = MEMBER.parse(&merged, None, &context()).expect("it is valid");
        assert_eq!((member.first_name, member.last_name.as_deref()), (None, Some("Okafor")));
        assert_eq!((member.birth_month, member.tags.as_slice()), (Some(5), &["Choir".to_owned()][..]));
        for (body, field) in [
            (json!({"firstName": 5}), "firstName"),
            (json!({"birthDay": "3"}), "birthDay"),
            (json!({"birthDay": 3.5}), "birthDay"),
            (json!({"tags": "Choir"}), "tags"),
            (json!({"tags": [1]}), "tags"),
            (json!({"nickname": "R"}), "nickname"),
            (json!({"first_name": "R"}), "first_name"),
        ] {
            let errors = MEMBER.merge_json(&mut form(), body.as_object().expect("an object"));
            assert!(errors.expect_err("the type is wrong").of(field).is_some(), "{body}");
        }
    }

    #[test]
    fn a_browser_checks_what_was_typed() {
        let opened = form().with("email", "no email");
        assert!(MEMBER.check_form(&opened, Some(&opened)).is_empty());
        let nameless = opened.clone().with("first_name", "");
        assert!(MEMBER.check_form(&nameless, Some(&opened)).of("first_name").is_some());
        assert!(MEMBER.check_form(&opened, None).of("email").is_some());
    }
}
