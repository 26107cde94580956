use embedded::{Cluster, Passwords};
use std::os::unix::fs::PermissionsExt;

/// One more PostgreSQL server, for one test.
pub struct Other {
    cluster: Option<Cluster>,
    folder: tempfile::TempDir,
}

impl Other {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // As root, PostgreSQL runs as another user, who has to be able to enter.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let mut other = Self { cluster: None, folder };
        other.run().await;
        other
    }

    pub async fn run(&mut self) {
        let passwords = Passwords { superuser: "throwaway".into(), vestry: "throwaway".into() };
        let cluster = Cluster::start(self.folder.path(), &passwords).await;
        self.cluster = Some(cluster.unwrap_or_else(|error| panic!("{error}")));
    }

    pub async fn stop(&mut self) {
        self.cluster.take().expect("it runs").stop().await;
    }

    pub async fn end(mut self) {
        self.stop().await;
    }

    /// Another server with the same data, as after the restore of a base backup. Both run.
    pub async fn copy(&mut self) -> Self {
        self.stop().await;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let (from, to) = (self.folder.path().join("postgres"), folder.path().join("postgres"));
        let copied = tokio::process::Command::new("cp").arg("-a").arg(from).arg(to).status().await;
        assert!(copied.expect("cp").success());
        let mut copy = Self { cluster: None, folder };
        tokio::join!(self.run(), copy.run());
        copy
    }

    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    pub fn url_of(&self, database: &str) -> String {
        let cluster = self.cluster.as_ref().expect("it runs");
        let host = cluster.socket_dir().to_str().expect("a path").replace('/', "%2F");
        format!("postgres://vestry:throwaway@{host}:{}/{database}", cluster.port())
    }
}
