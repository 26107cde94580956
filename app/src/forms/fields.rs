//! Inputs of a record, made from its description.

use crate::{
    branches::picker::BranchPicker,
    tags::picker::TagPicker,
    ui::{
        field::{FormField, field_error, placeholder_option},
        locale::{country_options, timezone_options},
    },
};
use domain::{Errors, Field, Kind, RawForm, Record, Reference, value::MONTHS};
use leptos::prelude::*;

/// What a form chooses from: ids and names, and names of tags.
#[derive(Default)]
pub struct Choices {
    pub branches: Vec<(String, String)>,
    pub statuses: Vec<(String, String)>,
    pub tags: Vec<String>,
}

/// Choices beyond this number are searched by typing, where there is JavaScript.
const SHORT_LIST: usize = 12;

/// A form that is shown: what was typed, and its errors.
#[derive(Clone, Copy)]
pub struct FormState<'a> {
    pub form: &'a RawForm,
    pub errors: &'a Errors,
}

/// All sections of a record, each a group of inputs. Rarely used fields are folded away until one has a value or an
/// error.
pub fn sections<T>(record: &Record<T>, state: FormState<'_>, choices: &Choices) -> AnyView {
    let sections = record.sections().into_iter().map(|(title, fields)| {
        let (folded, open): (Vec<_>, Vec<_>) = fields.iter().partition(|field| field.is_folded);
        let is_open = folded.iter().flat_map(|field| field.inputs()).any(|input| {
            !state.form.get(&input).is_empty() || state.errors.of(&input).is_some()
        });
        let inputs = |fields: Vec<&Field<T>>| {
            fields.into_iter().map(|field| input(field, state, choices)).collect_view()
        };
        let more = (!folded.is_empty()).then(|| {
            let inputs = inputs(folded);
            view! {
                <details class="more" open=is_open>
                    <summary>{format!("More {} fields", title.to_lowercase())}</summary>
                    <div class="fields">{inputs}</div>
                </details>
            }
        });
        view! {
            <fieldset class="section">
                <legend>{title.to_owned()}</legend>
                <div class="fields">{inputs(open)}</div>
                {more}
            </fieldset>
        }
    });
    sections.collect_view().into_any()
}

/// The input of one field.
pub fn input<T>(field: &Field<T>, state: FormState<'_>, choices: &Choices) -> AnyView {
    let name = &*field.name;
    let base = FormField {
        is_optional: field.required.is_none(),
        hint: field.hint.map(str::to_owned),
        ..FormField::new(name, &field.label, state.form.get(name), state.errors)
    };
    let chosen = base.value.clone();
    match &field.kind {
        Kind::Text { max } => FormField { is_wide: *max >= 200, ..base.max(*max) }.input("text"),
        Kind::LongText { max } => FormField { is_wide: true, ..base.max(*max) }.textarea(4),
        Kind::Email => base.max(254).input("email"),
        Kind::Phone { .. } => base.max(40).input("tel"),
        Kind::Url => base.max(300).input("url"),
        Kind::PastDate => base.input("date"),
        Kind::PartialDate => partial_date(field, state),
        Kind::Choice { choices, default } => {
            let none = default.is_none().then(|| placeholder_option("–"));
            let list = choices.iter().map(|(value, label)| (value.to_string(), label.to_string()));
            base.select(none.into_iter().chain(list))
        }
        Kind::Reference(reference) => {
            let list = match reference {
                Reference::Branch => choices.branches.clone(),
                Reference::Status => choices.statuses.clone(),
            };
            // A required reference has no empty choice once one is chosen.
            let is_known = list.iter().any(|(id, _)| *id == chosen);
            let none = match field.required {
                None => Some(placeholder_option("None")),
                Some(_) => (!is_known).then(|| placeholder_option("Choose…")),
            };
            let is_long = *reference == Reference::Branch && list.len() > SHORT_LIST;
            let select = base.select(none.into_iter().chain(list));
            if is_long {
                return view! { <BranchPicker name=name.to_owned()>{select}</BranchPicker> }.into_any();
            }
            select
        }
        Kind::YesNo => base.checkbox(),
        Kind::Tags { .. } => tags(field, state, base, &choices.tags),
        Kind::Country => base.select_of(country_options(&chosen)),
        Kind::TimeZone => base.select_of(timezone_options(&chosen)),
    }
}

/// Day, month and year, of which any may be empty.
fn partial_date<T>(field: &Field<T>, state: FormState<'_>) -> AnyView {
    let [day, month, year] = &field.inputs()[..] else { return ().into_any() };
    let part = |input: &str, label| {
        let part = FormField::new(input, label, state.form.get(input), state.errors);
        FormField { autocomplete: Some("off"), ..part.max(4) }
    };
    let months = MONTHS.iter().enumerate().map(|(n, month)| ((n + 1).to_string(), (*month).to_owned()));
    let months: Vec<_> = std::iter::once(placeholder_option("–")).chain(months).collect();
    view! {
        <fieldset class="field wide">
            <legend class="label">{field.label.to_string()}" "<small>"(fill in what you know)"</small></legend>
            <div class="row three">
                {part(day, "Day").input("text")}
                {part(month, "Month").select(months)}
                {part(year, "Year").input("text")}
            </div>
        </fieldset>
    }
    .into_any()
}

/// The tags that are set, as ticked boxes, and an input for more; the island suggests known ones. Without JavaScript all
/// known tags can be ticked.
fn tags<T>(field: &Field<T>, state: FormState<'_>, base: FormField, known: &[String]) -> AnyView {
    let name = field.name.to_string();
    let new = format!("new_{name}");
    let set: Vec<_> = state.form.all(&name).map(str::to_owned).collect();
    let box_of = |tag: String, is_set: bool| {
        view! {
            <label class="check">
                <input r#type="checkbox" name=name.clone() value=tag.clone() checked=is_set/>
                <span class="clip" title=tag.clone()>{tag.clone()}</span>
            </label>
        }
    };
    let others: Vec<_> =
        known.iter().filter(|tag| !set.contains(tag)).map(|tag| box_of(tag.clone(), false)).collect();
    let others = (!others.is_empty())
        .then(|| view! { <noscript><div class="ticks">{others}</div></noscript> });
    let set: Vec<_> = set.into_iter().map(|tag| box_of(tag, true)).collect();
    let inputs = view! {
        <div class="ticks chosen">{set}</div>
        <input class="input" id=name.clone() name=new.clone() value=state.form.get(&new).to_owned() autocomplete="off"
               maxlength="2000" aria-describedby=base.described_by() aria-invalid=base.aria_invalid()/>
    }
    .into_any();
    view! {
        <div class="field wide" class:invalid=base.error.is_some() data-field=name.clone()>
            <label for=name.clone()>{base.label.clone()}" "<small>"(optional)"</small></label>
            {base.hint.clone().map(|hint| view! { <p class="hint" id=format!("{name}-hint")>{hint}</p> })}
            <TagPicker name=name.clone()>{inputs}</TagPicker>
            {others}
            {field_error(&name, base.error.as_deref())}
        </div>
    }
    .into_any()
}
