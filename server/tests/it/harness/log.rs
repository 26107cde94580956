use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// The lines that a process writes, as they come.
#[derive(Clone, Default)]
pub struct ProcessLog(Arc<Lines>);

struct Lines {
    lines: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { lines: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl ProcessLog {
    pub fn add(&self, line: String) {
        self.0.lines.lock().expect("nobody panicked").push(line);
        self.0.count.send_modify(|count| *count += 1);
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lines.lock().expect("nobody panicked").clone()
    }

    pub async fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut count = self.0.count.subscribe();
        let found = async {
            loop {
                if let Some(line) = self.lines().into_iter().find(|line| wanted(line)) {
                    return line;
                }
                count.changed().await.expect("it is kept here");
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(30), found).await;
        found.unwrap_or_else(|_| panic!("never logged; all there is: {:#?}", self.lines()))
    }
}

/// Where the pages are, when this line says so: in plain words or as JSON.
pub fn listening(line: &str) -> Option<SocketAddr> {
    let json = || serde_json::from_str::<serde_json::Value>(line).ok()?["url"].as_str().map(str::to_owned);
    let plain = line.strip_prefix("vestry: open ").map(str::to_owned);
    plain.or_else(json)?.strip_prefix("http://")?.parse().ok()
}
