use crate::{
    bed::Bed,
    report::{Report, median},
};
use futures::StreamExt;
use server::provisioning::Template;
use sqlx::{AssertSqlSafe, Executor};
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;

/// From the answer to a signup until its browser is told that the church is open, beside a bare
/// `create database` from the same template, turn and turn about.
pub async fn clone(bed: &Bed, report: &mut Report) {
    let (mut signups, mut floors) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let floor = raw_clone(bed, round).await;
        let signup = sign_up(bed, round).await;
        // The first of both warms up.
        if round > 0 {
            floors.push(floor);
            signups.push(signup);
        }
    }
    report.at_most("signup_clone", median(signups), median(floors), 2.0);
}

async fn raw_clone(bed: &Bed, round: usize) -> Duration {
    let sql = format!("create database floor_{round} template {} strategy wal_log", Template::name());
    let started = Instant::now();
    bed.raw.execute(AssertSqlSafe(sql)).await.expect("it can be cloned");
    started.elapsed()
}

async fn sign_up(bed: &Bed, round: usize) -> Duration {
    let base = format!("http://{}", bed.running.addr);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    let client = client.expect("a client");
    let fields = [
        ("first_name", "Ruth"),
        ("last_name", "Okafor"),
        ("email", &format!("ruth{round}@example.org")),
        ("password", "river candle mango"),
    ];
    let address = format!("{base}/signup/you?church=Church%20{round}&country=KE&timezone=Africa%2FNairobi");
    let accepted = client
        .post(address)
        .form(&fields)
        .header("x-forwarded-for", format!("10.0.0.{round}"))
        .send()
        .await
        .expect("it answers");
    let started = Instant::now();
    let opening = accepted.headers()["location"].to_str().expect("an address").to_owned();
    let events = client.get(format!("{base}{opening}/events")).send().await.expect("it answers");
    let mut events = events.bytes_stream();
    let mut told = String::new();
    while let Some(Ok(bytes)) = events.next().await {
        told += std::str::from_utf8(&bytes).expect("events are text");
        if told.contains("\"status\":\"succeeded\"") {
            return started.elapsed();
        }
    }
    panic!("the church did not open: {told}");
}
