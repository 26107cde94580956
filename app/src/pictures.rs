//! Pictures of members and branches: how they are shown, and the page that changes one.

use crate::{
    error::PageError,
    names::{full, initials},
    page::{Layout, NavItem, Page},
    ui::{
        field::{ErrorSummary, FormField},
        page_header::PageHeader,
    },
};
use domain::Errors;
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::{branches, members, photos::Whose};
use uuid::Uuid;

/// A circle with the picture over the initials.
pub fn avatar(whose: Whose, picture: Option<Uuid>, large: bool, initials: String) -> impl IntoView {
    // The address changes with the picture.
    let picture = picture.map(|picture| {
        let address = match (whose, large) {
            (Whose::Member(id), true) => format!("/members/{id}/photo.jpg?v={picture}"),
            (Whose::Member(id), false) => format!("/members/{id}/photo-small.jpg?v={picture}"),
            (Whose::Branch(id), _) => format!("/branches/{id}/picture.jpg?v={picture}"),
        };
        view! { <img src=address alt="" loading="lazy"/> }
    });
    let pictured = picture.is_some();
    view! {
        <span class="avatar" class:large=large class:pictured=pictured aria-hidden="true">{initials}{picture}</span>
    }
}

/// Path of the page that the picture belongs to.
pub fn owner_path(whose: Whose) -> String {
    match whose {
        Whose::Member(id) => format!("/members/{id}"),
        Whose::Branch(id) => format!("/branches/{id}"),
    }
}

/// The page that uploads a picture, with the errors of the last upload.
pub async fn page(user: &CurrentUser, owner: Whose, errors: &Errors) -> Result<Page, PageError> {
    let viewer = user.admin.viewer();
    let (picture, item, title, name, letters) = match owner {
        Whose::Member(id) => {
            let members::Member { fields, photo_id, .. } = members::find(&user.tenant, viewer, id).await?;
            let names = [fields.first_name.as_deref(), fields.last_name.as_deref()];
            let (letters, name) = (initials(names), full(names));
            (photo_id, NavItem::Members, format!("Photo of {name}"), name, letters)
        }
        Whose::Branch(id) => {
            let branch = branches::find(&user.tenant, viewer, id).await?;
            let name = branch.fields.name;
            (branch.picture_id, NavItem::Branches, format!("Photo of {name}"), name, String::new())
        }
    };
    let back = owner_path(owner);
    let path = match owner {
        Whose::Member(_) => format!("{back}/photo"),
        Whose::Branch(_) => format!("{back}/picture"),
    };
    let field = FormField::new("photo", "Choose a photo", "", errors)
        .hint("JPEG, PNG or WebP, up to 10 MB and 40 megapixels. It is cropped to a square from the middle.");
    let input = view! {
        <input class="input" id="photo" name="photo" r#type="file" accept="image/jpeg,image/png,image/webp"
               aria-describedby=field.described_by() aria-invalid=field.aria_invalid() aria-required="true"/>
    };
    let field = field.around(input.into_any());
    let removal = picture.map(|_| {
        view! {
            <form method="post" action=path.clone()>
                <input r#type="hidden" name="remove" value="1"/>
                <button class="btn quiet danger">"Remove the photo"</button>
            </form>
        }
    });
    let shown = (picture.is_some() || !letters.is_empty()).then(|| avatar(owner, picture, true, letters));
    let body = view! {
        <PageHeader title=title.clone() back=(back.clone(), name) picture=shown.into_any()/>
        <form class="stack" method="post" action=path enctype="multipart/form-data">
            <ErrorSummary errors=errors/>
            {field}
            <div class="actions">
                <a class="btn quiet" href=back>"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>
        {removal}
    };
    Ok(Page::new(title, Layout::Narrow(item), body).with_errors(errors))
}
