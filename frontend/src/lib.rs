//! Wakes the islands of a page.

// The islands are found by name; nothing else refers to them.
use app as _;

#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
