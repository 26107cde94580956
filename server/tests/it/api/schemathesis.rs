use crate::harness::{Church, Program, TestServer};
use std::{path::Path, process::Command};

/// Calls every operation of the OpenAPI document in all the ways it allows, and in some it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_tester_that_reads_the_document_finds_nothing() {
    let operator = "the operator's own token";
    let server = TestServer::start_with(|config| {
        config.api_rate = 1_000_000;
        config.operator_token = Some(operator.into());
    })
    .await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = format!("http://{}/api/openapi.json", server.addr());
    let run = move || {
        Command::new("bash")
            .current_dir(&folder)
            .args(["-c", ". .make/lib.sh && exec schemathesis --config-file server/tests/it/api/schemathesis.toml run \"$0\""])
            .arg(document)
            .env("TOKEN", program.token.expect("it has signed in"))
            .env("OPERATOR_TOKEN", operator)
            .env("NO_COLOR", "1")
            .output()
            .expect("bash")
    };
    let done = tokio::task::spawn_blocking(run).await.expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout);
    let complained = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "run .make/setup.sh test once if it is missing\n{said}\n{complained}");
}
