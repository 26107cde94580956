//! The picture of a member or branch: shown, chosen, taken away.

use crate::{
    answer::{Answer, Reply},
    forms::{
        Errors,
        fields::{Field, summary},
    },
    names::{full, initials},
    ui::{frame::Door, icon},
    visit::SignedIn,
};
use leptos::prelude::*;
use tenant::{branches, members, pictures::PictureOwner};
use uuid::Uuid;

/// A circle with the picture in it, over the initials; these are what is seen where there is none.
pub fn avatar(whose: PictureOwner, picture: Option<Uuid>, large: bool, initials: String) -> impl IntoView {
    // The address changes with the picture.
    let picture = picture.map(|picture| {
        let address = match (whose, large) {
            (PictureOwner::Member(id), true) => format!("/members/{id}/photo.jpg?v={picture}"),
            (PictureOwner::Member(id), false) => format!("/members/{id}/photo-small.jpg?v={picture}"),
            (PictureOwner::Branch(id), _) => format!("/branches/{id}/picture.jpg?v={picture}"),
        };
        view! { <img src=address alt="" loading="lazy"/> }
    });
    let pictured = picture.is_some();
    view! {
        <span class="avatar" class:large=large class:pictured=pictured aria-hidden="true">{initials}{picture}</span>
    }
}

/// Where the page of whoever the picture is of is.
pub fn back(whose: PictureOwner) -> String {
    match whose {
        PictureOwner::Member(id) => format!("/members/{id}"),
        PictureOwner::Branch(id) => format!("/branches/{id}"),
    }
}

/// The page on which a picture is chosen, with what is wrong with the one that was sent.
pub async fn page(office: SignedIn, whose: PictureOwner, errors: Errors) -> Answer {
    let viewer = office.admin.viewer();
    let (picture, door, title, name, letters, here) = match whose {
        PictureOwner::Member(id) => {
            let members::Member { details, photo_id, .. } = members::find(&office.tenant, viewer, id).await?;
            let names = [details.first_name.as_deref(), details.last_name.as_deref()];
            let (letters, name) = (initials(names), full(names));
            (
                photo_id,
                Door::Members,
                format!("Photo of {name}"),
                name,
                letters,
                format!("/members/{id}/photo"),
            )
        }
        PictureOwner::Branch(id) => {
            let branch = branches::find(&office.tenant, viewer, id).await?;
            let name = branch.details.name;
            (
                branch.picture_id,
                Door::Branches,
                format!("Picture of {name}"),
                name,
                String::new(),
                format!("/branches/{id}/picture"),
            )
        }
    };
    let back = back(whose);
    let input = view! {
        <input class="input" id="photo" name="photo" r#type="file" accept="image/jpeg,image/png,image/webp"
               aria-describedby="photo-hint photo-why" aria-invalid=errors.of("photo").map(|_| "true") aria-required="true"/>
    };
    let field = Field::new("photo", "Choose a picture", "", &errors)
        .hint("JPEG, PNG or WebP, at most 10 MB and 40 megapixels. Its middle is kept, as a square.")
        .around(input.into_any());
    let removal = picture.map(|_| {
        view! {
            <form method="post" action=here.clone()>
                <input r#type="hidden" name="remove" value="1"/>
                <button class="btn quiet danger">"Remove the picture"</button>
            </form>
        }
    });
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href=back.clone()>{icon::back()}{name}</a>
                <div class="titled">
                    {(picture.is_some() || !letters.is_empty()).then(|| avatar(whose, picture, true, letters))}
                    <div><h1>{title.clone()}</h1></div>
                </div>
            </div>
        </div>
        <form class="stack" method="post" action=here enctype="multipart/form-data">
            {summary(&errors)}
            {field}
            <div class="actions">
                <a class="btn quiet" href=back>"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>
        {removal}
    };
    Ok(Reply::desk(&title, door, body).unless_wrong(&errors))
}
