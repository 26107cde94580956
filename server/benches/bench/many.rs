//! Many churches on few connections, and what they weigh.

use crate::{
    bed::Bed,
    report::{Report, ms, percentile},
};
use futures::{StreamExt, stream};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use registry::TenantId;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, postgres::types::Oid};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};
use tenant::{TenantLocation, schema::SCHEMA};
use uuid::Uuid;

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
    // What making them has left to be written is not what is measured: a database that goes has all written first.
    for sql in ["create database last_one", "drop database last_one"] {
        bed.raw.execute(sql).await.expect("it comes and goes");
    }

    let most = AtomicI64::new(0);
    let asked = async {
        // A stride that shares no factor with the number visits all, far from in order.
        let order = (0..3 * TENANTS).map(|n| &places[n * 389 % TENANTS]);
        let visits = stream::iter(order).map(|place| async {
            let started = Instant::now();
            let tenant = installation.identity.open_provisioning(&installation.secret, place).await;
            tenant::health::ping(&tenant).await.expect("no error");
            started.elapsed()
        });
        visits.buffer_unordered(4).collect::<Vec<Duration>>().await
    };
    let roles = "select oid from pg_roles where rolname like 'tenant\\_%'";
    let roles: Vec<Oid> = sqlx::query_scalar(roles).fetch_all(&bed.raw).await.expect("listed");
    assert_eq!(roles.len(), TENANTS);
    let watched = async {
        // What `pg_stat_activity` shows, without looking up the names of all databases and roles each time: that alone
        // kept a seventh of a core busy.
        let count = "select count(*) from pg_stat_get_activity(null) where usesysid = any ($1)";
        loop {
            let open: i64 =
                sqlx::query_scalar(count).bind(&roles).fetch_one(&bed.raw).await.expect("counted");
            most.fetch_max(open, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let times = tokio::select! {
        times = asked => times,
        () = watched => unreachable!("it watches until the others are done"),
    };
    report.alone("thousand_tenants p99", ms(percentile(times, 99)), "ms", 50.0);
    report.alone("thousand_tenants most", most.load(Ordering::Relaxed) as f64, "connections", BUDGET as f64);
    memory_tenant(&bed, &ids, report).await;
    bed.stop().await;
}

fn place(bed: &Bed, id: &str) -> TenantLocation {
    let id: TenantId = id.parse().expect("an id");
    TenantLocation {
        tenant_id: id.to_string(),
        host: bed.options.get_socket().expect("a socket").display().to_string(),
        port: bed.options.get_port(),
        database: id.pg_identifier(),
        schema: tenant::schema::SCHEMA.to_owned(),
        role_version: 1,
        tls: tenant::Tls::default(),
    }
}

/// What the released program takes for every further church that somebody has asked it for: its tenant, admin and
/// sign-in, and a pool without a connection. Some come first, so that what is there once, and the connections that
/// the budget allows, are there before.
async fn memory_tenant(bed: &Bed, ids: &[String], report: &mut Report) {
    let tokens = open_offices(bed, ids).await;
    let released = Released::start(bed, TENANTS);
    let members = &format!("{}/api/members", released.url);
    let ask = async |tokens: &[String]| {
        let asked = stream::iter(tokens).map(|token| async move {
            let answer = bed.client.get(members).bearer_auth(token).send().await.expect("it answers");
            assert_eq!(answer.status(), 200);
        });
        asked.buffer_unordered(4).collect::<Vec<()>>().await;
        released.resident()
    };
    let (first, others) = tokens.split_at(TENANTS / 5);
    let (before, after) = (ask(first).await, ask(others).await);
    report.alone("memory_tenant", (after as f64 - before as f64) / others.len() as f64, "KB", 30.0);
}

/// Makes churches of databases that stand ready; an access token of each one's owner.
async fn open_offices(bed: &Bed, ids: &[String]) -> Vec<String> {
    let (admin, secret) = (Uuid::now_v7(), &bed.running.installation.secret);
    let open = format!(
        "insert into tenants (id, name, status, server_id, database_name, schema_name, schema_version, country,
                              timezone, trial_ends_at)
         select id, 'A church of these', 'active', server_id, 'tenant_' || id, '{SCHEMA}', schema_version, 'KE',
                'Africa/Nairobi', now() + interval '14 days'
           from ready_databases;
         insert into token_families (id, tenant_id, admin_id, expires_at)
         select gen_random_uuid(), id, '{admin}', now() + interval '1 day' from ready_databases;
         insert into token_keys values ('bench') on conflict do nothing"
    );
    bed.registry.execute(AssertSqlSafe(open)).await.expect("they are opened");
    let families = "select tenant_id, id from token_families where admin_id = $1";
    let families: Vec<(String, Uuid)> =
        sqlx::query_as(families).bind(admin).fetch_all(&bed.registry).await.expect("listed");
    let key = EncodingKey::from_secret(&secret.token_key("bench"));
    let header = Header { kid: Some("bench".into()), ..Header::new(Algorithm::HS256) };
    let now = chrono::Utc::now().timestamp();
    let tokens = families.into_iter().map(|(tenant_id, family)| {
        let claims = json!({ "iss": "vestry", "sub": admin, "tenantId": tenant_id, "sid": family, "iat": now,
                             "nbf": now, "exp": now + 900 });
        encode(&header, &claims, &key).expect("signed")
    });
    let hired = stream::iter(ids).map(|id| async move {
        let hire = format!(
            "insert into {SCHEMA}.admins (id, email, first_name, last_name, role)
             values ('{admin}', 'owner@{id}.example.org', 'Ruth', 'Okafor', 'owner')"
        );
        let mut inside = bed.connect(&format!("tenant_{id}")).await;
        inside.execute(AssertSqlSafe(hire)).await.expect("somebody is hired");
        inside.close().await.expect("it is left");
    });
    hired.buffer_unordered(4).collect::<Vec<()>>().await;
    tokens.collect()
}

/// What the released program takes when nobody asks it for anything.
pub async fn memory_idle(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |_| {}).await;
    let released = Released::start(&bed, 0);
    // It has started; what it does then is over in a moment.
    tokio::time::sleep(Duration::from_secs(3)).await;
    report.alone("memory_idle", released.resident() as f64 / 1024.0, "MB", 60.0);
    drop(released);
    bed.stop().await;
}

/// The released program, at work beside the bed's own server.
struct Released {
    program: Child,
    url: String,
}

impl Released {
    fn start(bed: &Bed, ready_databases: usize) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_vestry"))
            .args(["--addr", "127.0.0.1:0", "--data-dir"])
            .arg(&bed.folder)
            .env("VESTRY_READY_DATABASES", ready_databases.to_string())
            .env("VESTRY_API_RATE", "100000000")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let mut lines = BufReader::new(program.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("vestry: open ").map(str::to_owned));
        // It goes on writing.
        std::thread::spawn(move || lines.for_each(drop));
        Self { program, url: url.expect("it starts") }
    }

    fn resident(&self) -> u64 {
        resident(&self.program.id().to_string())
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
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
