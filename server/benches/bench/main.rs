//! What is measured, each figure beside its floor in the same run. Prints a table and writes
//! target/bench.json. Needs nothing but the embedded PostgreSQL.
//!
//! Given names (`signup`, `burst`, `schema`, `requests`, `members`, `many`), measures those only. `soak SECONDS` runs
//! mixed load instead, and prints memory and connections over time.

mod bed;
mod many;
mod members;
mod report;
mod requests;
mod signup;
mod soak;

use report::Report;
use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let open = Permissions::from_mode(0o755);
    let ground =
        tempfile::Builder::new().prefix("vestry-bench-").permissions(open).tempdir().expect("a folder");
    runtime.block_on(async {
        match arguments.as_slice() {
            [soak, seconds] if soak == "soak" => {
                soak::soak(ground.path(), seconds.parse().expect("seconds")).await;
            }
            names => measure(ground.path(), names).await,
        }
    });
}

async fn measure(ground: &Path, names: &[String]) {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut report = Report::default();
    if wanted("signup") {
        signup::clone(ground, &mut report).await;
        signup::ready(ground, &mut report).await;
    }
    if wanted("burst") {
        signup::burst(ground, &mut report).await;
    }
    if wanted("schema") {
        signup::schema(ground, &mut report).await;
    }
    if wanted("requests") {
        let bed = bed::Bed::start(ground, |_| {}).await;
        requests::resolved_read(&bed, &mut report).await;
        requests::sign_in(&bed, &mut report).await;
        bed.stop().await;
    }
    if wanted("members") {
        let bed = bed::Bed::start(ground, |config| config.api_rate = 100_000_000).await;
        members::reads(&bed, &mut report).await;
        members::large(&bed, &mut report).await;
        bed.stop().await;
    }
    if wanted("many") {
        many::thousand_tenants(ground, &mut report).await;
        many::memory_idle(ground, &mut report).await;
        many::wasm_size(&mut report);
    }
    report.finish();
}
