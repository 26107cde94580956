//! Branches: the places where the church meets.

use crate::{Kind, Record, Reference, field, record::section};
use serde::Serialize;
use std::sync::LazyLock;
use uuid::Uuid;

columns! {
    /// What an editor writes about a branch. Texts are normalised and not empty; the phone is E.164.
    pub struct BranchInput in branch_columns {
        pub name: String,
        pub short_code: Option<String>,
        pub parent_id: Option<Uuid>,
        pub service_times: Option<String>,
        pub is_main: bool,
        pub phone: Option<String>,
        pub email: Option<String>,
        pub website: Option<String>,
        pub address1: Option<String>,
        pub address2: Option<String>,
        pub city: Option<String>,
        pub postal_code: Option<String>,
        pub region: Option<String>,
        pub country: Option<String>,
        /// An IANA name.
        pub timezone: String,
    }
}

pub static BRANCH: LazyLock<Record<BranchInput>> = LazyLock::new(|| Record {
    fields: [
        section(
            "Branch",
            [
                field!(BranchInput.name, "Name", Kind::Text { max: 120 })
                    .title()
                    .required("Enter the name of the branch.")
                    .example("Westlands"),
                field!(BranchInput.short_code, "Short code", Kind::Text { max: 12 })
                    .hint("For lists and reports, for example WL.")
                    .example("WL"),
                field!(BranchInput.parent_id, "Part of", Kind::Reference(Reference::Branch))
                    .api_note("The branch that it belongs to."),
                field!(BranchInput.service_times, "Service times", Kind::LongText { max: 1000 })
                    .hint("As you would write them on the door."),
                field!(BranchInput.is_main, "This is the main branch", Kind::YesNo)
                    .hint("A church has one. This replaces the current main branch."),
            ],
        ),
        section(
            "Contact",
            [
                field!(BranchInput.phone, "Phone", Kind::Phone { is_e164: true }).api_note(
                    "As dialled in the branch's country, or with + and country code; returned as E.164.",
                ),
                field!(BranchInput.email, "Email", Kind::Email).example("westlands@example.org"),
                field!(BranchInput.website, "Website", Kind::Url),
            ],
        ),
        section(
            "Address",
            [
                field!(BranchInput.address1, "Address", Kind::Text { max: 200 }),
                field!(BranchInput.address2, "Address line 2", Kind::Text { max: 200 }),
                field!(BranchInput.city, "City", Kind::Text { max: 120 }).example("Nairobi"),
                field!(BranchInput.postal_code, "Postal code", Kind::Text { max: 20 }),
                field!(BranchInput.region, "County or region", Kind::Text { max: 120 }),
                field!(BranchInput.country, "Country", Kind::Country).example("KE"),
                field!(BranchInput.timezone, "Time zone", Kind::TimeZone)
                    .required("Choose the time zone.")
                    .example("Africa/Nairobi"),
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect(),
    check: |_, _| {},
});
