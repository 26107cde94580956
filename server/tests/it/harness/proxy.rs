use super::{Registry, cluster};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// Stands between a process and PostgreSQL, and can hold answers back: PostgreSQL has given them, the process has not
/// got them. Notifications pass all the same.
pub struct Proxy {
    port: u16,
    /// Answers with this text in a row are held back.
    held: watch::Sender<Option<String>>,
    holding: watch::Receiver<usize>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (held, holds) = watch::channel(None);
        let (holding_now, holding) = watch::channel(0);
        let holding_now = Arc::new(holding_now);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, holds.clone(), holding_now.clone()));
            }
        });
        Self { port, held, holding }
    }

    /// The same registry, reached through the proxy.
    pub fn before(&self, registry: &Registry) -> Registry {
        let (credentials, rest) = registry.url.split_once('@').expect("a URL with a role");
        let database = rest.rsplit_once('/').expect("a URL with a database").1;
        let url = format!("{credentials}@127.0.0.1:{}/{database}?sslmode=disable", self.port);
        Registry { url, ..registry.clone() }
    }

    /// From now on, answers of the registry with this text in a row are held back.
    pub fn hold(&self, text: &str) {
        self.held.send_replace(Some(text.to_owned()));
    }

    /// Waits until an answer is held back.
    pub async fn holds(&mut self) {
        self.holding.wait_for(|holding| *holding > 0).await.expect("the proxy runs");
    }

    pub fn release(&self) {
        self.held.send_replace(None);
    }
}

async fn pass(
    client: TcpStream,
    mut held: watch::Receiver<Option<String>>,
    holding: Arc<watch::Sender<usize>>,
) {
    let options = cluster();
    let socket = options.get_socket().expect("a socket").join(format!(".s.PGSQL.{}", options.get_port()));
    let server = UnixStream::connect(socket).await.expect("PostgreSQL runs");
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    // PictureOwner connection it is, as its first message says.
    let is_registry = Arc::new(Mutex::new(None));
    let whose = is_registry.clone();
    tokio::spawn(async move {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
            whose
                .lock()
                .expect("unpoisoned")
                .get_or_insert_with(|| contains(&bytes[..length], b"user\0vestry\0"));
            if to_server.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
    });
    let mut bytes = vec![0; 65_536];
    while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
        let answer = &bytes[..length];
        let is_registry = *is_registry.lock().expect("unpoisoned") == Some(true);
        let is_held = |text: &Option<String>| {
            is_registry
                && text.as_ref().is_some_and(|text| rows(answer).any(|row| contains(row, text.as_bytes())))
        };
        if is_held(&held.borrow_and_update()) {
            holding.send_modify(|holding| *holding += 1);
            let released = held.wait_for(Option::is_none).await.is_ok();
            holding.send_modify(|holding| *holding -= 1);
            if !released {
                return;
            }
        }
        if to_client.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// The rows among the messages of an answer.
fn rows(mut answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&kind, rest) = answer.split_first()?;
        let length = u32::from_be_bytes(rest.first_chunk().copied()?) as usize;
        let message = &rest[..length.min(rest.len())];
        answer = &rest[message.len()..];
        Some((kind, message))
    })
    .filter_map(|(kind, message)| (kind == b'D').then_some(message))
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
