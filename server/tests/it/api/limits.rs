use crate::harness::{Church, Program, Said, TestServer};

/// What a refusal says, and that its headers speak of the limit that was reached.
fn refused(said: Said, policy: &str, quota: u32) {
    let said = said.problem(429, "too-many-requests");
    assert_eq!(said.header("ratelimit-policy"), format!("\"{policy}\";q={quota};w=60"));
    assert!(
        said.header("ratelimit").starts_with(&format!("\"{policy}\";r=0;t=")),
        "{}",
        said.header("ratelimit")
    );
    assert!(said.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    assert!(said.text("detail").contains(policy), "{}", said.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_limited_from_wherever_it_asks() {
    const RATE: u32 = 10;
    let server = TestServer::start_with(|config| config.api_rate = RATE).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.hire(&server, "admin", "helper@example.org", None).await;
    let owner = Program::log_in(&server, &church.email).await;
    let token = owner.token.as_deref().expect("a token");
    let mut answers = Vec::new();
    // A few may come back in the time that this takes.
    while answers.len() < 3 * RATE as usize && answers.last().is_none_or(|said: &Said| said.status != 429) {
        answers.push(Program::new(server.addr()).with(token).get("/api/me").await);
    }
    let last = answers.pop().expect("an answer");
    assert!(answers.iter().filter(|said| said.status == 200).count() >= RATE as usize);
    assert_eq!(answers[0].header("ratelimit-policy"), format!("\"account\";q={RATE};w=60"));
    refused(last, "account", RATE);
    // Nobody else of the church is concerned.
    Program::log_in(&server, "helper@example.org").await.get("/api/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_is_limited_whoever_asks_for_it() {
    const RATE: u32 = 6;
    let server = TestServer::start_with(|config| config.api_rate = RATE).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = Church::open(&server, "Hope Church").await;
    let mut people = vec![Program::log_in(&server, &church.email).await];
    for n in 0..5 {
        let email = format!("helper{n}@example.org");
        church.hire(&server, "admin", &email, None).await;
        people.push(Program::log_in(&server, &email).await);
    }
    let mut last = None;
    'church: for person in &people {
        for _ in 0..RATE {
            let said = Program::new(server.addr())
                .with(person.token.as_deref().expect("a token"))
                .get("/api/me")
                .await;
            if said.status == 429 {
                last = Some(said);
                break 'church;
            }
            said.expect(200);
        }
    }
    refused(last.expect("36 are more than the church has"), "tenant", RATE * 4);
    Program::log_in(&server, &other.email).await.get("/api/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_limited_whatever_it_asks() {
    const RATE: u32 = 5;
    let server = TestServer::start_with(|config| config.api_rate = RATE).await;
    let program = Program::new(server.addr());
    let asking = (0..RATE + 3).map(|_| program.get("/api/me"));
    let answers = futures::future::join_all(asking).await;
    assert_eq!(answers.iter().filter(|said| said.status == 401).count(), RATE as usize);
    for said in answers.into_iter().filter(|said| said.status == 429) {
        refused(said, "address", RATE);
    }
    Program::new(server.addr()).get("/api/me").await.expect(401);
}
