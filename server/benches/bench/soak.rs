//! Mixed load for some minutes: whether memory and connections stay where they are.

use crate::{
    bed::{Bed, PASSWORD},
    many::resident,
    report::ms,
};
use futures::future::join_all;
use reqwest::header;
use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

const CHURCHES: usize = 40;
const WRITERS: usize = 6;
const BUDGET: u32 = 20;

#[derive(Default)]
struct Count {
    read: AtomicU64,
    written: AtomicU64,
    signed_in: AtomicU64,
    signed_up: AtomicU64,
    /// Sign-ins that were too many; all else is to be answered.
    refused: AtomicU64,
    slowest_us: AtomicU64,
}

pub async fn soak(ground: &Path, seconds: u64) {
    let bed = Bed::start(ground, |config| {
        config.connection_budget = BUDGET;
        config.ready_databases = 3;
    })
    .await;
    let mut churches = Vec::new();
    for _ in 0..CHURCHES {
        let opened = bed.sign_up().await;
        let cookie = bed.enter(&opened).await;
        churches.push((opened.email, cookie));
    }
    let count = Count::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    println!(
        "{:>5} {:>10} {:>12} {:>9} {:>9} {:>9} {:>8} {:>8} {:>10}",
        "s", "memory MB", "connections", "reads", "writes", "sign-ins", "signups", "refused", "slowest ms"
    );
    let people = join_all((0..WRITERS).map(|n| person(&bed, &churches, &count, n, end)));
    let watched = watch(&bed, &count, end);
    let (_, samples) = tokio::join!(people, watched);
    let (memory, most): (Vec<f64>, Vec<i64>) = samples.into_iter().unzip();
    // What a cache takes at first is not a leak: the second half is compared with itself.
    let half = &memory[memory.len() / 2..];
    let growth = half.last().unwrap_or(&0.0) - half.first().unwrap_or(&0.0);
    println!("memory in the second half: {growth:+.1} MB");
    println!("most connections: {} of {BUDGET}", most.iter().max().unwrap_or(&0));
    bed.stop().await;
}

async fn person(bed: &Bed, churches: &[(String, String)], count: &Count, nth: usize, end: Instant) {
    let mut turn = nth;
    while Instant::now() < end {
        turn += 7;
        let (email, cookie) = &churches[turn % CHURCHES];
        let started = Instant::now();
        let (request, counter, leads_to) = match turn % 97 {
            0 => {
                bed.sign_up().await;
                count.signed_up.fetch_add(1, Relaxed);
                continue;
            }
            1..4 => {
                let fields = [("email", email.as_str()), ("password", PASSWORD)];
                let request = bed.client.post(bed.url("/signin")).form(&fields);
                let address = format!("10.99.{}.{}", turn / 250 % 250, turn % 250);
                // By another browser: this one stays signed in.
                (request.header("x-forwarded-for", address), &count.signed_in, Some("/"))
            }
            4..20 => {
                let name = format!("Branch {nth}-{turn}");
                let fields = [("name", name.as_str()), ("timezone", "Africa/Nairobi")];
                let request = bed.client.post(bed.url("/branches/new")).form(&fields);
                (request.header(header::COOKIE, cookie), &count.written, Some("/branches/"))
            }
            n => {
                let request = bed.client.get(bed.url(["/", "/members", "/branches"][n % 3]));
                (request.header(header::COOKIE, cookie), &count.read, None)
            }
        };
        let answer = request.send().await.expect("it answers");
        let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let counter = match (answer.status().as_u16(), leads_to) {
            (200, None) => counter,
            (303, Some(expected)) if to.is_some_and(|to| to.starts_with(expected)) => counter,
            (429, Some("/")) => &count.refused,
            (status, _) => panic!("{} was answered {status}, to {to:?}", answer.url()),
        };
        counter.fetch_add(1, Relaxed);
        count.slowest_us.fetch_max(started.elapsed().as_micros() as u64, Relaxed);
    }
}

/// Memory and connections, every five seconds.
async fn watch(bed: &Bed, count: &Count, end: Instant) -> Vec<(f64, i64)> {
    let started = Instant::now();
    let mut samples = Vec::new();
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let memory = resident("self") as f64 / 1024.0;
        let open = "select count(*) from pg_stat_activity where usename like 'tenant\\_%'";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&bed.raw).await.expect("counted");
        let slowest = ms(Duration::from_micros(count.slowest_us.swap(0, Relaxed)));
        println!(
            "{:>5} {memory:>10.1} {open:>12} {:>9} {:>9} {:>9} {:>8} {:>8} {slowest:>10.0}",
            started.elapsed().as_secs(),
            count.read.load(Relaxed),
            count.written.load(Relaxed),
            count.signed_in.load(Relaxed),
            count.signed_up.load(Relaxed),
            count.refused.load(Relaxed),
        );
        samples.push((memory, open));
    }
    samples
}
