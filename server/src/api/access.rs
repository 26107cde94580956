use super::problem::Problem;
use crate::{address::Client, operator, state::AppState};
use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use std::net::IpAddr;

/// The address a request comes from, or its network, as limits count them.
#[derive(Clone, Copy)]
pub struct Caller(pub IpAddr);

/// Before anything is looked up: how often one address may ask.
pub async fn slow_down(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let from = client.limit_key();
    let standing = state.limits.address(from)?;
    request.extensions_mut().insert(Caller(from));
    let mut response = next.run(request).await;
    standing.write(response.headers_mut());
    Ok(response)
}

/// Only whoever shows a good token goes on, into the church that it opens.
pub async fn admit(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let bearer = operator::bearer(request.headers()).ok_or_else(Problem::unauthenticated)?;
    let wanted = request.headers().get("x-tenant-id").map(|wanted| wanted.to_str().unwrap_or_default());
    let office = state.identity.authenticate(bearer, wanted).await?;
    let standing = state.limits.account(office.tenant.id(), office.admin.id)?;
    request.extensions_mut().insert(office);
    let mut response = next.run(request).await;
    standing.write(response.headers_mut());
    Ok(response)
}

/// Only the operator's program goes on.
pub async fn operator(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(token) = &state.operator_token else {
        let title = "There is no operator here";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no-operator", title)
            .detail("Set VESTRY_OPERATOR_TOKEN, and send it as a bearer token."));
    };
    if !operator::is_operator(request.headers(), token) {
        return Err(Problem::unauthenticated());
    }
    Ok(next.run(request).await)
}
