//! Access to the page for islands.

use domain::RawForm;
use leptos::prelude::{document, set_timeout_with_handle, window};
use std::{cell::RefCell, rc::Rc, time::Duration};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Document, DomParser, Element, Event, EventTarget, FormData, HtmlFormElement, Response, SupportedType,
    UrlSearchParams,
};

/// Adds an event listener that lives as long as the page.
pub fn listen(target: &EventTarget, event: &str, handler: impl FnMut(Event) + 'static) {
    let closure = Closure::<dyn FnMut(Event)>::new(handler);
    let _ = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
    closure.forget();
}

/// Calls `f` for each element inside `root` that matches.
pub fn each(root: &Element, selector: &str, mut f: impl FnMut(Element)) {
    if let Ok(found) = root.query_selector_all(selector) {
        (0..found.length()).filter_map(|n| found.get(n)).for_each(|node| f(node.unchecked_into()));
    }
}

/// What a form would post. Files are left out.
pub fn form_data(form: &HtmlFormElement) -> RawForm {
    RawForm::decode(&query_of(form))
}

/// What a form would post, as a query.
pub fn query_of(form: &HtmlFormElement) -> String {
    let Ok(data) = FormData::new_with_form(form) else { return String::new() };
    let Ok(params) = UrlSearchParams::new() else { return String::new() };
    // An iterator keeps repeated names, which a record would not.
    for pair in js_sys::try_iter(&data).ok().flatten().into_iter().flatten().flatten() {
        let pair: js_sys::Array = pair.unchecked_into();
        if let (Some(name), Some(value)) = (pair.get(0).as_string(), pair.get(1).as_string()) {
            params.append(&name, &value);
        }
    }
    params.to_string().into()
}

/// Fetches a page of this site. `None` when it does not answer with a page, or leads elsewhere.
pub async fn fetch_page(path: &str) -> Option<Document> {
    let response = JsFuture::from(window().fetch_with_str(path)).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    if !response.ok() {
        return None;
    }
    DomParser::new().ok()?.parse_from_string(&text, SupportedType::TextHtml).ok()
}

/// Replaces the address without a navigation.
pub fn replace_address(path: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(path));
    }
}

/// Delays calls until none came for a while; only the last is made.
#[derive(Clone)]
pub struct Debounce {
    delay: Duration,
    pending: Rc<RefCell<Option<leptos::prelude::TimeoutHandle>>>,
}

impl Debounce {
    pub fn milliseconds(delay: u64) -> Self {
        Self { delay: Duration::from_millis(delay), pending: Rc::default() }
    }

    pub fn call(&self, f: impl FnOnce() + 'static) {
        if let Some(pending) = self.pending.borrow_mut().take() {
            pending.clear();
        }
        *self.pending.borrow_mut() = set_timeout_with_handle(f, self.delay).ok();
    }
}

/// The element with an id, as its type.
pub fn by_id<T: JsCast>(id: &str) -> Option<T> {
    document().get_element_by_id(id)?.dyn_into().ok()
}
