use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Which rules a guarded form is checked by.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Kind {
    Church,
    Founder,
    SignIn,
    Branch,
    Member,
    Tag,
    Token,
}

/// Checks the form inside before it is sent, by the server's own rules, and says what is wrong where
/// it is wrong. Without it the server does the same.
#[island]
pub fn Guard(kind: Kind, children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        if let Some(root) = root.get() {
            browser::watch(&root, kind);
        }
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = kind;
    view! { <div class="contents" node_ref=root>{children()}</div> }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Kind;
    use crate::ui::browser::{each, listen};
    use crate::{
        branches::form::BranchForm,
        forms::{Errors, Form},
        members::form::MemberForm,
        sessions::form::SignInForm,
        signup::form::{ChurchForm, FounderForm},
        tags::form::TagForm,
        tokens::form::TokenForm,
    };
    use leptos::prelude::{document, window};
    use wasm_bindgen::JsCast;
    use web_sys::{Element, Event, FormData, HtmlElement, HtmlFormElement, UrlSearchParams};

    fn check(kind: Kind, body: &str) -> Errors {
        match kind {
            Kind::Church => ChurchForm::decode(body).check(),
            Kind::Founder => FounderForm::decode(body).check(),
            Kind::SignIn => SignInForm::decode(body).check(),
            Kind::Branch => BranchForm::decode(body).check(),
            Kind::Member => MemberForm::decode(body).check(),
            Kind::Tag => TagForm::decode(body).check(),
            Kind::Token => TokenForm::decode(body).check(),
        }
    }

    /// The listeners live as long as the page does.
    pub fn watch(root: &Element, kind: Kind) {
        let form = root.clone();
        listen(root, "submit", move |event| submitted(&form, kind, &event));
        let form = root.clone();
        listen(root, "input", move |event| corrected(&form, kind, &event));
        // Whoever comes back to the page may send it anew.
        let form = root.clone();
        listen(&window(), "pageshow", move |_| {
            each(&form, "form", |form| drop(form.remove_attribute("data-sent")));
            each(&form, "button.primary", |button| drop(button.remove_attribute("aria-busy")));
        });
    }

    fn submitted(root: &Element, kind: Kind, event: &Event) {
        let Some(form) = form_of(event) else { return };
        let errors = check(kind, &body_of(&form));
        show(root, &errors);
        if errors.is_empty() {
            // One press is enough.
            if let Ok(Some(button)) = form.query_selector("button.primary") {
                let _ = button.set_attribute("aria-busy", "true");
            }
            if form.has_attribute("data-sent") {
                event.prevent_default();
            }
            let _ = form.set_attribute("data-sent", "");
            return;
        }
        event.prevent_default();
        if let Ok(Some(summary)) = root.query_selector(".summary") {
            let _ = summary.unchecked_into::<HtmlElement>().focus();
        }
    }

    /// While a field is marked wrong, its mark goes as soon as it is right.
    fn corrected(root: &Element, kind: Kind, event: &Event) {
        let Some(form) = form_of(event) else { return };
        if let Ok(None) = root.query_selector(".field.wrong") {
            return;
        }
        let errors = check(kind, &body_of(&form));
        each(root, ".field.wrong", |field| {
            let name = field.get_attribute("data-field").unwrap_or_default();
            if errors.of(&name).is_none() {
                mark(&field, None);
            }
        });
    }

    fn show(root: &Element, errors: &Errors) {
        each(root, ".field[data-field]", |field| {
            let name = field.get_attribute("data-field").unwrap_or_default();
            mark(&field, errors.of(&name));
            if errors.of(&name).is_some()
                && let Ok(Some(folded)) = field.closest("details")
            {
                let _ = folded.set_attribute("open", "");
            }
        });
        let Ok(Some(summary)) = root.query_selector(".summary") else { return };
        let _ = summary.toggle_attribute_with_force("hidden", errors.is_empty());
        if let Ok(Some(heading)) = summary.query_selector("h2") {
            heading.set_text_content(Some(&errors.heading()));
        }
        let Ok(Some(list)) = summary.query_selector("ul") else { return };
        list.set_text_content(None);
        for error in &errors.0 {
            let (item, link) = (element("li"), element("a"));
            let _ = link.set_attribute("href", &format!("#{}", error.field));
            link.set_text_content(Some(&error.message));
            let _ = item.append_child(&link);
            let _ = list.append_child(&item);
        }
    }

    fn mark(field: &Element, wrong: Option<&str>) {
        let _ = field.class_list().toggle_with_force("wrong", wrong.is_some());
        if let Ok(Some(why)) = field.query_selector(".why") {
            let _ = why.toggle_attribute_with_force("hidden", wrong.is_none());
            if let Ok(Some(words)) = why.query_selector("span") {
                words.set_text_content(wrong);
            }
        }
        each(field, "input, select, textarea", |input| {
            match wrong {
                Some(_) => drop(input.set_attribute("aria-invalid", "true")),
                None => drop(input.remove_attribute("aria-invalid")),
            };
        });
    }

    fn element(name: &str) -> Element {
        document().create_element(name).expect("the name is a valid one")
    }

    fn form_of(event: &Event) -> Option<HtmlFormElement> {
        let target = event.target()?.dyn_into::<Element>().ok()?;
        target.closest("form").ok()??.dyn_into().ok()
    }

    fn body_of(form: &HtmlFormElement) -> String {
        let Ok(data) = FormData::new_with_form(form) else { return String::new() };
        let pairs: wasm_bindgen::JsValue = data.into();
        UrlSearchParams::new_with_record_from_str_to_str(pairs.unchecked_ref())
            .map(|params| params.to_string().into())
            .unwrap_or_default()
    }
}
