use super::frame;
use crate::{
    answer::{Answer, Failure, Frame, Page, Reply},
    visit::{Look, SignedIn, Theme},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use leptos::{
    config::Env,
    hydration::{AutoReload, HydrationScripts},
    nonce::use_nonce,
    prelude::*,
};
use leptos_axum::ResponseOptions;
use std::sync::Arc;

/// What stands around every page.
#[derive(Clone)]
pub struct Surroundings {
    pub options: LeptosOptions,
    pub look: Look,
    pub office: Option<SignedIn>,
    /// Shown with a failure, and found again in the log.
    pub request_id: String,
    /// Whether cookies are for https only.
    pub secure: bool,
    /// Whether the address is that of a room itself, not of a page below it.
    pub exact: bool,
    /// Where the source code is offered.
    pub source_url: Option<Arc<str>>,
}

/// The whole document for what a page answers. A redirect is an empty one.
pub fn document(answer: Answer, around: &Surroundings) -> AnyView {
    let response = expect_context::<ResponseOptions>();
    let page = match answer {
        Ok(Reply::Page(page)) => page,
        Ok(Reply::Redirect(to, flash)) => {
            response.set_status(StatusCode::SEE_OTHER);
            insert(&response, header::LOCATION, &to);
            if let Some(flash) = flash {
                let value = format!("flash={}", flash.name());
                insert(&response, header::SET_COOKIE, &cookie(&value, around.secure));
            }
            return ().into_any();
        }
        Err(failure) => {
            failure.log();
            failed(&failure, around)
        }
    };
    response.set_status(page.status);
    if let Some(seconds) = page.retry_after {
        insert(&response, header::RETRY_AFTER, &seconds.to_string());
    }
    if around.look.flash.is_some() {
        insert(&response, header::SET_COOKIE, &cookie("flash=; Max-Age=0", around.secure));
    }
    // The script of AutoReload connects to cargo-leptos, on a port of its own.
    let reload = match around.options.env {
        Env::DEV => format!(" ws://*:{}", around.options.reload_port),
        Env::PROD => String::new(),
    };
    let nonce = use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         font-src 'self'; img-src 'self'; connect-src 'self'{reload}; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'; manifest-src 'self'"
    );
    insert(&response, header::CONTENT_SECURITY_POLICY, &policy);
    html(page, around)
}

fn html(page: Page, around: &Surroundings) -> AnyView {
    let theme = match around.look.theme {
        Theme::System => None,
        theme => Some(theme.name()),
    };
    let title = match &around.office {
        Some(office) if matches!(page.frame, Frame::Room { .. }) => {
            format!("{} · {} · Vestry", page.title, office.church.name)
        }
        _ => format!("{} · Vestry", page.title),
    };
    let source_url = around.source_url.as_deref();
    let framed = match (&around.office, page.frame) {
        (Some(office), Frame::Room { door, narrow }) => {
            frame::room(office, around.look, door, around.exact, narrow, source_url, page.body)
        }
        _ => frame::gate(around.look, source_url, page.body),
    };
    let stylesheet = format!("/{}/vestry.css", around.options.site_pkg_dir);
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover"/>
                <meta name="color-scheme" content="light dark"/>
                <title>{title}</title>
                <link rel="preload" href="/fonts/inter-latin.woff2" r#as="font" r#type="font/woff2" crossorigin="anonymous"/>
                <link rel="preload" href="/fonts/source-serif-4-latin.woff2" r#as="font" r#type="font/woff2" crossorigin="anonymous"/>
                <link rel="stylesheet" href=stylesheet/>
                <link rel="icon" href="/favicon.svg" r#type="image/svg+xml"/>
                {page.refresh.then(|| view! { <noscript><meta http-equiv="refresh" content="1"/></noscript> })}
                <AutoReload options=around.options.clone() disable_watch=around.options.env != Env::DEV/>
                <HydrationScripts options=around.options.clone() islands=true/>
            </head>
            <body>{framed}</body>
        </html>
    }
    .into_any()
}

fn failed(failure: &Failure, around: &Surroundings) -> Page {
    let (heading, words) = failure.words();
    let reference = matches!(failure, Failure::Internal(_) | Failure::Unavailable { .. }).then(|| {
        view! { <p class="muted">"Reference " <span class="reference">{around.request_id.clone()}</span></p> }
    });
    let body = view! {
        <div class="card empty">
            <h1>{heading}</h1>
            <p>{words}</p>
            {reference}
            <a class="btn primary" href="/">"Go to the first page"</a>
        </div>
    };
    Page {
        title: heading.to_owned(),
        status: failure.status(),
        frame: Frame::Gate,
        body: body.into_any(),
        refresh: false,
        retry_after: failure.retry_after(),
    }
}

/// A cookie of ours with the attributes that each has.
pub fn cookie(value: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{value}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

fn insert(response: &ResponseOptions, name: HeaderName, value: &str) {
    // A value that no header can carry would have to come from an address we made ourselves.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.append_header(name, value);
    }
}
