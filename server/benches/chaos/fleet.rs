//! Real processes of `vestry`, each started again as soon as it has ended, as a service manager does.

use std::{
    io::Write,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The connections that all processes together may have. For ten seconds that includes those of the killed: with
/// much fewer, kill upon kill leaves the living none.
pub const BUDGET: usize = 20;
/// How long a process may take to stop; longer than it grants its requests.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Serve,
    Work,
}

pub struct Fleet {
    pub posts: Arc<[Post]>,
    /// How many databases are kept ready.
    pub ready: usize,
    stop: CancellationToken,
    keepers: JoinSet<ExitStatus>,
}

/// A place that one process fills, and after it the next.
pub struct Post {
    kind: Kind,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// Not to be started again for now.
    paused: bool,
    pid: Option<u32>,
    addr: Option<SocketAddr>,
    starts: usize,
    panics: Vec<String>,
}

impl Fleet {
    /// Every third time, the second server makes churches that have a schema only.
    pub fn start(kinds: &[Kind], ready: usize, url: &str, secret: &str) -> Self {
        let posts: Arc<[Post]> =
            kinds.iter().map(|kind| Post { kind: *kind, now: Mutex::default() }).collect();
        let (stop, mut keepers) = (CancellationToken::new(), JoinSet::new());
        for nth in 0..posts.len() {
            let (posts, stop) = (posts.clone(), stop.clone());
            let (url, secret) = (url.to_owned(), secret.to_owned());
            keepers.spawn(async move {
                let make = |start: usize| {
                    let mut command = Command::new(env!("CARGO_BIN_EXE_vestry"));
                    command
                        .env_remove("STRIPE_SECRET_KEY")
                        .env("NO_COLOR", "1")
                        .env("VESTRY_REGISTRY_URL", &url)
                        .env("VESTRY_SECRET_KEY", &secret)
                        .env("VESTRY_ADDR", "127.0.0.1:0")
                        .env("VESTRY_CONNECTION_BUDGET", BUDGET.to_string())
                        .env("VESTRY_READY_DATABASES", ready.to_string())
                        .env(
                            "VESTRY_ISOLATION",
                            if nth == 1 && start % 3 == 2 { "schema" } else { "database" },
                        )
                        .arg(if posts[nth].kind == Kind::Serve { "serve" } else { "work" });
                    command
                };
                posts[nth].keep(make, &stop).await
            });
        }
        Self { posts, ready, stop, keepers }
    }

    /// Kills all, and starts none until [`Fleet::resume`].
    pub async fn pause(&self) {
        for post in self.posts.iter() {
            post.now().paused = true;
        }
        while self.posts.iter().any(|post| post.now().pid.is_some()) {
            for post in self.posts.iter() {
                post.signal("-KILL");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn resume(&self) {
        self.posts.iter().for_each(|post| post.now().paused = false);
    }

    /// Stops all; those that did not stop in order, in words.
    pub async fn stop(mut self) -> Vec<String> {
        self.stop.cancel();
        for post in self.posts.iter() {
            post.signal("-TERM");
        }
        let mut wrong = Vec::new();
        while !self.keepers.is_empty() {
            let Ok(Some(ended)) = timeout(PATIENCE, self.keepers.join_next()).await else {
                wrong.push(format!("{} processes that were told to stop go on", self.keepers.len()));
                break;
            };
            let status = ended.expect("a keeper does not panic");
            if !status.success() {
                wrong.push(format!("a process that was told to stop ended with {status}"));
            }
        }
        wrong.extend(self.posts.iter().flat_map(|post| std::mem::take(&mut post.now().panics)));
        wrong
    }
}

impl Now {
    fn begin(&mut self, pid: Option<u32>) {
        self.pid = pid;
        self.starts += 1;
    }

    fn end(&mut self) {
        (self.pid, self.addr) = (None, None);
    }
}

impl Post {
    /// Where it serves; nowhere while it starts.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.now().addr
    }

    pub fn starts(&self) -> usize {
        self.now().starts
    }

    /// Whether there was a process to tell. It stays ours, and so its number, as long as this looks.
    pub fn signal(&self, signal: &str) -> bool {
        let now = self.now();
        let told =
            now.pid.map(|pid| std::process::Command::new("kill").args([signal, &pid.to_string()]).status());
        told.is_some_and(|told| told.is_ok_and(|status| status.success()))
    }

    async fn keep(&self, make: impl Fn(usize) -> Command, stop: &CancellationToken) -> ExitStatus {
        let mut log = log();
        loop {
            while self.now().paused && !stop.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let start = self.now().starts;
            let mut child =
                make(start).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary can be run");
            let stderr = child.stderr.take().expect("piped");
            self.now().begin(child.id());
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(addr) = line.strip_prefix("vestry: open http://") {
                    self.now().addr = addr.parse().ok();
                }
                if line.contains("panicked") {
                    self.now().panics.push(line.clone());
                }
                let _ = writeln!(log, "{:?} {:?} {line}", self.kind, self.now().pid.unwrap_or(0));
            }
            self.now().end();
            let status = child.wait().await.expect("it has ended");
            if stop.is_cancelled() {
                return status;
            }
            // What prevented a start may pass.
            if status.code().is_some_and(|code| code != 0) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the processes say, for whoever asks why something was lost.
fn log() -> std::fs::File {
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/chaos.log");
    std::fs::File::options().create(true).append(true).open(path).expect("target/tmp can be written")
}
