use crate::ui::combobox::{SuggestionList, Suggestions};
use leptos::prelude::*;

/// Around the tags of a form: suggests known tags while one is typed. What is chosen becomes a ticked box.
#[island]
pub fn TagPicker(name: String, children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    let suggestions = Suggestions::default();
    let list_id = format!("{name}-suggestions");
    #[cfg(feature = "hydrate")]
    {
        let (name, list_id) = (name.clone(), list_id.clone());
        Effect::new(move || {
            if let Some(root) = root.get() {
                browser::attach(&root, &name, &list_id, suggestions);
            }
        });
    }
    let choose = move |tag: String| {
        #[cfg(feature = "hydrate")]
        if let Some(root) = root.get_untracked() {
            browser::add(&root, &name, &tag, suggestions);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (&name, &tag);
    };
    view! {
        <div class="picker" node_ref=root>
            {children()}
            <SuggestionList id=list_id suggestions=suggestions choose=choose/>
        </div>
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Suggestions;
    use crate::tags::actions::suggest_tags;
    use leptos::{prelude::document, task::spawn_local};
    use wasm_bindgen::JsCast;
    use web_sys::{Element, Event, EventInit, HtmlInputElement};

    pub fn attach(root: &Element, name: &str, list_id: &str, suggestions: Suggestions) {
        let Some(input) = text_input(root) else { return };
        let (of_choice, name) = (root.clone(), name.to_owned());
        let (of_typing, of_answer) = (root.clone(), input.clone());
        let choose = move |tag: String| add(&of_choice, &name, &tag, suggestions);
        let typed = move |text: String| {
            let wanted = last_tag(&text).to_owned();
            if wanted.is_empty() {
                suggestions.close();
                return;
            }
            let (root, input) = (of_typing.clone(), of_answer.clone());
            spawn_local(async move {
                let Ok(found) = suggest_tags(wanted.clone()).await else { return };
                // Something else has been typed by now.
                if last_tag(&input.value()) != wanted {
                    return;
                }
                let set = chosen(&root);
                suggestions.show(found.into_iter().filter(|tag| !set.contains(&tag.to_lowercase())).collect());
            });
        };
        suggestions.attach(&input, list_id, choose, typed);
    }

    /// Adds a ticked box in the place of what was typed for it.
    pub fn add(root: &Element, name: &str, tag: &str, suggestions: Suggestions) {
        let (Some(input), Ok(Some(boxes))) = (text_input(root), root.query_selector(".chosen")) else { return };
        let text = input.value();
        let before = text.rsplit_once(',').map_or("", |(before, _)| before);
        input.set_value(&if before.trim().is_empty() { String::new() } else { format!("{before}, ") });
        let created = |element: &str| document().create_element(element).expect("the name is a valid one");
        let (label, tick, text) = (created("label"), created("input"), created("span"));
        let _ = label.set_attribute("class", "check");
        for (attribute, value) in [("type", "checkbox"), ("name", name), ("value", tag), ("checked", "")] {
            let _ = tick.set_attribute(attribute, value);
        }
        let _ = text.set_attribute("class", "clip");
        text.set_text_content(Some(tag));
        let _ = label.append_with_node_2(&tick, &text);
        let _ = boxes.append_child(&label);
        suggestions.close();
        let _ = input.focus();
        // The form hears of it as of anything that is typed.
        let bubbling = EventInit::new();
        bubbling.set_bubbles(true);
        if let Ok(event) = Event::new_with_event_init_dict("input", &bubbling) {
            let _ = boxes.dispatch_event(&event);
        }
    }

    fn text_input(root: &Element) -> Option<HtmlInputElement> {
        root.query_selector("input.input").ok().flatten()?.dyn_into().ok()
    }

    fn last_tag(text: &str) -> &str {
        text.rsplit(',').next().unwrap_or_default().trim()
    }

    fn chosen(root: &Element) -> Vec<String> {
        let mut chosen = Vec::new();
        crate::ui::browser::each(root, ".chosen input:checked", |tick| {
            chosen.push(tick.unchecked_into::<HtmlInputElement>().value().to_lowercase());
        });
        chosen
    }
}
