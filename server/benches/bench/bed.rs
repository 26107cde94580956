use clap::Parser;
use futures::StreamExt;
use reqwest::{Client, header};
use server::{cli::Cli, config::Config, provisioning::Template, serve::Running};
use sqlx::{
    AssertSqlSafe, Executor, PgConnection,
    postgres::{PgConnectOptions, PgPool},
};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

pub const PASSWORD: &str = "river candle mango";

/// A server on a fresh data folder, and a way to its PostgreSQL past it.
pub struct Bed {
    pub running: Running,
    pub options: PgConnectOptions,
    /// The registry, and the server's database `postgres`.
    pub registry: PgPool,
    pub raw: PgPool,
    pub client: Client,
    pub folder: PathBuf,
}

/// A church whose signup was accepted.
pub struct Opened {
    pub email: String,
    pub cookie: String,
    pub opening: String,
    /// From the answer to the signup until the browser was told that the church is open.
    pub took: Duration,
}

impl Bed {
    /// In a folder of its own in `ground`, which stays when the bed is stopped: for seconds after the
    /// thousands of files of a cluster are removed, a file system can be slow to make new ones.
    pub async fn start(ground: &Path, change: impl FnOnce(&mut Config)) -> Self {
        // Unencrypted, but the client asks for a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // As root, PostgreSQL runs as another user, who has to be able to enter.
        let open = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir_in(ground).expect("a folder").keep();
        let data = folder.to_str().expect("a path");
        let mut config = Cli::parse_from(["vestry", "--addr", "127.0.0.1:0", "--data-dir", data]).config;
        config.ready_databases = 0;
        change(&mut config);
        let running = Running::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        let options = running.installation.server_options();
        let registry = PgPool::connect_lazy_with(options.clone());
        let raw = PgPool::connect_lazy_with(options.clone().database("postgres"));
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Self { running, options, registry, raw, client: client.expect("a client"), folder }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr)
    }

    /// Signs a church up, each from an address of its own, and waits until it is open.
    pub async fn sign_up(&self) -> Opened {
        static NTH: AtomicU32 = AtomicU32::new(1);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let email = format!("ruth{nth}@example.org");
        let fields =
            [("first_name", "Ruth"), ("last_name", "Okafor"), ("email", &email), ("password", PASSWORD)];
        let address = format!("/signup/you?church=Church%20{nth}&country=KE&timezone=Africa%2FNairobi");
        let [_, a, b, c] = nth.to_be_bytes();
        let request = self.client.post(self.url(&address)).form(&fields);
        let accepted = request.header("x-forwarded-for", format!("10.{a}.{b}.{c}")).send().await;
        let accepted = accepted.expect("it answers");
        let started = Instant::now();
        let opening = accepted.headers()[header::LOCATION].to_str().expect("text").to_owned();
        let cookie = session_cookie(&accepted);
        let events =
            self.client.get(self.url(&format!("{opening}/events"))).send().await.expect("it answers");
        let mut events = events.bytes_stream();
        let mut told = String::new();
        while let Some(Ok(bytes)) = events.next().await {
            told += std::str::from_utf8(&bytes).expect("events are text");
            if told.contains("\"status\":\"succeeded\"") {
                return Opened { email, cookie, opening, took: started.elapsed() };
            }
        }
        panic!("the church did not open: {told}");
    }

    /// Goes into an opened church; the cookie of its owner's session.
    pub async fn enter(&self, opened: &Opened) -> String {
        let request = self.client.post(self.url(&opened.opening)).form(&[("enter", "1")]);
        let entered = request.header(header::COOKIE, &opened.cookie).send().await.expect("it answers");
        session_cookie(&entered)
    }

    pub async fn raw_clone(&self, name: &str) -> Duration {
        let sql = format!("create database {name} template {} strategy wal_log", Template::name("vestry"));
        let started = Instant::now();
        self.raw.execute(AssertSqlSafe(sql)).await.expect("it can be cloned");
        started.elapsed()
    }

    /// Waits until so many databases stand ready and nothing is being made.
    pub async fn until_ready(&self, depth: i64) {
        let count = "select count(*) = $1 from ready_databases where ready_at is not null";
        while !sqlx::query_scalar::<_, bool>(count)
            .bind(depth)
            .fetch_one(&self.registry)
            .await
            .expect("counted")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn connect(&self, database: &str) -> PgConnection {
        use sqlx::ConnectOptions;
        self.options.clone().database(database).connect().await.expect("it can be looked into")
    }

    pub async fn stop(self) {
        self.raw.close().await;
        self.registry.close().await;
        self.running.stop().await.unwrap_or_else(|error| panic!("{error}"));
    }
}

fn session_cookie(response: &reqwest::Response) -> String {
    let cookies =
        response.headers().get_all(header::SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let session =
        cookies.filter_map(|cookie| cookie.split(';').next()).find(|cookie| cookie.starts_with("vestry="));
    session.expect("a session").to_owned()
}
