//! Many churches on few connections, and what they weigh.

use crate::{
    bed::Bed,
    report::{Report, ms, percentile},
};
use futures::{StreamExt, stream};
use registry::TenantId;
use std::{
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};
use tenant::Place;

const TENANTS: usize = 1000;
const BUDGET: i64 = 80;

/// A thousand churches, one after another far from in order, four at a time, on a budget of 80: nearly
/// every visit finds another church's connection in its place.
pub async fn thousand_tenants(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |config| {
        config.connection_budget = BUDGET as u32;
        config.ready_databases = TENANTS as u32;
    })
    .await;
    let installation = &bed.running.installation;
    bed.until_ready(TENANTS as i64).await;
    let ids: Vec<String> = sqlx::query_scalar("select id from ready_databases order by id")
        .fetch_all(&bed.registry)
        .await
        .expect("listed");
    assert_eq!(ids.len(), TENANTS);
    let places: Vec<_> = ids.iter().map(|id| place(&bed, id)).collect();

    let before = resident("self");
    let most = AtomicI64::new(0);
    let asked = async {
        // A stride that shares no factor with the number visits all, far from in order.
        let order = (0..3 * TENANTS).map(|n| &places[n * 389 % TENANTS]);
        let visits = stream::iter(order).map(|place| async {
            let started = Instant::now();
            let tenant = installation.identity.unfinished(&installation.secret, place).await;
            tenant::health::ping(&tenant).await.expect("no error");
            started.elapsed()
        });
        visits.buffer_unordered(4).collect::<Vec<Duration>>().await
    };
    let watched = async {
        let count = "select count(*) from pg_stat_activity where usename like 'tenant\\_%'";
        loop {
            let open: i64 = sqlx::query_scalar(count).fetch_one(&bed.raw).await.expect("counted");
            most.fetch_max(open, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let times = tokio::select! {
        times = asked => times,
        () = watched => unreachable!("it watches until the others are done"),
    };
    let after = resident("self");
    report.alone("thousand_tenants p99", ms(percentile(times, 99)), "ms", 50.0);
    report.alone("thousand_tenants most", most.load(Ordering::Relaxed) as f64, "connections", BUDGET as f64);
    report.alone("memory_tenant", after.saturating_sub(before) as f64 / TENANTS as f64, "KB", 30.0);
    bed.stop().await;
}

fn place(bed: &Bed, id: &str) -> Place {
    let id: TenantId = id.parse().expect("an id");
    Place {
        tenant_id: id.to_string(),
        host: bed.options.get_socket().expect("a socket").display().to_string(),
        port: bed.options.get_port(),
        database: id.own_name(),
        role_version: 1,
    }
}

/// What the released program takes when nobody asks it for anything.
pub async fn memory_idle(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |_| {}).await;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vestry"))
        .args(["--addr", "127.0.0.1:0", "--data-dir"])
        .arg(&bed.folder)
        .env("VESTRY_READY_DATABASES", "0")
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary can be run");
    let two = "select count(*) = 2 from processes";
    while !sqlx::query_scalar::<_, bool>(two).fetch_one(&bed.registry).await.expect("counted") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It has started; what it does then is over in a moment.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let resident = resident(&child.id().to_string());
    let _ = child.kill();
    let _ = child.wait();
    report.alone("memory_idle", resident as f64 / 1024.0, "MB", 60.0);
    bed.stop().await;
}

/// Kilobytes of memory a process holds.
pub fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

pub fn wasm_size(report: &mut Report) {
    let wasm = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/site/pkg/vestry.wasm.br");
    if let Ok(file) = std::fs::metadata(wasm) {
        report.alone("wasm_size", file.len() as f64 / 1000.0, "kB", 200.0);
    }
}
