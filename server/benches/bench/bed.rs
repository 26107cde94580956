use clap::Parser;
use server::{config::Config, serve::Running};
use sqlx::postgres::{PgConnectOptions, PgPool};

/// A server on a fresh data folder, and a way to its PostgreSQL past it.
pub struct Bed {
    pub running: Running,
    pub raw: PgPool,
    folder: tempfile::TempDir,
}

impl Bed {
    pub async fn start() -> Self {
        use std::os::unix::fs::PermissionsExt;
        // Unencrypted, but the client asks for a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::Builder::new().prefix("vestry-bench-").tempdir().expect("a folder");
        // As root, PostgreSQL runs as another user, who has to be able to enter.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let data = folder.path().to_str().expect("a path");
        let config = Config::parse_from(["vestry", "--addr", "127.0.0.1:0", "--data-dir", data]);
        let running = Running::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        let options: PgConnectOptions = running.installation.server_options().database("postgres");
        let raw = PgPool::connect_lazy_with(options);
        Self { running, raw, folder }
    }

    pub async fn stop(self) {
        self.raw.close().await;
        self.running.stop().await.unwrap_or_else(|error| panic!("{error}"));
        drop(self.folder);
    }
}
