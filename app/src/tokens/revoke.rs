use super::list::question;
use crate::{
    answer::{Answer, Flash, Reply},
    ui::{frame::Door, icon},
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use tenant::personal_tokens;

/// Asks before revoking, where no dialog can; what it sends revokes.
pub async fn revoke(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let viewer = office.admin.viewer();
    if visit.body.is_some() {
        return match personal_tokens::revoke(&office.tenant, viewer, id).await {
            Ok(()) => {
                tracing::info!(token = %id, admin = %office.admin.id, "access token revoked");
                Ok(Reply::redirect("/settings/tokens").saying(Flash::TokenRevoked))
            }
            // A button was pressed twice: the list shows that it is gone.
            Err(tenant::Error::NotFound) => Ok(Reply::redirect("/settings/tokens")),
            Err(error) => Err(error.into()),
        };
    }
    let token = personal_tokens::find(&office.tenant, viewer, id).await?;
    let title = format!("Revoke {}", token.details.name);
    let body = view! {
        <a class="back" href="/settings/tokens">{icon::back()}"Access tokens"</a>
        <div class="card pad grid gap-4">{question(&token, false)}</div>
    };
    Ok(Reply::desk(&title, Door::Settings, body))
}
