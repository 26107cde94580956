//! The files the browser needs, carried inside the binary and made before it by cargo-leptos.

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{borrow::Cow, env, sync::LazyLock};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../target/site"]
struct Site;

/// Whether cargo-leptos watches the sources (`make dev`) and rewrites the files while this process serves them. A debug build
/// reads them from disk at each request; a release build carries them inside.
pub static WATCHED: LazyLock<bool> =
    LazyLock::new(|| cfg!(debug_assertions) && env::var_os("LEPTOS_WATCH").is_some());

/// The folder of scripts and styles as the browser knows it. Its name changes with what is in it, so
/// that everything below it may be kept forever.
pub static PKG: LazyLock<String> = LazyLock::new(|| {
    // A hash of what is there now would name older files after the next change.
    if *WATCHED {
        return "pkg".into();
    }
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut names: Vec<_> = Site::iter().filter(|name| name.starts_with("pkg/")).collect();
    names.sort();
    for file in names.iter().filter_map(|name| Site::get(name)) {
        context.update(&file.metadata.sha256_hash());
    }
    let hash: String = context.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("pkg-{hash}")
});

const FOREVER: &str = "public, max-age=31536000, immutable";
const A_DAY: &str = "public, max-age=86400";

pub async fn script_or_style(Path((folder, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if folder != *PKG {
        return StatusCode::NOT_FOUND.into_response();
    }
    file(&format!("pkg/{name}"), &headers, FOREVER)
}

pub async fn font(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("fonts/{name}"), &headers, FOREVER)
}

pub async fn icon(headers: HeaderMap) -> Response {
    file("favicon.svg", &headers, A_DAY)
}

fn file(path: &str, headers: &HeaderMap, keep: &'static str) -> Response {
    let takes =
        headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes = |coding: &str| {
        takes.split(',').any(|taken| taken.split(';').next().is_some_and(|t| t.trim() == coding))
    };
    let packed = [("br", "br"), ("gzip", "gz")].into_iter().find_map(|(coding, ending)| {
        let file = takes(coding).then(|| Site::get(&format!("{path}.{ending}"))).flatten()?;
        Some((file, Some(coding)))
    });
    let Some((EmbeddedFile { data, .. }, coding)) =
        packed.or_else(|| Site::get(path).map(|file| (file, None)))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let body = match data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, content_type(path))
        .header(header::CACHE_CONTROL, if *WATCHED { "no-store" } else { keep })
        .header(header::VARY, "accept-encoding");
    if let Some(coding) = coding {
        response = response.header(header::CONTENT_ENCODING, coding);
    }
    response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
