//! The AGPL asks that everybody who uses Vestry over a network is offered its source code.

use crate::harness::{Browser, Church, Page, Process, Program, Registry, TestServer};

const URL: &str = "https://code.example.org/vestry?tag=v1&raw";

/// Pages of all kinds: public, of a church, and one that does not exist.
async fn pages(server: &TestServer) -> Vec<Page> {
    let church = Church::open(server, "Grace Chapel").await;
    let stranger = server.browser();
    let mut pages = Vec::new();
    for path in ["/", "/signup", "/signin", "/no/such/page"] {
        pages.push(stranger.get(path).await);
    }
    for path in ["/", "/members", "/settings/tokens", "/no/such/page"] {
        pages.push(church.browser.get(path).await);
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_the_api_link_to_the_source_code() {
    let server = TestServer::start_with(|config| config.source_url = Some(format!(" {URL} "))).await;
    for page in pages(&server).await {
        assert_eq!(page.attribute("footer a", "href").as_deref(), Some(URL), "{}", page.words());
        assert_eq!(page.all("footer").len(), 1, "{}", page.words());
    }
    let document = Program::new(server.addr()).get("/api/openapi.json").await.expect(200).body;
    assert_eq!(document["externalDocs"]["url"], URL);
    assert_eq!(document["info"]["license"]["identifier"], "AGPL-3.0-or-later");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_pages_say_who_can_be_asked_for_the_source_code() {
    let server = TestServer::start_with(|config| config.source_url = Some(" ".into())).await;
    for page in pages(&server).await {
        assert!(page.text("footer").contains("Ask your Vestry provider for the source code."));
        assert_eq!(page.attribute("footer a", "href"), None);
    }
    let document = Program::new(server.addr()).get("/api/openapi.json").await.expect(200).body;
    assert!(document["externalDocs"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_web_address_is_linked() {
    let registry = Registry::create().await;
    for wrong in ["code.example.org", "javascript:alert(1)", "mailto:office@example.org"] {
        let mut config = registry.config();
        config.source_url = Some(wrong.into());
        let error = server::serve::Running::start(config).await.err().expect("it does not start");
        assert!(error.to_string().starts_with("VESTRY_SOURCE_URL is not an address"), "{error}");
    }
}

/// As cargo-leptos runs it for `make dev`: pages connect to it, and the address of the stylesheet is the one that it swaps.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_sources_are_watched_pages_wait_for_changes() {
    let registry = Registry::create().await;
    let watch = |command: &mut tokio::process::Command| {
        command.env("LEPTOS_WATCH", "true").env("LEPTOS_RELOAD_PORT", "3055");
    };
    let watched = Process::configured(&registry, watch).await;
    let page = Browser::new(watched.addr).get("/").await.expect(200);
    assert_eq!(page.attribute("link[rel=stylesheet]", "href").as_deref(), Some("/pkg/vestry.css"));
    assert!(page.html.contains("/live_reload"), "{}", page.html);
    assert!(page.header("content-security-policy").contains("connect-src 'self' ws://*:3055;"));

    let served = Process::start(&registry).await;
    let page = Browser::new(served.addr).get("/").await.expect(200);
    let stylesheet = page.attribute("link[rel=stylesheet]", "href").expect("a stylesheet");
    assert!(stylesheet.starts_with("/pkg-") && stylesheet.len() > "/pkg-/vestry.css".len(), "{stylesheet}");
    assert!(!page.html.contains("/live_reload"));
    assert!(page.header("content-security-policy").contains("connect-src 'self';"));
}
