use crate::harness::{Church, TestServer};
use std::process::Command;

/// The script in API.md does what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_church_is_signed_up_opened_filled_and_read_with_curl_alone() {
    let server = TestServer::start().await;
    let document = include_str!("../../../../.github/API.md");
    let (_, rest) = document.split_once("```sh\nbase=").expect("the block is there");
    let (block, _) = rest.split_once("```").expect("it ends");
    let script = format!("set -eu\nbase={block}");
    let base = format!("http://{}", server.addr());
    let run = move || Command::new("sh").args(["-c", &script]).env("BASE", base).output().expect("sh");
    let done = tokio::task::spawn_blocking(run).await.expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    let last = said.trim().rsplit("{\"items\":").next().expect("a list");
    assert!(last.contains("\"firstName\":\"Naomi\"") && last.contains("+254712345678"), "{said}");
    let tenant_id: String = server.db().await.one("select id from tenants where name = 'Grace Chapel'").await;
    let church = Church::known(&server, server.browser(), tenant_id, "ruth@example.org".into()).await;
    assert_eq!(church.db().await.one::<String>("select first_name from members").await, "Naomi");
}
