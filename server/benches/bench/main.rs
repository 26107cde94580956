//! What is measured, each figure beside its floor in the same run. Prints a table and writes
//! target/bench.json. Needs nothing but the embedded PostgreSQL.
//!
//! Given names (`signup`, `requests`, `api`, `many`), measures those only. `soak SECONDS` runs mixed load
//! instead, and prints memory and connections over time.

mod api;
mod bed;
mod many;
mod report;
mod requests;
mod signup;
mod soak;

use report::Report;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match arguments.as_slice() {
            [soak, seconds] if soak == "soak" => soak::soak(seconds.parse().expect("seconds")).await,
            names => measure(names).await,
        }
    });
}

async fn measure(names: &[String]) {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut report = Report::default();
    if wanted("signup") {
        signup::clone(&mut report).await;
        signup::ready(&mut report).await;
        signup::burst(&mut report).await;
        signup::schema(&mut report).await;
    }
    if wanted("requests") {
        let bed = bed::Bed::start(|_| {}).await;
        requests::resolved_read(&bed, &mut report).await;
        requests::sign_in(&bed, &mut report).await;
        bed.stop().await;
    }
    if wanted("api") {
        let bed = bed::Bed::start(|config| config.api_rate = 100_000_000).await;
        api::members_read(&bed, &mut report).await;
        bed.stop().await;
    }
    if wanted("many") {
        many::thousand_tenants(&mut report).await;
        many::memory_idle(&mut report).await;
        many::wasm_size(&mut report);
    }
    report.finish();
}
