//! What is done to personal access tokens, by pages and by server functions. Creating one is a plain post: the response
//! is the page that shows the token, once.

use crate::action::{ActionError, Saved};
use leptos::{prelude::*, server_fn::codec::Json};
use uuid::Uuid;

#[cfg(feature = "ssr")]
pub(super) use server::revoke;

#[server(endpoint = "personal_tokens/revoke", input = Json)]
pub async fn revoke_personal_token(id: Uuid) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| revoke(&user, id).await).await
}

#[cfg(feature = "ssr")]
mod server {
    use crate::{action::Saved, error::PageError, flash::Flash};
    use identity::CurrentUser;
    use tenant::personal_tokens;
    use uuid::Uuid;

    pub async fn revoke(user: &CurrentUser, id: Uuid) -> Result<Saved, PageError> {
        match personal_tokens::revoke(&user.tenant, user.admin.viewer(), id).await {
            Ok(()) => tracing::info!(token = %id, admin = %user.admin.id, "access token revoked"),
            // The button was pressed twice: the list shows that the token is gone.
            Err(tenant::Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Saved::new("/settings/tokens", Flash::TokenRevoked))
    }
}
