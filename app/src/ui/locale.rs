//! Options of countries and time zones.

use domain::locale::{COUNTRIES, continents};
use leptos::prelude::*;

pub fn country_options(chosen: &str) -> AnyView {
    let options = COUNTRIES.iter().map(|(code, name)| {
        view! { <option value=*code selected=*code == chosen>{*name}</option> }
    });
    view! { <option value="" selected=chosen.is_empty()>"Choose…"</option>{options.collect_view()} }
        .into_any()
}

/// Time zones by continent, each with its country, so that the browser's own zone can propose both.
pub fn timezone_options(chosen: &str) -> AnyView {
    let mut is_listed = chosen.is_empty();
    let groups: Vec<_> = continents()
        .into_iter()
        .map(|(continent, zones)| {
            let options: Vec<_> = zones
                .into_iter()
                .map(|zone| {
                    let is_chosen = zone.name == chosen;
                    is_listed |= is_chosen;
                    view! { <option value=zone.name data-country=zone.country selected=is_chosen>{zone.label}</option> }
                })
                .collect();
            view! { <optgroup label=continent>{options}</optgroup> }
        })
        .collect();
    // Valid, and not in the list: an older name of a zone, or UTC.
    let unlisted = (!is_listed)
        .then(|| view! { <option value=chosen.to_owned() selected=true>{chosen.to_owned()}</option> });
    view! { <option value="" selected=chosen.is_empty()>"Choose…"</option>{unlisted}{groups} }.into_any()
}
