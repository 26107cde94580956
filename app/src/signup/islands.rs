use domain::rules::Strength;
use leptos::prelude::*;

/// Selects the browser's time zone and its country, unless a person has chosen.
#[island]
pub fn DetectTimezone() -> impl IntoView {
    #[cfg(feature = "hydrate")]
    Effect::new(|| {
        use wasm_bindgen::JsCast;
        use web_sys::HtmlSelectElement;
        let select = |id| document().get_element_by_id(id)?.dyn_into::<HtmlSelectElement>().ok();
        let (Some(country), Some(zone)) = (select("country"), select("timezone")) else { return };
        if !country.has_attribute("data-proposed") && !country.value().is_empty() {
            return;
        }
        // A person was quicker than this script.
        if [&country, &zone].iter().any(|select| !is_unchanged(select)) {
            return;
        }
        let Some(name) = browser_zone() else { return };
        let option = zone.query_selector(&format!("option[value=\"{name}\"]")).ok().flatten();
        let Some(option) = option else { return };
        zone.set_value(&name);
        if let Some(code) = option.get_attribute("data-country") {
            country.set_value(&code);
        }
    });
}

/// A select still shows its marked option, or else its first.
#[cfg(feature = "hydrate")]
fn is_unchanged(select: &web_sys::HtmlSelectElement) -> bool {
    let marked = select.query_selector("option[selected]").ok().flatten();
    let marked = marked.and_then(|option| option.get_attribute("value")).unwrap_or_default();
    select.value() == marked
}

#[cfg(feature = "hydrate")]
fn browser_zone() -> Option<String> {
    use wasm_bindgen::JsValue;
    /// Names that browsers still use for zones that have since been renamed.
    const RENAMED: [(&str, &str); 8] = [
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Asia/Katmandu", "Asia/Kathmandu"),
        ("Asia/Rangoon", "Asia/Yangon"),
        ("Asia/Saigon", "Asia/Ho_Chi_Minh"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Africa/Asmera", "Africa/Asmara"),
        ("America/Godthab", "America/Nuuk"),
    ];
    let format = js_sys::Intl::DateTimeFormat::new(&js_sys::Array::new(), &js_sys::Object::new());
    let options = format.resolved_options();
    let zone = js_sys::Reflect::get(&options, &JsValue::from_str("timeZone")).ok()?.as_string()?;
    let renamed = RENAMED.iter().find(|(old, _)| *old == zone).map(|(_, new)| (*new).to_owned());
    let zone = renamed.unwrap_or(zone);
    // It goes into a selector.
    zone.chars().all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c)).then_some(zone)
}

/// Below the password: its strength, and a button that shows it.
#[island]
pub fn PasswordHint() -> impl IntoView {
    let level = RwSignal::new(Strength::Empty);
    let shown = RwSignal::new(false);
    let alive = RwSignal::new(false);
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        use crate::ui::browser::listen;
        use wasm_bindgen::JsCast;
        use web_sys::HtmlInputElement;
        let input = |id| document().get_element_by_id(id)?.dyn_into::<HtmlInputElement>().ok();
        let (Some(password), Some(email)) = (input("password"), input("email")) else { return };
        alive.set(true);
        let typed = password.clone();
        let judge = move || level.set(domain::rules::strength(&typed.value(), &email.value()));
        judge();
        listen(&password, "input", move |_| judge());
        Effect::new(move || password.set_type(if shown.get() { "text" } else { "password" }));
    });
    view! {
        <div class="strength" data-level=move || (level.get() as u8).to_string()>
            <i></i><i></i><i></i><i></i>
            <span role="status">{move || level.get().label()}</span>
        </div>
        <button r#type="button" class="btn quiet small -ms-3 justify-self-start" class:invisible=move || !alive.get()
                aria-pressed=move || shown.get().to_string() aria-controls="password"
                on:click=move |_| shown.update(|shown| *shown = !*shown)>
            "Show the password"
        </button>
    }
}
