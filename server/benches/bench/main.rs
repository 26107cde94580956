//! What is measured, each figure beside its floor in the same run. Prints a table and writes
//! target/bench.json. Needs nothing but the embedded PostgreSQL.

mod bed;
mod report;
mod signup;

use report::Report;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut report = Report::default();
        let bed = bed::Bed::start().await;
        signup::clone(&bed, &mut report).await;
        bed.stop().await;
        report.finish();
    });
}
