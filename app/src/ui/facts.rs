//! Facts of detail pages, made from a record's description.

use super::pagination::address;
use chrono::{Datelike, NaiveDate};
use domain::{Field, Kind, Record, Value, locale, value::MONTHS};
use leptos::prelude::*;

/// A card with a heading, as detail pages are made of.
#[component]
pub fn Card(#[prop(into)] title: String, children: Children) -> AnyView {
    view! { <section class="card pad"><h2>{title}</h2>{children()}</section> }.into_any()
}

/// A fact of a detail page: label and value.
pub fn fact(label: impl Into<String>, value: AnyView) -> impl IntoView {
    view! { <div><dt>{label.into()}</dt><dd>{value}</dd></div> }
}

/// A card for each section of a record, with the facts that are known. Names that stand in the title and references are
/// left out: the page shows them itself.
pub fn record_cards<T>(record: &Record<T>, value: &T, country: &str) -> AnyView {
    let cards = record.sections().into_iter().filter_map(|(title, fields)| {
        let facts: Vec<_> = fields
            .iter()
            .filter(|field| !field.is_title)
            .filter_map(|field| {
                let shown = show(field, field.value(value), country)?;
                Some(fact(field.label.to_string(), shown))
            })
            .collect();
        let title = title.to_owned();
        (!facts.is_empty()).then(|| view! { <Card title=title><dl class="facts mt-3.5">{facts}</dl></Card> })
    });
    view! { <div class="two even">{cards.collect_view()}</div> }.into_any()
}

/// A value as people read it; `None` when it is empty, or a reference.
pub fn show<T>(field: &Field<T>, value: Value, country: &str) -> Option<AnyView> {
    if value.is_empty() {
        return None;
    }
    Some(match (&field.kind, value) {
        (Kind::LongText { .. }, Value::Text(text)) => {
            view! { <span class="whitespace-pre-wrap break-words">{text}</span> }.into_any()
        }
        (Kind::Email, Value::Text(email)) => {
            view! { <a href=format!("mailto:{email}")>{email.clone()}</a> }.into_any()
        }
        (Kind::Phone { .. }, Value::Text(number)) => {
            view! { <a href=format!("tel:{number}")>{locale::readable(&number, country)}</a> }.into_any()
        }
        (Kind::Url, Value::Text(url)) => {
            let label = url.trim_start_matches("https://").trim_start_matches("http://").to_owned();
            view! { <a href=url rel="noopener noreferrer">{label}</a> }.into_any()
        }
        (Kind::Choice { choices, .. }, Value::Text(chosen)) => {
            let label = choices.iter().find(|(known, _)| *known == chosen).map(|(_, label)| label.to_string());
            label?.into_any()
        }
        (Kind::Country, Value::Text(code)) => locale::country_name(&code).to_owned().into_any(),
        (Kind::TimeZone, Value::Text(name)) => name.replace('_', " ").into_any(),
        (_, Value::Text(text)) => text.into_any(),
        (_, Value::Date(date)) => day(date).into_any(),
        (_, Value::PartialDate(date)) => date.to_string().into_any(),
        (_, Value::YesNo(_)) => "Yes".into_any(),
        (_, Value::List(tags)) => tag_links(&tags),
        (_, Value::Id(_) | Value::Empty) => return None,
    })
}

/// Tags, each a link to the people who have it.
fn tag_links(names: &[String]) -> AnyView {
    let chips = names.iter().map(|name| {
        let path = address("/members", &[("tag", name.clone())]);
        view! { <li class="contents"><a class="chip" href=path title=name.clone()><span>{name.clone()}</span></a></li> }
    });
    view! { <ul class="flex flex-wrap gap-1.5">{chips.collect_view()}</ul> }.into_any()
}

/// "3 May 2019".
fn day(date: NaiveDate) -> String {
    let month = MONTHS.get(date.month0() as usize).copied().unwrap_or_default();
    format!("{} {month} {}", date.day(), date.year())
}
