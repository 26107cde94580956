use reqwest::{StatusCode, header, redirect::Policy};
use scraper::{Html, Selector};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// A client that keeps and adds nothing of its own.
pub fn client() -> reqwest::Client {
    // Unencrypted, but the client asks for a provider all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client")
}

/// A browser without JavaScript: it keeps cookies, and each comes from an address of its own.
#[derive(Clone)]
pub struct Browser {
    client: reqwest::Client,
    base: String,
    jar: Arc<reqwest::cookie::Jar>,
    address: String,
}

impl Browser {
    pub fn new(server: SocketAddr) -> Self {
        static NTH: AtomicU32 = AtomicU32::new(1);
        let nth = NTH.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        // Unencrypted, but the client asks for a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let jar = Arc::new(reqwest::cookie::Jar::default());
        let client =
            reqwest::Client::builder().cookie_provider(jar.clone()).redirect(Policy::none()).no_proxy();
        Self {
            client: client.build().expect("a client"),
            base: format!("http://{server}"),
            jar,
            address: format!("10.{}.{}.{}", nth[1], nth[2], nth[3]),
        }
    }

    /// The same person at another server of the installation.
    pub fn at(&self, server: SocketAddr) -> Self {
        let other = Self::new(server);
        let cookies = self.cookies();
        let url = other.base.parse().expect("an address");
        cookies.split("; ").for_each(|cookie| other.jar.add_cookie_str(cookie, &url));
        other
    }

    pub fn cookies(&self) -> String {
        use reqwest::cookie::CookieStore;
        let url = self.base.parse().expect("an address");
        self.jar
            .cookies(&url)
            .and_then(|cookies| cookies.to_str().map(str::to_owned).ok())
            .unwrap_or_default()
    }

    pub fn plant(&self, cookie: &str) {
        self.jar.add_cookie_str(cookie, &self.base.parse().expect("an address"));
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(self.client.post(format!("{}{path}", self.base)).form(fields)).await
    }

    /// Anything else: the request is made by the test.
    pub async fn request(
        &self,
        make: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Page {
        self.send(make(&self.client, &self.base)).await
    }

    /// An answer that goes on.
    pub async fn stream(&self, path: &str) -> reqwest::Response {
        let sent = self.client.get(format!("{}{path}", self.base)).send().await;
        sent.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let response = request
            .header("x-forwarded-for", &self.address)
            .header(header::ACCEPT_LANGUAGE, "en-KE,en")
            .send()
            .await
            .expect("the server answers");
        Page {
            status: response.status(),
            headers: response.headers().clone(),
            html: response.text().await.expect("the answer is text"),
        }
    }
}

#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub html: String,
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "not a redirect: {}", self.words());
        self.header("location")
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.words());
        self
    }

    /// The texts of all elements that fit.
    pub fn all(&self, css: &str) -> Vec<String> {
        let selector = Selector::parse(css).expect("a selector");
        let text = |element: scraper::ElementRef| element.text().collect::<String>();
        Html::parse_document(&self.html).select(&selector).map(text).collect()
    }

    pub fn text(&self, css: &str) -> String {
        self.all(css).into_iter().next().unwrap_or_default()
    }

    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let selector = Selector::parse(css).expect("a selector");
        let document = Html::parse_document(&self.html);
        document.select(&selector).next()?.value().attr(name).map(str::to_owned)
    }

    /// The attribute of all elements that fit.
    pub fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        let selector = Selector::parse(css).expect("a selector");
        let document = Html::parse_document(&self.html);
        let found = document.select(&selector).filter_map(|element| element.value().attr(name));
        found.map(str::to_owned).collect()
    }

    /// What stands in a field of a form.
    pub fn value(&self, field: &str) -> String {
        let chosen = self.attribute(&format!("select[name={field}] option[selected]"), "value");
        let typed = || self.attribute(&format!("input[name={field}]"), "value");
        chosen.or_else(typed).unwrap_or_else(|| self.text(&format!("textarea[name={field}]")))
    }

    /// What is said to be wrong with a field.
    pub fn why(&self, field: &str) -> String {
        self.text(&format!("#{field}-error:not([hidden]) span"))
    }

    /// Errors of the whole form.
    pub fn form_error(&self) -> String {
        self.all(".summary:not([hidden]) li:not(:has(a))").join(" ")
    }

    /// All that a person reads.
    pub fn words(&self) -> String {
        format!("{} {}", self.status, self.all("body").join(" "))
    }
}
