//! What lists have in common: sorting, pages, empty cells.

use leptos::prelude::*;

/// A query with some of its parts changed, as the part of an address behind the path.
pub fn address(path: &str, query: &[(&str, String)]) -> String {
    let kept: Vec<_> = query.iter().filter(|(_, value)| !value.is_empty()).collect();
    match serde_urlencoded::to_string(kept) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// "1–25 of 284", and the way to the pages before and after.
pub fn pages(page: u32, size: i64, shown: usize, total: i64, link: impl Fn(u32) -> String) -> AnyView {
    let first = i64::from(page) * size;
    let words = match shown {
        0 => format!("0 of {total}"),
        _ => format!("{}–{} of {total}", first + 1, first + shown as i64),
    };
    let step = |to: Option<u32>, rel: &'static str, words: &'static str| match to {
        Some(page) => view! { <a class="btn" rel=rel href=link(page)>{words}</a> }.into_any(),
        None => view! { <span class="btn" aria-disabled="true">{words}</span> }.into_any(),
    };
    let more = first + (shown as i64) < total;
    if total <= size && page == 0 {
        return ().into_any();
    }
    view! {
            <nav class="foot" aria-label="Pages">
                <p>{words}</p>
                <div class="bar">
                    {step(page.checked_sub(1), "prev", "Previous")}
                    {step(more.then_some(page + 1), "next", "Next")}
                </div>
            </nav>
    }
    .into_any()
}

/// A cell with nothing in it.
pub fn none() -> AnyView {
    view! { <span class="muted" aria-hidden="true">"–"</span><span class="vh">"none"</span> }.into_any()
}

/// "1 member", "12 members".
pub fn count(n: i64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
