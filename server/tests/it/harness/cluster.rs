use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{path::Path, sync::LazyLock};

/// How the role `vestry` reaches the PostgreSQL of this test run: the one that `with-postgres` has
/// started, or, when a test is run by itself, one in target/it-postgres.
pub fn cluster() -> &'static PgConnectOptions {
    static CLUSTER: LazyLock<PgConnectOptions> =
        LazyLock::new(|| match std::env::var("REGISTRY_DATABASE_URL") {
            Ok(url) => url.parse().expect("REGISTRY_DATABASE_URL is set by with-postgres"),
            Err(_) => start_own(),
        });
    &CLUSTER
}

/// It stays when the tests end, and the next run takes it over.
fn start_own() -> PgConnectOptions {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/it-postgres");
    let start = async move {
        let passwords = embedded::Passwords { superuser: "throwaway".into(), vestry: "throwaway".into() };
        let cluster = embedded::Cluster::start(&folder, &passwords).await.expect("PostgreSQL starts");
        let options = cluster.registry_options();
        std::mem::forget(cluster);
        options
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    std::thread::spawn(move || runtime().expect("a runtime").block_on(start))
        .join()
        .expect("PostgreSQL starts")
}

/// A connection of the role `vestry`, which owns all tables, to look at rows and to get in the way.
pub struct Db(PgConnection);

impl Db {
    pub async fn open(database: &str) -> Self {
        let options = cluster().clone().database(database);
        Self(PgConnection::connect_with(&options).await.expect("the database can be looked into"))
    }

    pub async fn run(&mut self, sql: &str) {
        self.0.execute(AssertSqlSafe(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The only value a query answers.
    pub async fn one<T>(&mut self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.0)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Waits until a query answers true.
    pub async fn until(&mut self, sql: &str) {
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !self.one::<bool>(sql).await {
            assert!(std::time::Instant::now() < patience, "never true: {sql}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
