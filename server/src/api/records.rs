//! Bodies of records: what a response holds, and how a request is parsed.

use super::problem::Problem;
use domain::{RawForm, Record};
use identity::CurrentUser;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// A record in a response: its fields, and what the church's database knows beside them.
#[derive(Serialize)]
pub struct Described<M: Serialize, F: Serialize> {
    #[serde(flatten)]
    pub meta: M,
    #[serde(flatten)]
    pub fields: F,
}

/// Parses a body by the rules of forms. `form` is what the record holds now, or the defaults of a new one.
pub fn parse<T: Clone + Default>(
    record: &Record<T>,
    mut form: RawForm,
    body: &Map<String, Json>,
    current: Option<&T>,
    user: &CurrentUser,
) -> Result<T, Problem> {
    record.merge_json(&mut form, body).map_err(Problem::of_fields)?;
    Ok(record.parse(&form, current, &app::forms::context(user))?)
}
