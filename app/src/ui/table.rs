use leptos::prelude::*;

/// Heading of a column.
pub struct Column {
    label: AnyView,
    class: Option<&'static str>,
    sort: Option<&'static str>,
}

impl Column {
    pub fn new(label: &'static str) -> Self {
        Self { label: label.into_any(), class: None, sort: None }
    }

    /// A column whose label only screen readers need.
    pub fn hidden(label: &'static str) -> Self {
        Self { label: view! { <span class="vh">{label}</span> }.into_any(), class: None, sort: None }
    }

    /// A column that sorts the list; `direction` is set when it does so now.
    pub fn sortable(label: &'static str, path: String, direction: Option<&'static str>) -> Self {
        let link = view! { <a href=path>{label}</a> };
        Self { label: link.into_any(), class: None, sort: direction }
    }

    pub fn class(self, class: &'static str) -> Self {
        Self { class: Some(class), ..self }
    }
}

/// A list as a table. Roles are spelled out because phones show the rows as blocks, which would lose them.
#[component]
pub fn Table(
    #[prop(into)] caption: String,
    columns: Vec<Column>,
    /// The `tr` elements.
    rows: AnyView,
) -> AnyView {
    let columns = columns.into_iter().map(|column| {
        view! { <th role="columnheader" scope="col" class=column.class aria-sort=column.sort>{column.label}</th> }
    });
    view! {
        <div class="card">
            <table class="list" role="table">
                <caption class="vh">{caption}</caption>
                <thead role="rowgroup"><tr role="row">{columns.collect_view()}</tr></thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
