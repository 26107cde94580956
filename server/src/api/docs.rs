//! The OpenAPI document, made from the handlers, and a page to read it. Nothing of it comes from another host.

use super::problem::ProblemDetails;
use crate::state::AppState;
use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Content, ExternalDocs, HttpMethod, OpenApi as Document, Ref, RefOr, Response as Described,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vestry",
        description = "The office that churches run on. The church comes from the credential: an access token from \
                       `POST /api/auth/login`, or a personal access token. `X-Tenant-ID` may name a church the \
                       credential is good for; any other is refused. Everything that goes wrong is answered as \
                       `application/problem+json`.",
    ),
    tags(
        (name = "Signing up", description = "A church gets its office"),
        (name = "Signing in", description = "Tokens, and whose they are"),
        (name = "Members", description = "The people of the church"),
        (name = "Branches", description = "The places where it meets"),
        (name = "Files", description = "Sent and fetched by addresses that are good for a while"),
        (name = "The church", description = "Its database"),
        (name = "For the operator", description = "With `VESTRY_OPERATOR_TOKEN`"),
    )
)]
struct Frame;

/// The document without its operations.
pub fn frame() -> Document {
    Frame::openapi()
}

/// Serves the document and the page.
pub fn router(mut document: Document, source_url: Option<&str>) -> Router<AppState> {
    complete(&mut document);
    document.external_docs = source_url.map(|url| {
        let mut docs = ExternalDocs::new(url);
        docs.description = Some("Source code".into());
        docs
    });
    let page = SwaggerUi::new("/api/docs")
        .config(Config::new(["/api/openapi.json"]).try_it_out_enabled(true).validator_url("none"));
    let document = get(async move || Json(document));
    Router::new().route("/api/openapi.json", document).merge(page).layer(from_fn(only_ours))
}

/// The page runs scripts and styles of ours only; it sets some styles at elements, and draws icons as data.
async fn only_ours(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// What is true of every operation is said once, here.
fn complete(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(ProblemDetails::name().into_owned(), ProblemDetails::schema());
    let mut schemas = Vec::new();
    ProblemDetails::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let bearer = |what: &str| {
        SecurityScheme::Http(
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(what)).build(),
        )
    };
    let schemes = &mut components.security_schemes;
    schemes.insert("bearer".into(), RefOr::T(bearer("An access token, or a personal access token")));
    schemes.insert("operator".into(), RefOr::T(bearer("VESTRY_OPERATOR_TOKEN")));
    for path in document.paths.paths.values_mut() {
        let operations = [
            (HttpMethod::Get, &mut path.get),
            (HttpMethod::Post, &mut path.post),
            (HttpMethod::Patch, &mut path.patch),
            (HttpMethod::Delete, &mut path.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                describe(&method, operation);
            }
        }
    }
}

fn describe(method: &HttpMethod, operation: &mut Operation) {
    let places: Vec<_> = operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(&parameter.parameter_in),
            RefOr::Ref(_) => None,
        })
        .collect();
    let (has_id, has_query) = (places.contains(&&ParameterIn::Path), places.contains(&&ParameterIn::Query));
    let is_closed = operation.security.is_some();
    let changes = matches!(method, HttpMethod::Patch | HttpMethod::Delete);
    let has_body = operation.request_body.is_some();
    for (status, what, when) in [
        ("400", "It cannot be read", has_body),
        ("401", "No token that is good now, or wrong credentials", is_closed || has_body),
        ("403", "The token does not open that, or its person may not do it", is_closed || has_body),
        ("404", "There is no such thing in this church", has_id),
        ("409", "The credential opens several churches: `choices`", is_closed),
        ("412", "Somebody else has changed it since that `ETag`", changes),
        ("413", "The body is too large", has_body),
        ("415", "The body is not `application/json`", has_body),
        ("422", "A field is not right: `errors`", has_body || has_query || changes),
        ("429", "Too often; `Retry-After` says when to come again", true),
        ("503", "A database does not answer just now; `Retry-After`", true),
        ("default", "Anything else that went wrong", true),
    ] {
        if when && !operation.responses.responses.contains_key(status) {
            operation.responses.responses.insert(status.into(), RefOr::T(problem(what)));
        }
    }
    let mut headers = Vec::new();
    if *method == HttpMethod::Post {
        headers.push((
            "Idempotency-Key",
            Some("^[!-~]{1,255}$"),
            "The same request again under the same key is done once, and answered the same for a day.",
        ));
    }
    if changes {
        headers.push((
            "If-Match",
            None,
            "The `ETag` of what is to be changed: 412 when somebody else was faster.",
        ));
    }
    if is_closed {
        headers.push(("X-Tenant-ID", None, "One of the churches the credential is good for."));
    }
    for (name, pattern, what) in headers {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(pattern);
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .description(Some(what))
            .schema(Some(text));
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
    }
}

fn problem(what: &str) -> Described {
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(ProblemDetails::name()))));
    let mut response = Described::new(what);
    response.content.insert("application/problem+json".into(), RefOr::T(content));
    response
}
