//! What islands do to the page they stand in.

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, Event, EventTarget};

/// Hears an event for as long as the page lives.
pub fn listen(target: &EventTarget, event: &str, handler: impl FnMut(Event) + 'static) {
    let closure = Closure::<dyn FnMut(Event)>::new(handler);
    let _ = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
    closure.forget();
}

/// Each element inside `root` that fits.
pub fn each(root: &Element, selector: &str, mut f: impl FnMut(Element)) {
    if let Ok(found) = root.query_selector_all(selector) {
        (0..found.length()).filter_map(|n| found.get(n)).for_each(|node| f(node.unchecked_into()));
    }
}
