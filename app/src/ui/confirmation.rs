use super::islands::Dialog;
use crate::forms::enhanced::{EnhancedForm, FormKind};
use leptos::prelude::*;

/// A question before something is done: the consequences, and a button that posts to `path`.
#[derive(Clone)]
pub struct Confirmation {
    /// Unique on its page.
    pub id: String,
    pub title: String,
    pub text: String,
    /// Path that does it, and shows the same question as a page where there is no JavaScript.
    pub path: String,
    pub action: FormKind,
    /// Label of the button.
    pub confirm: &'static str,
    /// Label and path of the link that does nothing.
    pub cancel: &'static str,
    pub cancel_path: String,
}

impl Confirmation {
    fn question(&self, title: AnyView) -> AnyView {
        let form = view! {
            <form method="post" action=self.path.clone() class="actions">
                <a class="btn quiet" href=self.cancel_path.clone() data-close="">{self.cancel}</a>
                <button class="btn danger primary">{self.confirm}</button>
            </form>
        }
        .into_any();
        view! {
            {title}
            <p>{self.text.clone()}</p>
            <EnhancedForm kind=self.action.clone()>{form}</EnhancedForm>
        }
        .into_any()
    }

    /// The question on a page of its own.
    pub fn page(&self) -> AnyView {
        let title = view! { <h1>{self.title.clone()}</h1> }.into_any();
        view! { <div class="card pad grid gap-4">{self.question(title)}</div> }.into_any()
    }
}

/// A link that opens the question in a dialog; without JavaScript it leads to the page.
#[component]
pub fn ConfirmButton(confirmation: Confirmation, class: &'static str, children: Children) -> AnyView {
    let id = confirmation.id.clone();
    let title = view! { <h2 id=id.clone()>{confirmation.title.clone()}</h2> }.into_any();
    let content = view! {
        <a class=class href=confirmation.path.clone()>{children()}</a>
        <dialog class="confirm" aria-labelledby=id>{confirmation.question(title)}</dialog>
    }
    .into_any();
    view! { <Dialog>{content}</Dialog> }.into_any()
}
