//! The fields of a form, as HTML that says what is wrong where it is wrong.

use super::Errors;
use crate::ui::icon;
use leptos::prelude::*;

/// The summary on top of a form; always there, so that the browser can fill it in as well.
pub fn summary(errors: &Errors) -> impl IntoView + use<> {
    let items = errors.0.iter().map(|error| {
        view! { <li><a href=format!("#{}", error.field)>{error.message.clone()}</a></li> }
    });
    view! {
        <div class="summary" role="alert" tabindex="-1" aria-labelledby="summary-title"
             hidden=errors.is_empty() autofocus=!errors.is_empty()>
            <h2 id="summary-title">{errors.heading()}</h2>
            <ul>{items.collect_view()}</ul>
        </div>
    }
}

/// One field: label, hint, input, and what is wrong with it.
#[derive(Clone, Default)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub optional: bool,
    /// Part of a group whose legend says that it is optional.
    pub within: bool,
    pub hint: Option<&'static str>,
    /// HTML's name for what is typed: text, email, tel …
    pub kind: &'static str,
    pub autocomplete: Option<&'static str>,
    pub maxlength: Option<u32>,
    pub why: Option<String>,
}

impl Field {
    pub fn new(name: &'static str, label: &'static str, value: &str, errors: &Errors) -> Self {
        Self {
            name,
            label,
            value: value.to_owned(),
            kind: "text",
            why: errors.of(name).map(str::to_owned),
            ..Self::default()
        }
    }

    pub fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub fn within(self) -> Self {
        Self { optional: true, within: true, ..self }
    }

    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete: Some(autocomplete), ..self }
    }

    pub fn max(self, maxlength: u32) -> Self {
        Self { maxlength: Some(maxlength), ..self }
    }

    pub fn input(self) -> AnyView {
        let input = view! {
            <input class="input" id=self.name name=self.name r#type=self.kind value=self.value.clone()
                   autocomplete=self.autocomplete.unwrap_or("off") maxlength=self.maxlength
                   aria-describedby=self.described() aria-invalid=self.invalid()
                   aria-required=(!self.optional).then_some("true")/>
        };
        self.around(input.into_any())
    }

    pub fn textarea(self, rows: u32) -> AnyView {
        let input = view! {
            <textarea class="input" id=self.name name=self.name rows=rows maxlength=self.maxlength
                      aria-describedby=self.described() aria-invalid=self.invalid()>{escaped(&self.value)}</textarea>
        };
        self.around(input.into_any())
    }

    /// A list to choose from: value and words.
    pub fn select(self, choices: Vec<(String, String)>) -> AnyView {
        let options = choices.into_iter().map(|(value, words)| {
            let selected = value == self.value;
            view! { <option value=value selected=selected>{words}</option> }
        });
        let options = options.collect_view().into_any();
        self.select_of(options)
    }

    pub fn select_of(self, options: AnyView) -> AnyView {
        let input = view! {
            <select class="input" id=self.name name=self.name autocomplete=self.autocomplete
                    aria-describedby=self.described() aria-invalid=self.invalid()>{options}</select>
        };
        self.around(input.into_any())
    }

    fn described(&self) -> String {
        match self.hint {
            Some(_) => format!("{0}-hint {0}-why", self.name),
            None => format!("{}-why", self.name),
        }
    }

    fn invalid(&self) -> Option<&'static str> {
        self.why.as_ref().map(|_| "true")
    }

    pub fn around(self, input: AnyView) -> AnyView {
        view! {
            <div class="field" class:wrong=self.why.is_some() data-field=self.name>
                <label for=self.name>{self.label}{(self.optional && !self.within).then(|| view! { " "<small>"(optional)"</small> })}</label>
                {self.hint.map(|hint| view! { <p class="hint" id=format!("{}-hint", self.name)>{hint}</p> })}
                {input}
                {why(self.name, self.why.as_deref())}
            </div>
        }
        .into_any()
    }
}

/// Leptos writes the text of a textarea as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What is wrong with a field; always there, so that the browser can fill it in as well.
pub fn why(name: &str, message: Option<&str>) -> impl IntoView + use<> {
    view! {
        <p class="why" id=format!("{name}-why") hidden=message.is_none()>
            {icon::warning()}<span>{message.unwrap_or_default().to_owned()}</span>
        </p>
    }
}

/// A box to tick.
pub fn tick(
    name: &'static str,
    words: &'static str,
    hint: &'static str,
    ticked: bool,
    errors: &Errors,
) -> impl IntoView + use<> {
    let message = errors.of(name);
    view! {
        <div class="field" class:wrong=message.is_some() data-field=name>
            <label class="check">
                <input id=name r#type="checkbox" name=name value="on" checked=ticked aria-describedby=format!("{name}-why")/>
                <span>{words}<small>{hint}</small></span>
            </label>
            {why(name, message)}
        </div>
    }
}

/// The first choice of a list, when nothing is chosen.
pub fn unchosen(words: &str) -> (String, String) {
    (String::new(), words.to_owned())
}
