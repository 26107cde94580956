//! Inputs with label, hint and error. The error element is always there, so that the browser can fill it in.

use super::icon;
use domain::Errors;
use leptos::prelude::*;

/// Errors of a form above it, with links to the fields.
#[component]
pub fn ErrorSummary<'a>(errors: &'a Errors) -> AnyView {
    let items = errors.0.iter().map(|error| match error.field.as_str() {
        "" => view! { <li>{error.message.clone()}</li> }.into_any(),
        field => view! { <li><a href=format!("#{field}")>{error.message.clone()}</a></li> }.into_any(),
    });
    view! {
        <div class="summary" role="alert" tabindex="-1" aria-labelledby="summary-title"
             hidden=errors.is_empty() autofocus=!errors.is_empty()>
            <h2 id="summary-title">{errors.heading()}</h2>
            <ul>{items.collect_view()}</ul>
        </div>
    }
    .into_any()
}

/// Error message of a field.
pub fn field_error(name: &str, message: Option<&str>) -> impl IntoView + use<> {
    view! {
        <p class="error" id=format!("{name}-error") hidden=message.is_none()>
            {icon::warning()}<span>{message.unwrap_or_default().to_owned()}</span>
        </p>
    }
}

/// A field of a form: what stands around an input, and the attributes that inputs share.
#[derive(Clone, Default)]
pub struct FormField {
    pub name: String,
    pub label: String,
    pub value: String,
    pub is_optional: bool,
    pub hint: Option<String>,
    pub autocomplete: Option<&'static str>,
    pub maxlength: Option<usize>,
    pub error: Option<String>,
    /// Takes the whole width of a form.
    pub is_wide: bool,
    /// The first field of a form has the focus.
    pub has_focus: bool,
}

impl FormField {
    pub fn new(name: &str, label: &str, value: &str, errors: &Errors) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            value: value.to_owned(),
            error: errors.of(name).map(str::to_owned),
            ..Self::default()
        }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete: Some(autocomplete), ..self }
    }

    pub fn max(self, maxlength: usize) -> Self {
        Self { maxlength: Some(maxlength), ..self }
    }

    /// An `input` of a type: text, email, tel, date …
    pub fn input(self, kind: &'static str) -> AnyView {
        let input = view! {
            <input class="input" id=self.name.clone() name=self.name.clone() r#type=kind value=self.value.clone()
                   autocomplete=self.autocomplete.unwrap_or("off") maxlength=self.maxlength.map(|max| max.to_string())
                   aria-describedby=self.described_by() aria-invalid=self.aria_invalid()
                   aria-required=(!self.is_optional).then_some("true")/>
        };
        self.around(input.into_any())
    }

    pub fn textarea(self, rows: u32) -> AnyView {
        let input = view! {
            <textarea class="input" id=self.name.clone() name=self.name.clone() rows=rows
                      maxlength=self.maxlength.map(|max| max.to_string())
                      aria-describedby=self.described_by() aria-invalid=self.aria_invalid()>{escaped(&self.value)}</textarea>
        };
        self.around(input.into_any())
    }

    /// A `select` of values and labels.
    pub fn select(self, choices: impl IntoIterator<Item = (String, String)>) -> AnyView {
        let options = choices.into_iter().map(|(value, label)| {
            let is_selected = value == self.value;
            view! { <option value=value selected=is_selected>{label}</option> }
        });
        let options = options.collect_view().into_any();
        self.select_of(options)
    }

    pub fn select_of(self, options: AnyView) -> AnyView {
        let input = view! {
            <select class="input" id=self.name.clone() name=self.name.clone() autocomplete=self.autocomplete
                    aria-describedby=self.described_by() aria-invalid=self.aria_invalid()>{options}</select>
        };
        self.around(input.into_any())
    }

    pub fn checkbox(self) -> AnyView {
        let name = self.name.clone();
        view! {
            <div class="field wide" class:invalid=self.error.is_some() data-field=name.clone()>
                <label class="check">
                    <input id=name.clone() r#type="checkbox" name=name.clone() value="on" checked=!self.value.is_empty()
                           aria-describedby=format!("{name}-error")/>
                    <span>{self.label}<small>{self.hint}</small></span>
                </label>
                {field_error(&name, self.error.as_deref())}
            </div>
        }
        .into_any()
    }

    pub fn described_by(&self) -> String {
        match self.hint {
            Some(_) => format!("{0}-hint {0}-error", self.name),
            None => format!("{}-error", self.name),
        }
    }

    pub fn aria_invalid(&self) -> Option<&'static str> {
        self.error.as_ref().map(|_| "true")
    }

    /// Label, hint and error around an input.
    pub fn around(self, input: AnyView) -> AnyView {
        let optional = self.is_optional.then(|| view! { " "<small>"(optional)"</small> });
        view! {
            <div class="field" class:invalid=self.error.is_some() class:wide=self.is_wide data-field=self.name.clone()>
                <label for=self.name.clone()>{self.label}{optional}</label>
                {self.hint.map(|hint| view! { <p class="hint" id=format!("{}-hint", self.name)>{hint}</p> })}
                {input}
                {field_error(&self.name, self.error.as_deref())}
            </div>
        }
        .into_any()
    }
}

/// Leptos writes the text of a textarea as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The first choice of a list in which nothing is chosen.
pub fn placeholder_option(label: &str) -> (String, String) {
    (String::new(), label.to_owned())
}
