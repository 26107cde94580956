//! AWS Cognito as `moto` plays it: real user pools, sign-ins and tokens, on a port of this machine.

use serde_json::{Value, json};
use server::config::Config;
use std::{path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const PASSWORD: &str = "River-candle-mango-7";
const REGION: &str = "eu-west-1";

pub struct Cognito {
    http: reqwest::Client,
    url: String,
    pub pool: String,
    _process: Child,
}

/// What somebody gets who signs in.
pub struct Tokens {
    pub id: String,
    pub access: String,
}

impl Cognito {
    /// With one user pool, whose people sign in by email.
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The scripts know where it is, and which version.
        let run = r#". .make/lib.sh
            [ -x "$python/bin/moto_server" ] || die "moto_server is missing: run '.make/setup.sh test' once."
            exec "$python/bin/moto_server" --host 127.0.0.1 --port 0"#;
        let mut process = Command::new("bash")
            .args(["-c", run, "bash"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("bash can be run");
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let mut said = String::new();
        let url = loop {
            let Ok(Some(line)) = lines.next_line().await else { panic!("{said}") };
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
            said = said + &line + "\n";
        };
        // Whoever writes to a pipe that nobody reads stops.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut cognito = Self { http, url, pool: String::new(), _process: process };
        let pool = json!({ "PoolName": "office", "UsernameAttributes": ["email"] });
        let pool = cognito.call("CreateUserPool", pool).await;
        cognito.pool = text(&pool["UserPool"]["Id"]);
        cognito
    }

    /// The id of a new app client.
    pub async fn client(&self) -> String {
        let client = json!({
            "UserPoolId": self.pool, "ClientName": "app", "ReadAttributes": ["email", "email_verified"],
            "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
        });
        text(&self.call("CreateUserPoolClient", client).await["UserPoolClient"]["ClientId"])
    }

    /// What makes a server believe this pool's tokens. They name AWS as their issuer.
    pub fn configure(&self, client: &str, config: &mut Config) {
        config.oidc_issuer = Some(format!("https://cognito-idp.{REGION}.amazonaws.com/{}", self.pool));
        config.oidc_jwks_url = Some(format!("{}/{}/.well-known/jwks.json", self.url, self.pool));
        config.oidc_audience = Some(client.to_owned());
    }

    pub async fn add(&self, email: &str, verified: bool) {
        let attributes = json!([
            { "Name": "email", "Value": email }, { "Name": "email_verified", "Value": verified.to_string() }
        ]);
        let user = json!({
            "UserPoolId": self.pool, "Username": email, "MessageAction": "SUPPRESS", "UserAttributes": attributes
        });
        self.call("AdminCreateUser", user).await;
        let password = json!({
            "UserPoolId": self.pool, "Username": email, "Password": PASSWORD, "Permanent": true
        });
        self.call("AdminSetUserPassword", password).await;
    }

    pub async fn sign_in(&self, client: &str, email: &str) -> Tokens {
        let sign_in = json!({
            "UserPoolId": self.pool, "ClientId": client, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": { "USERNAME": email, "PASSWORD": PASSWORD }
        });
        let tokens = &self.call("AdminInitiateAuth", sign_in).await["AuthenticationResult"];
        Tokens { id: text(&tokens["IdToken"]), access: text(&tokens["AccessToken"]) }
    }

    async fn call(&self, name: &str, what: Value) -> Value {
        // Nobody checks the signature, but the region is read from it.
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/cognito-idp/aws4_request, SignedHeaders=host, Signature=none"
        );
        let answer = self
            .http
            .post(&self.url)
            .header("x-amz-target", format!("AWSCognitoIdentityProviderService.{name}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", signed)
            .body(what.to_string())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let status = answer.status();
        let body = answer.text().await.expect("the answer is text");
        assert!(status.is_success(), "{name}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
