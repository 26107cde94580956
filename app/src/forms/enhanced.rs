//! The island that checks a form before it is sent, and saves it without a reload.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A form: the rules it is checked by, and the server function that saves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FormKind {
    Church,
    Owner,
    SignIn,
    PersonalToken,
    RevokePersonalToken(Uuid),
    /// `None` adds one.
    Member(Option<Uuid>),
    ArchiveMember(Uuid),
    RestoreMember(Uuid),
    Branch(Option<Uuid>),
    ArchiveBranch(Uuid),
    RestoreBranch(Uuid),
    Tag(Uuid),
    DeleteTag(Uuid),
}

/// Checks the form inside by the server's rules, and shows errors at the fields. A form with a server function is saved
/// by it; any other is posted. Without JavaScript, the page answers with the same errors.
#[island]
pub fn EnhancedForm(kind: FormKind, children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        if let Some(root) = root.get() {
            browser::enhance(&root, kind.clone());
        }
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = kind;
    view! { <div class="contents" node_ref=root>{children()}</div> }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::FormKind;
    use crate::{
        action::{ActionError, Saved},
        branches::actions as branches,
        members::actions as members,
        personal_tokens::actions as personal_tokens,
        tags::actions as tags,
        ui::browser::{each, form_data, listen},
    };
    use domain::{
        Errors, RawForm, branches::BRANCH, members::MEMBER, personal_tokens::PERSONAL_TOKEN,
        sessions::parse_sign_in, signup, tags::TAG,
    };
    use leptos::{
        prelude::{document, window},
        task::spawn_local,
    };
    use wasm_bindgen::JsCast;
    use web_sys::{Element, Event, HtmlElement, HtmlFormElement};

    impl FormKind {
        /// `opened` is what the form held when the page was shown: fields that were left alone are not checked.
        fn check(&self, form: &RawForm, opened: &RawForm) -> Errors {
            let errors = |result: Result<(), Errors>| result.err().unwrap_or_default();
            match self {
                Self::Church => errors(signup::parse_church(form).map(drop)),
                Self::Owner => errors(signup::parse_owner(form).map(drop)),
                Self::SignIn => errors(parse_sign_in(form).map(drop)),
                Self::PersonalToken => PERSONAL_TOKEN.check_form(form, None),
                Self::Member(id) => MEMBER.check_form(form, id.map(|_| opened)),
                Self::Branch(id) => BRANCH.check_form(form, id.map(|_| opened)),
                Self::Tag(_) => TAG.check_form(form, Some(opened)),
                Self::RevokePersonalToken(_)
                | Self::ArchiveMember(_)
                | Self::RestoreMember(_)
                | Self::ArchiveBranch(_)
                | Self::RestoreBranch(_)
                | Self::DeleteTag(_) => Errors::default(),
            }
        }

        fn is_saved_in_place(&self) -> bool {
            !matches!(self, Self::Church | Self::Owner | Self::SignIn | Self::PersonalToken)
        }

        async fn save(self, form: RawForm) -> Result<Saved, ActionError> {
            match self {
                Self::Member(id) => members::save_member(id, form).await,
                Self::ArchiveMember(id) => members::archive_member(id).await,
                Self::RestoreMember(id) => members::restore_member(id).await,
                Self::Branch(id) => branches::save_branch(id, form).await,
                Self::ArchiveBranch(id) => branches::archive_branch(id).await,
                Self::RestoreBranch(id) => branches::restore_branch(id).await,
                Self::Tag(id) => tags::rename_tag(id, form).await,
                Self::DeleteTag(id) => tags::delete_tag(id).await,
                Self::RevokePersonalToken(id) => personal_tokens::revoke_personal_token(id).await,
                Self::Church | Self::Owner | Self::SignIn | Self::PersonalToken => Err(ActionError::NotFound),
            }
        }
    }

    /// The listeners live as long as the page does.
    pub fn enhance(root: &Element, kind: FormKind) {
        let Ok(Some(form)) = root.query_selector("form") else { return };
        let opened = form_data(form.unchecked_ref());
        let (of_submit, of_input) = ((root.clone(), kind.clone(), opened.clone()), (root.clone(), kind, opened));
        listen(root, "submit", move |event| submitted(&of_submit.0, &of_submit.1, &of_submit.2, &event));
        listen(root, "input", move |event| corrected(&of_input.0, &of_input.1, &of_input.2, &event));
        // A page that Back brings again may send its form again.
        let form = root.clone();
        listen(&window(), "pageshow", move |_| set_busy(&form, false));
    }

    /// A form that is being sent ignores a second press.
    fn set_busy(root: &Element, is_busy: bool) {
        each(root, "form", |form| drop(form.toggle_attribute_with_force("data-sent", is_busy)));
        each(root, "button.primary", |button| match is_busy {
            true => drop(button.set_attribute("aria-busy", "true")),
            false => drop(button.remove_attribute("aria-busy")),
        });
    }

    fn submitted(root: &Element, kind: &FormKind, opened: &RawForm, event: &Event) {
        let Some(form) = form_of(event) else { return };
        if form.has_attribute("data-sent") {
            event.prevent_default();
            return;
        }
        let posted = form_data(&form);
        let errors = kind.check(&posted, opened);
        show(root, &errors);
        if !errors.is_empty() {
            event.prevent_default();
            focus_summary(root);
            return;
        }
        set_busy(root, true);
        if kind.is_saved_in_place() {
            event.prevent_default();
            save(root.clone(), kind.clone(), posted);
        }
    }

    fn save(root: Element, kind: FormKind, posted: RawForm) {
        spawn_local(async move {
            let error = match kind.save(posted).await {
                Ok(saved) => return drop(window().location().assign(&saved.location)),
                Err(error) => error,
            };
            if let ActionError::Conflict { replace, .. } = &error {
                for (name, value) in &replace.0 {
                    each(&root, &format!("input[name={name}]"), |input| {
                        drop(input.set_attribute("value", value));
                    });
                }
            }
            set_busy(&root, false);
            show(&root, &error.errors());
            focus_summary(&root);
        });
    }

    /// Takes errors away as soon as they are mended, at the field and in the summary.
    fn corrected(root: &Element, kind: &FormKind, opened: &RawForm, event: &Event) {
        let Some(form) = form_of(event) else { return };
        if let Ok(None) = root.query_selector(".field.invalid") {
            return;
        }
        let now = kind.check(&form_data(&form), opened);
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let edited = target.and_then(|target| target.closest(".field").ok().flatten());
        let mut left = Errors::default();
        each(root, ".field.invalid", |field| {
            let name = field.get_attribute("data-field").unwrap_or_default();
            // An error that only the server finds goes when its field is edited.
            let is_edited = edited.as_ref().is_some_and(|edited| edited.is_same_node(Some(&field)));
            match now.of(&name) {
                Some(message) => left.add(&name, message),
                None if is_edited => mark(&field, None),
                None => left.add(&name, message_of(&field)),
            }
        });
        summarise(root, &left);
    }

    fn message_of(field: &Element) -> String {
        let message = field.query_selector(".error span").ok().flatten();
        message.and_then(|message| message.text_content()).unwrap_or_default()
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
        summarise(root, errors);
    }

    fn summarise(root: &Element, errors: &Errors) {
        let Ok(Some(summary)) = root.query_selector(".summary") else { return };
        let _ = summary.toggle_attribute_with_force("hidden", errors.is_empty());
        if let Ok(Some(heading)) = summary.query_selector("h2") {
            heading.set_text_content(Some(&errors.heading()));
        }
        let Ok(Some(list)) = summary.query_selector("ul") else { return };
        list.set_text_content(None);
        for error in &errors.0 {
            let item = element("li");
            if error.field.is_empty() {
                item.set_text_content(Some(&error.message));
            } else {
                let link = element("a");
                let _ = link.set_attribute("href", &format!("#{}", error.field));
                link.set_text_content(Some(&error.message));
                let _ = item.append_child(&link);
            }
            let _ = list.append_child(&item);
        }
    }

    fn focus_summary(root: &Element) {
        if let Ok(Some(summary)) = root.query_selector(".summary") {
            let _ = summary.unchecked_into::<HtmlElement>().focus();
        }
    }

    fn mark(field: &Element, error: Option<&str>) {
        let _ = field.class_list().toggle_with_force("invalid", error.is_some());
        if let Ok(Some(message)) = field.query_selector(".error") {
            let _ = message.toggle_attribute_with_force("hidden", error.is_none());
            if let Ok(Some(text)) = message.query_selector("span") {
                text.set_text_content(error);
            }
        }
        each(field, "input, select, textarea", |input| {
            match error {
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
}
