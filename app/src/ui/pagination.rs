//! Parts that lists share: addresses with a query, pages, counts, empty cells.

use leptos::prelude::*;

/// Returns the path with a query; empty members are left out.
pub fn address(path: &str, query: &[(&str, String)]) -> String {
    let kept: Vec<_> = query.iter().filter(|(_, value)| !value.is_empty()).collect();
    match serde_urlencoded::to_string(kept) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// "1–25 of 284", with links to the previous and next page.
pub fn pagination(page: u32, size: i64, shown: usize, total: i64, link: impl Fn(u32) -> String) -> AnyView {
    let first = i64::from(page) * size;
    let range = match shown {
        0 => format!("0 of {total}"),
        _ => format!("{}–{} of {total}", first + 1, first + shown as i64),
    };
    let step = |to: Option<u32>, rel: &'static str, label: &'static str| match to {
        Some(page) => view! { <a class="btn" rel=rel href=link(page)>{label}</a> }.into_any(),
        None => view! { <span class="btn" aria-disabled="true">{label}</span> }.into_any(),
    };
    let more = first + (shown as i64) < total;
    if total <= size && page == 0 {
        return ().into_any();
    }
    view! {
            <nav class="foot" aria-label="Pages">
                <p>{range}</p>
                <div class="bar">
                    {step(page.checked_sub(1), "prev", "Previous")}
                    {step(more.then_some(page + 1), "next", "Next")}
                </div>
            </nav>
    }
    .into_any()
}

/// A cell without a value.
pub fn no_value() -> AnyView {
    view! { <span class="muted" aria-hidden="true">"–"</span><span class="vh">"none"</span> }.into_any()
}

/// "1 member", "12 members".
pub fn count(n: i64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
