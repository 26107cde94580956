use super::{PASSWORD, TestServer};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

/// A program that uses the API; each comes from an address of its own.
#[derive(Clone)]
pub struct Program {
    client: reqwest::Client,
    base: String,
    address: String,
    /// What it shows, if anything.
    pub token: Option<String>,
    /// What it was told when it signed in.
    pub session: Value,
}

impl Program {
    pub fn new(server: SocketAddr) -> Self {
        static NTH: AtomicU32 = AtomicU32::new(1);
        let nth = NTH.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        // Unencrypted, but the client asks for a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            base: format!("http://{server}"),
            address: format!("11.{}.{}.{}", nth[1], nth[2], nth[3]),
            token: None,
            session: Value::Null,
        }
    }

    /// One that has signed in with the password everybody has.
    pub async fn log_in(server: &TestServer, email: &str) -> Self {
        let program = Self::new(server.addr());
        let said = program.post("/api/auth/login", json!({ "email": email, "password": PASSWORD })).await;
        let session = said.expect(200).body;
        Self { token: session["accessToken"].as_str().map(str::to_owned), session, ..program }
    }

    pub fn with(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same program at another server of the installation.
    pub fn at(&self, server: SocketAddr) -> Self {
        Self { base: format!("http://{server}"), ..self.clone() }
    }

    pub fn refresh_token(&self) -> &str {
        self.session["refreshToken"].as_str().expect("it has signed in")
    }

    pub async fn get(&self, path: &str) -> Said {
        self.send(Method::GET, path, |request| request).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Said {
        self.send(Method::POST, path, |request| request.json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Said {
        self.send(Method::PATCH, path, |request| request.json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Said {
        self.send(Method::DELETE, path, |request| request).await
    }

    /// Anything else: the request is finished by the test.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        finish: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Said {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header("x-forwarded-for", &self.address);
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = finish(request).send().await.expect("the server answers");
        Said {
            status: response.status(),
            headers: response.headers().clone(),
            body: {
                let text = response.text().await.expect("the answer is text");
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            },
        }
    }
}

#[derive(Clone, Debug)]
pub struct Said {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Said {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// That it is a problem of this kind, told as RFC 9457 wants it.
    #[track_caller]
    pub fn problem(self, status: u16, kind: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["type"], format!("urn:vestry:{kind}"), "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["requestId"], self.header("x-request-id"));
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()));
        self
    }

    /// What is said to be wrong with a field.
    pub fn why(&self, field: &str) -> &str {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let error = errors.iter().find(|error| error["field"] == field);
        error.and_then(|error| error["message"].as_str()).unwrap_or_default()
    }

    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}
