use crate::harness::{Program, TestServer};
use std::{env, fs, path::Path};

/// A snapshot shows in a diff when the API changes. `UPDATE_SNAPSHOTS=1` writes it again.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_its_snapshot() {
    let server = TestServer::start().await;
    let document = Program::new(server.addr()).get("/api/openapi.json").await.expect(200).body;
    let document = format!("{document:#}\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/api/openapi.json");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &document).expect("the snapshot can be written");
    }
    let snapshot = fs::read_to_string(&path).unwrap_or_default();
    let line = snapshot.lines().zip(document.lines()).position(|(before, now)| before != now);
    assert!(
        snapshot == document,
        "openapi.json has changed at line {line:?}; when that is meant, run the test with UPDATE_SNAPSHOTS=1"
    );
}
