//! From the answer to a signup until its browser is told that the church is open.

use crate::{
    bed::Bed,
    report::{Report, median},
};
use futures::{StreamExt, future::join_all, stream};
use server::config::Isolation;
use sqlx::{Connection, Executor};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const ROUNDS: usize = 20;
const BURST: usize = 100;

/// Without a database that stands ready, beside a bare `create database` from the same template, turn
/// and turn about.
pub async fn clone(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |_| {}).await;
    let (mut signups, mut floors) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let floor = bed.raw_clone(&format!("floor_{round}")).await;
        let signup = bed.sign_up().await.took;
        // The first of both warms up.
        if round > 0 {
            floors.push(floor);
            signups.push(signup);
        }
    }
    report.at_most("signup_clone", median(signups), median(floors), 2.0);
    bed.stop().await;
}

/// The same with databases that stand ready.
pub async fn ready(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |config| config.ready_databases = 5).await;
    let (mut signups, mut floors) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        bed.until_ready(5).await;
        let floor = bed.raw_clone(&format!("floor_{round}")).await;
        let signup = bed.sign_up().await.took;
        if round > 0 {
            floors.push(floor);
            signups.push(signup);
        }
    }
    report.at_most("signup_ready", median(signups), median(floors), 0.75);
    bed.stop().await;
}

/// A hundred at the same moment, from the first request until the last church is open, beside as many
/// bare clones, two at a time like the worker's, half of them before and half of them after.
pub async fn burst(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |config| config.ready_databases = 5).await;
    bed.until_ready(5).await;
    let clones = async |half: &str| {
        let names: Vec<_> = (0..BURST / 2).map(|n| format!("floor_{half}_{n}")).collect();
        let started = Instant::now();
        let clones = stream::iter(&names).map(|name| bed.raw_clone(name)).buffer_unordered(2);
        clones.collect::<Vec<Duration>>().await;
        started.elapsed()
    };
    let before = clones("before").await;
    let started = Instant::now();
    let opened = join_all((0..BURST).map(|_| bed.sign_up())).await;
    let took = started.elapsed();
    let active: i64 = sqlx::query_scalar("select count(*) from tenants where status = 'active'")
        .fetch_one(&bed.registry)
        .await
        .expect("counted");
    assert_eq!((opened.len(), active), (BURST, BURST as i64), "none is lost");
    bed.until_ready(5).await;
    let floor = before + clones("after").await;
    report.at_most("signup_burst", took, floor, 1.5);
    bed.stop().await;
}

/// For churches with a schema of their own, beside the same SQL in one transaction of a connection made for it.
pub async fn schema(ground: &Path, report: &mut Report) {
    let bed = Bed::start(ground, |config| config.isolation = Isolation::Schema).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tenant-migrations");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("it is there").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let sql: String = files.iter().map(|file| std::fs::read_to_string(file).expect("SQL")).collect();
    bed.raw.execute("create database floor").await.expect("made");
    let (mut signups, mut floors) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let started = Instant::now();
        let mut connection = bed.connect("floor").await;
        let script = format!("begin; create schema s{round}; set search_path = s{round}; {sql}; commit");
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.expect("made");
        connection.close().await.expect("closed");
        let floor = started.elapsed();
        let signup = bed.sign_up().await.took;
        if round > 0 {
            floors.push(floor);
            signups.push(signup);
        }
    }
    report.at_most("schema_create", median(signups), median(floors), 1.5);
    reuse(&bed, report).await;
    bed.stop().await;
}

/// What it would save to hand one connection of a shared database from tenant to tenant, with all of its
/// state wiped between them, beside opening one of the tenant's own.
async fn reuse(bed: &Bed, report: &mut Report) {
    let (database, schema): (String, String) =
        sqlx::query_as("select database_name, schema_name from tenants limit 1")
            .fetch_one(&bed.registry)
            .await
            .expect("open");
    let id = schema.trim_start_matches("tenant_");
    let password = bed.running.installation.secret.tenant_roles().password(id, 1);
    let own = bed.options.clone().database(&database).username(&schema).password(&password);
    let mut shared = bed.connect(&database).await;
    // The same role is called like the schema.
    let run = |sql: String| sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    run(format!("grant {schema} to current_user")).execute(&mut shared).await.expect("granted");
    let query = "select count(*) from members";
    let (mut opened, mut handed) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let started = Instant::now();
        let mut connection = sqlx::PgConnection::connect_with(&own).await.expect("it opens");
        sqlx::query(query).execute(&mut connection).await.expect("read");
        opened.push(started.elapsed());
        connection.close().await.expect("closed");
        let started = Instant::now();
        run(format!("set role {schema}; set search_path = {schema}"))
            .execute(&mut shared)
            .await
            .expect("set");
        sqlx::query(query).persistent(false).execute(&mut shared).await.expect("read");
        run("discard all".into()).execute(&mut shared).await.expect("wiped");
        handed.push(started.elapsed());
    }
    report.at_most("schema_connect_own", median(opened), median(handed), 20.0);
}
