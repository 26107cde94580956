//! What a request costs when its church is known.

use crate::{
    bed::{Bed, PASSWORD},
    report::{Report, median},
};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get, serve::ListenerExt};
use futures::future::join_all;
use identity::Identity;
use reqwest::{RequestBuilder, header};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::time::{Duration, Instant};
use tower_sessions::{Session, SessionManagerLayer};

/// Who asks at the same time.
pub const CLIENTS: usize = 8;
/// A second of each side, one after the other, so often.
pub const ROUNDS: usize = 14;

/// A church's statuses, read for whoever is signed in, beside the same handler that knows its one pool
/// from the start and asks nobody.
pub async fn resolved_read(bed: &Bed, report: &mut Report) {
    let opened = bed.sign_up().await;
    let cookie = bed.enter(&opened).await;
    let (_, _, fixed) = fixed_pool(bed, &opened.email).await;
    let identity = bed.running.installation.identity.clone();
    let sessions = SessionManagerLayer::new(identity.sessions()).with_name("vestry");
    let resolved = Router::new().route("/", get(resolved)).with_state(identity).layer(sessions);
    let known = Router::new().route("/", get(known)).with_state(fixed);
    let (resolved, known) = (serve(resolved).await, serve(known).await);
    let ask = |url: &str| bed.client.get(url).header(header::COOKIE, &cookie);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let floor = rate(|| ask(&known), "Visitor").await;
        rounds.push((rate(|| ask(&resolved), "Visitor").await, floor));
    }
    // The first one warms both up.
    rounds.remove(0);
    report.at_least("resolved_read", rounds, 0.95);
}

async fn resolved(
    State(identity): State<Identity>,
    session: Session,
) -> Result<Json<Vec<String>>, StatusCode> {
    let office = identity.resolve(&session).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let office = office.ok_or(StatusCode::UNAUTHORIZED)?;
    let statuses = tenant::statuses::list(&office.tenant, office.admin.viewer()).await;
    let statuses = statuses.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(statuses.into_iter().map(|status| status.name).collect()))
}

async fn known(State(pool): State<PgPool>) -> Result<Json<Vec<String>>, StatusCode> {
    let query = "select id, name, kind from member_statuses order by sort_order, name limit 100";
    let rows = sqlx::query_as::<_, (uuid::Uuid, String, String)>(query).fetch_all(&pool).await;
    let rows = rows.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(rows.into_iter().map(|(_, name, _)| name).collect()))
}

/// One pool to the church of this email, and what else opens it: the database and its role's password.
pub async fn fixed_pool(bed: &Bed, email: &str) -> (String, String, PgPool) {
    let (database, role): (String, String) = sqlx::query_as(
        "select database_name, 'tenant_' || t.id from tenants t join admin_emails e on e.tenant_id = t.id where e.email = $1",
    )
    .bind(email)
    .fetch_one(&bed.registry)
    .await
    .expect("it is open");
    let id = role.trim_start_matches("tenant_");
    let password = bed.running.installation.secret.tenant_roles().password(id, 1);
    let options = bed.options.clone().database(&database).username(&role).password(&password);
    let fixed = PgPoolOptions::new().max_connections(4).connect_with(options).await.expect("it opens");
    (database, password, fixed)
}

pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

/// Requests a second, of eight who ask one after another for a second.
pub async fn rate(ask: impl Fn() -> RequestBuilder, expected: &str) -> f64 {
    let started = Instant::now();
    let client = || async {
        let mut answers = 0;
        while started.elapsed() < Duration::from_secs(1) {
            let answer = ask().send().await.expect("it answers");
            assert_eq!(answer.status(), 200);
            assert!(answer.text().await.expect("text").contains(expected));
            answers += 1;
        }
        answers
    };
    let answers: i32 = join_all((0..CLIENTS).map(|_| client())).await.into_iter().sum();
    f64::from(answers) / started.elapsed().as_secs_f64()
}

/// Signing in, beside checking one password.
pub async fn sign_in(bed: &Bed, report: &mut Report) {
    let hash = Argon2::default().hash_password(PASSWORD.as_bytes()).expect("hashed").to_string();
    let mut churches = Vec::new();
    for _ in 0..9 {
        churches.push(bed.sign_up().await);
    }
    let (mut times, mut floors) = (Vec::new(), Vec::new());
    for round in 0..72 {
        let hash = hash.clone();
        let started = Instant::now();
        let verified = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(&hash).expect("a hash");
            Argon2::default().verify_password(PASSWORD.as_bytes(), &hash).is_ok()
        });
        assert!(verified.await.expect("verified"));
        let floor = started.elapsed();
        let fields = [("email", churches[round % 9].email.as_str()), ("password", PASSWORD)];
        let request = bed.client.post(bed.url("/signin")).form(&fields);
        let request = request.header("x-forwarded-for", format!("10.200.0.{round}"));
        let started = Instant::now();
        assert_eq!(request.send().await.expect("it answers").status(), 303);
        // The first times warm up each church, and the connections to the registry, which take turns.
        if round >= 27 {
            times.push(started.elapsed());
            floors.push(floor);
        }
    }
    report.at_most("sign_in", median(times), median(floors), 1.15);
}
