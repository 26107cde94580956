//! Members: the people of the church.

use crate::{
    Errors, Field, Kind, PartialDate, Record, Reference, Value, field, record::section, tags::MAX_TAG_NAME,
};
use chrono::NaiveDate;
use serde::Serialize;
use std::sync::LazyLock;
use uuid::Uuid;

columns! {
    /// What an editor writes about a member. Texts are normalised and not empty; the mobile is E.164.
    pub struct MemberInput in member_columns {
        /// One of the first and the last name may be missing.
        pub first_name: Option<String>,
        pub last_name: Option<String>,
        pub preferred_name: Option<String>,
        pub middle_name: Option<String>,
        pub prefix: Option<String>,
        pub suffix: Option<String>,
        pub branch_id: Uuid,
        pub status_id: Uuid,
        pub first_contact_on: Option<NaiveDate>,
        pub joined_on: Option<NaiveDate>,
        pub baptised_on: Option<NaiveDate>,
        /// Names, sorted; those that the church does not have yet are added.
        pub tags: Vec<String>,
        pub mobile: Option<String>,
        pub home_phone: Option<String>,
        pub email: Option<String>,
        pub household_role: Option<String>,
        pub marital_status: String,
        pub gender: String,
        pub anniversary: Option<NaiveDate>,
        pub birth_day: Option<i16>,
        pub birth_month: Option<i16>,
        pub birth_year: Option<i16>,
        pub notes: Option<String>,
    }
}

pub const MAX_TAGS_PER_MEMBER: usize = 20;

const HOUSEHOLD_ROLES: [(&str, &str); 4] =
    [("head", "Head of the household"), ("spouse", "Spouse"), ("child", "Child"), ("other", "Other")];
const GENDERS: [(&str, &str); 3] =
    [("unspecified", "Not specified"), ("female", "Female"), ("male", "Male")];
const MARITAL_STATUSES: [(&str, &str); 5] = [
    ("unknown", "Not known"),
    ("single", "Single"),
    ("married", "Married"),
    ("divorced", "Divorced"),
    ("widowed", "Widowed"),
];

pub static MEMBER: LazyLock<Record<MemberInput>> = LazyLock::new(|| Record {
    fields: [
        section(
            "Name",
            [
                field!(MemberInput.first_name, "First name", Kind::Text { max: 80 }).title().example("Ruth"),
                field!(MemberInput.last_name, "Last name", Kind::Text { max: 80 }).title().example("Okafor"),
                field!(MemberInput.preferred_name, "Preferred name", Kind::Text { max: 80 }).folded(),
                field!(MemberInput.middle_name, "Middle name", Kind::Text { max: 80 }).title().folded(),
                field!(MemberInput.prefix, "Title (Dr, Rev.)", Kind::Text { max: 20 })
                    .title()
                    .folded()
                    .example("Dr"),
                field!(MemberInput.suffix, "Suffix (Jr)", Kind::Text { max: 20 }).title().folded(),
            ],
        ),
        section(
            "Church life",
            [
                field!(MemberInput.branch_id, "Branch", Kind::Reference(Reference::Branch))
                    .required("Choose the branch."),
                field!(MemberInput.status_id, "Status", Kind::Reference(Reference::Status))
                    .required("Choose the status."),
                field!(MemberInput.first_contact_on, "First visit", Kind::PastDate),
                field!(MemberInput.joined_on, "Joined", Kind::PastDate),
                field!(MemberInput.baptised_on, "Baptised", Kind::PastDate),
                field!(
                    MemberInput.tags,
                    "Tags",
                    Kind::Tags { max: MAX_TAGS_PER_MEMBER, max_name: MAX_TAG_NAME }
                )
                .hint("Groups that people share, separated by commas: Choir, Needs a lift.")
                .api_note(
                    "Names of tags; the list replaces all there are. Unknown ones are added. Case is ignored.",
                ),
            ],
        ),
        section(
            "Contact",
            [
                field!(MemberInput.mobile, "Mobile phone", Kind::Phone { is_e164: true })
                    .api_note("As dialled in the church's country, or with + and country code; returned as E.164.")
                    .example("+254712345678"),
                field!(MemberInput.home_phone, "Home phone", Kind::Phone { is_e164: false }),
                field!(MemberInput.email, "Email", Kind::Email).example("ruth@example.org"),
            ],
        ),
        section(
            "Family",
            [
                field!(MemberInput.household_role, "Role in the household", Kind::choice(&HOUSEHOLD_ROLES)),
                field!(
                    MemberInput.marital_status,
                    "Marital status",
                    Kind::choice_or_unknown(&MARITAL_STATUSES)
                ),
                field!(MemberInput.gender, "Gender", Kind::choice_or_unknown(&GENDERS)),
                field!(MemberInput.anniversary, "Wedding anniversary", Kind::PastDate),
                birthday(),
            ],
        ),
        section(
            "Notes",
            [field!(MemberInput.notes, "Notes", Kind::LongText { max: 10_000 })
                .hint("Anyone who can view this person can read these notes.")],
        ),
    ]
    .into_iter()
    .flatten()
    .collect(),
    check: has_a_name,
});

/// The birthday has a column for each part.
fn birthday() -> Field<MemberInput> {
    let get = |member: &MemberInput| {
        PartialDate { year: member.birth_year, month: member.birth_month, day: member.birth_day }.into()
    };
    let set = |member: &mut MemberInput, value: Value| {
        let date = PartialDate::from(value);
        (member.birth_year, member.birth_month, member.birth_day) = (date.year, date.month, date.day);
    };
    Field::new("birth", "Birthday", Kind::PartialDate, get, set)
        .hint("Fill in what you know.")
        .api_note("Parts may be unknown; a day needs its month.")
}

fn has_a_name(member: &MemberInput, errors: &mut Errors) {
    let is_nameless = member.first_name.is_none() && member.last_name.is_none();
    if is_nameless && errors.of("first_name").is_none() && errors.of("last_name").is_none() {
        errors.add("first_name", "Enter a first or last name.");
        errors.add("last_name", "Enter a last or first name.");
    }
}
