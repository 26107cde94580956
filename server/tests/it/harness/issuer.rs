//! An OpenID Connect issuer of the test's own: it publishes keys, counts how often it is asked for them, and signs
//! whatever it is told to.

use super::TestServer;
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::{KeyPair, PublicKeyComponents},
    signature::RSA_PKCS1_SHA256,
};
use serde_json::{Value, json};
use server::config::Config;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::net::TcpListener;

pub const ISSUER: &str = "https://issuer.example.org/office";
pub const AUDIENCE: &str = "office-app";

/// The issuer's first key, for whoever mistakes a public key for a secret.
pub const PUBLIC_KEY: &str = include_str!("keys/one.pub.pem");

#[derive(Default)]
struct World {
    keys: Vec<Value>,
    asked: usize,
    down: bool,
    takes: Duration,
}

#[derive(Clone)]
pub struct Issuer {
    addr: SocketAddr,
    world: Arc<Mutex<World>>,
}

impl Issuer {
    /// With one key, which is called `first`.
    pub async fn start() -> Self {
        // What asks for keys speaks TLS to others.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = Self { addr: listener.local_addr().expect("an address"), world: Arc::default() };
        issuer.publish(vec![Key::one().jwk("first")]);
        let app = Router::new().route("/keys", get(keys)).with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        issuer
    }

    /// With a server that believes its tokens.
    pub async fn with_server(change: impl FnOnce(&mut Config)) -> (Self, TestServer) {
        let issuer = Self::start().await;
        let server = TestServer::start_with(|config| {
            issuer.configure(config);
            change(config);
        });
        (issuer.clone(), server.await)
    }

    /// What makes a server believe its tokens.
    pub fn configure(&self, config: &mut Config) {
        config.oidc_issuer = Some(ISSUER.into());
        config.oidc_jwks_url = Some(format!("http://{}/keys", self.addr));
        config.oidc_audience = Some(AUDIENCE.into());
    }

    pub fn publish(&self, keys: Vec<Value>) {
        self.world.lock().expect("nobody panicked").keys = keys;
    }

    /// From now on it answers 500; or it answers again.
    pub fn down(&self, down: bool) {
        self.world.lock().expect("nobody panicked").down = down;
    }

    /// From now on an answer takes so long.
    pub fn takes(&self, time: Duration) {
        self.world.lock().expect("nobody panicked").takes = time;
    }

    /// How often somebody asked for its keys.
    pub fn asked(&self) -> usize {
        self.world.lock().expect("nobody panicked").asked
    }

    /// What it says of somebody, in a token that is in order.
    pub fn claims(&self, email: &str) -> Value {
        let now = now();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": format!("subject of {email}"), "email": email,
            "email_verified": true, "iat": now, "exp": now + 600
        })
    }

    /// Signed with its first key.
    pub fn token(&self, claims: &Value) -> String {
        Key::one().token("first", claims)
    }
}

async fn keys(State(issuer): State<Issuer>) -> Result<Json<Value>, StatusCode> {
    let takes = {
        let mut world = issuer.world.lock().expect("nobody panicked");
        world.asked += 1;
        world.takes
    };
    tokio::time::sleep(takes).await;
    let world = issuer.world.lock().expect("nobody panicked");
    match world.down {
        true => Err(StatusCode::INTERNAL_SERVER_ERROR),
        false => Ok(Json(json!({ "keys": world.keys }))),
    }
}

/// In seconds, as tokens count.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Long enough for a server that looks for keys every 200 milliseconds.
pub const PAUSE: Duration = Duration::from_millis(200);

pub struct Key(KeyPair);

impl Key {
    pub fn one() -> Self {
        Self::of(include_str!("keys/one.pem"))
    }

    pub fn two() -> Self {
        Self::of(include_str!("keys/two.pem"))
    }

    fn of(pem: &str) -> Self {
        let letters: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        let der = BASE64_STANDARD.decode(letters).expect("a key in PEM");
        Self(KeyPair::from_pkcs8(&der).expect("an RSA key"))
    }

    /// What is published of it.
    pub fn jwk(&self, kid: &str) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.0.public());
        let text = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
        json!({
            "kid": kid, "kty": "RSA", "use": "sig", "alg": "RS256", "n": text(&public.n), "e": text(&public.e)
        })
    }

    pub fn token(&self, kid: &str, claims: &Value) -> String {
        self.sign(&json!({ "alg": "RS256", "kid": kid, "typ": "JWT" }), claims)
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        token(header, claims, |message| {
            let mut signature = vec![0; self.0.public().modulus_len()];
            self.0
                .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                .expect("the key signs");
            signature
        })
    }
}

/// A token as anybody can make one.
pub fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", text(header.to_string().as_bytes()), text(claims.to_string().as_bytes()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", text(&signature))
}
