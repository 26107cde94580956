use leptos::prelude::*;
use leptos::svg;

/// An icon of 18 units; words always stand beside it.
fn icon(path: &'static str) -> impl IntoView {
    svg::svg()
        .attr("viewBox", "0 0 18 18")
        .attr("fill", "none")
        .attr("stroke", "currentColor")
        .attr("stroke-width", "1.6")
        .attr("stroke-linecap", "round")
        .attr("stroke-linejoin", "round")
        .attr("aria-hidden", "true")
        .child(svg::path().attr("d", path))
}

macro_rules! icons {
    ($($name:ident $path:literal)*) => {
        $(pub fn $name() -> impl IntoView { icon($path) })*
    };
}

icons! {
    home "M3 8.8 9 3.6l6 5.2V15h-4v-4H7v4H3z"
    members "M6.5 8.6a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2zM1.8 15c.4-2.7 2.3-4.2 4.7-4.2s4.3 1.5 4.7 4.2M11.6 8.4a2.3 2.3 0 1 0-.6-4.5M13 10.7c1.8.4 3 1.8 3.3 4.3"
    branches "M3 15V7.2l6-4 6 4V15M7.2 15v-3.4a1.8 1.8 0 0 1 3.6 0V15M1.8 15h14.4"
    check "M3.5 9.5l3.6 3.5 7.4-8"
    cross "M4.5 4.5l9 9M13.5 4.5l-9 9"
    back "M11 3.5 5.5 9l5.5 5.5"
    forward "M7 3.5 12.5 9 7 14.5"
    updown "M5.5 7 9 3.5 12.5 7M5.5 11 9 14.5l3.5-3.5"
    edit "M3 15l.8-3.4 8.4-8.4 2.6 2.6-8.4 8.4zM10.6 4.8l2.6 2.6"
    archive "M2.5 3.5h13v3h-13zM3.8 6.5V14.5h10.4V6.5M7 9.5h4"
    restore "M3.5 8.5a5.6 5.6 0 1 1 .6 3.4M3 4.5v4h4"
    warning "M9 2.8 16 15H2zM9 7.4v3.4M9 12.9h.01"
    done "M9 16A7 7 0 1 0 9 2a7 7 0 0 0 0 14zM5.8 9.3l2.2 2.2 4.3-4.7"
    settings "M2.5 5.5h6M12.5 5.5h3M2.5 12.5h3M9.5 12.5h6M10.5 7.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7.5 14.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4z"
    signout "M7 3H3.5v12H7M11.5 5.5 15 9l-3.5 3.5M15 9H7"
}

/// The mark of Vestry: a door under an arch.
pub fn arch() -> impl IntoView {
    svg::svg()
        .attr("viewBox", "0 0 26 26")
        .attr("fill", "none")
        .attr("stroke", "currentColor")
        .attr("stroke-width", "2")
        .attr("stroke-linecap", "round")
        .attr("stroke-linejoin", "round")
        .attr("aria-hidden", "true")
        .child(svg::path().attr("d", "M5 23V12a8 8 0 0 1 16 0v11M13 23v-9M2.5 23h21"))
}
