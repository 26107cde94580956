//! Tags: what people have in common, in the church's own words.

use crate::{Kind, Record, field, record::section};
use serde::Serialize;
use std::sync::LazyLock;

/// In characters.
pub const MAX_TAG_NAME: usize = 50;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TagInput {
    pub name: String,
}

pub static TAG: LazyLock<Record<TagInput>> = LazyLock::new(|| Record {
    fields: section(
        "Tag",
        [field!(TagInput.name, "Name", Kind::Text { max: MAX_TAG_NAME })
            .title()
            .required("Enter a name for the tag.")
            .hint("Everyone with this tag will see the new name.")
            .example("Choir")],
    ),
    check: |_, _| {},
});
