//! Visitors who sign churches up and keep members there, and remember every write that was answered.

use super::fleet::Post;
use reqwest::{Client, RequestBuilder, redirect::Policy};
use scraper::{Html, Selector};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const VISITORS: usize = 5;
/// How many members a church gets before its visitor opens the next.
const MEMBERS: usize = 12;
const PASSWORD: &str = "river candle mango";
/// How long an answer may take; longer than any deadline of the server's.
const PATIENCE: Duration = Duration::from_secs(12);
const RETRY: Duration = Duration::from_millis(50);

/// What was answered, and so must not be lost.
#[derive(Default)]
pub struct Answered {
    /// The runs of accepted signups.
    pub signups: Vec<Uuid>,
    pub members: Vec<Member>,
    /// Answers that nobody should get, whatever happens.
    pub wrong: Vec<String>,
}

pub struct Member {
    pub run: Uuid,
    pub id: Uuid,
    pub name: String,
}

pub struct Load {
    /// Raised when the registry forgets: whoever came before has to begin anew.
    age: Arc<AtomicU32>,
    answered: Arc<Mutex<Answered>>,
    stop: CancellationToken,
    visitors: JoinSet<()>,
}

impl Load {
    pub fn start(servers: &Arc<[Post]>) -> Self {
        // Unencrypted, but the client asks for a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (answered, stop) = (Arc::<Mutex<Answered>>::default(), CancellationToken::new());
        let age = Arc::new(AtomicU32::new(0));
        let mut visitors = JoinSet::new();
        for _ in 0..VISITORS {
            let (servers, answered, stop, age) =
                (servers.clone(), answered.clone(), stop.clone(), age.clone());
            visitors.spawn(async move {
                while !stop.is_cancelled() {
                    Visitor::new(servers.clone(), answered.clone(), stop.clone(), age.clone()).visit().await;
                }
            });
        }
        Self { age, answered, stop, visitors }
    }

    /// The registry knows of these runs only: all visitors begin anew, and what was answered of other runs is not
    /// expected of it.
    pub fn begin_anew(&self, known: &BTreeSet<Uuid>) {
        self.age.fetch_add(1, Relaxed);
        let mut answered = locked(&self.answered);
        answered.signups.retain(|run| known.contains(run));
        answered.members.retain(|member| known.contains(&member.run));
    }

    /// The members that were answered so far in the church of a run.
    pub fn members_of(&self, run: Uuid) -> Vec<Uuid> {
        let answered = locked(&self.answered);
        answered.members.iter().filter(|member| member.run == run).map(|member| member.id).collect()
    }

    /// Asks for nothing more, and waits for the answers that are still to come.
    pub async fn stop(mut self) -> Answered {
        self.stop.cancel();
        while let Some(ended) = self.visitors.join_next().await {
            ended.expect("a visitor does not panic");
        }
        std::mem::take(&mut locked(&self.answered))
    }

    pub fn count(&self) -> (usize, usize) {
        let answered = locked(&self.answered);
        (answered.signups.len(), answered.members.len())
    }
}

/// One person, who opens one office.
struct Visitor {
    nth: u32,
    client: Client,
    servers: Arc<[Post]>,
    answered: Arc<Mutex<Answered>>,
    stop: CancellationToken,
    age: Arc<AtomicU32>,
    born: u32,
}

struct Answer {
    status: u16,
    location: String,
    text: String,
}

impl Visitor {
    fn new(
        servers: Arc<[Post]>,
        answered: Arc<Mutex<Answered>>,
        stop: CancellationToken,
        age: Arc<AtomicU32>,
    ) -> Self {
        static NTH: AtomicU32 = AtomicU32::new(0);
        let client = Client::builder().cookie_store(true).redirect(Policy::none()).no_proxy();
        let client = client.timeout(PATIENCE).build().expect("a client");
        let born = age.load(Relaxed);
        Self { nth: NTH.fetch_add(1, Relaxed), client, servers, answered, stop, age, born }
    }

    /// `None` when it was told to stop, or when nothing more can be done here.
    async fn visit(&self) -> Option<()> {
        let run = self.sign_up().await?;
        self.wait_until_open(run).await?;
        self.sign_in().await?;
        let (branch, status) = self.choices().await?;
        for _ in 0..MEMBERS {
            let (added, seen) = tokio::join!(self.add_member(run, &branch, &status), self.look());
            added.and(seen)?;
        }
        Some(())
    }

    /// Others in the office look something up meanwhile.
    async fn look(&self) -> Option<()> {
        let page = self.answer(|base| self.client.get(format!("{base}/members"))).await?;
        if page.status != 200 {
            self.wrong("looking", &page);
            return None;
        }
        Some(())
    }

    async fn sign_up(&self) -> Option<Uuid> {
        let path = format!("/signup/you?church=Church+{}&country=KE&timezone=Africa%2FNairobi", self.nth);
        let page = self.answer(|base| self.client.get(format!("{base}{path}"))).await?;
        let (key, email) = (form_key(&page.text), self.email());
        let fields = [
            ("key", key.as_str()),
            ("first_name", "Ruth"),
            ("last_name", "Okafor"),
            ("email", &email),
            ("password", PASSWORD),
        ];
        let answer = self.answer(|base| self.client.post(format!("{base}{path}")).form(&fields)).await?;
        let run = answer.location.strip_prefix("/signup/").and_then(|run| run.parse().ok());
        match run {
            Some(run) => locked(&self.answered).signups.push(run),
            None => self.wrong("signing up", &answer),
        }
        run
    }

    async fn wait_until_open(&self, run: Uuid) -> Option<()> {
        loop {
            let events = self.answer(|base| self.client.get(format!("{base}/signup/{run}/events"))).await?;
            let last = events.text.lines().rev().find(|line| line.starts_with("data: ")).unwrap_or_default();
            if last.contains(r#""status":"succeeded""#) {
                return Some(());
            }
            if last.contains(r#""status":"failed""#) {
                return None;
            }
            if events.status != 200 {
                self.wrong("watching", &events);
                return None;
            }
        }
    }

    async fn sign_in(&self) -> Option<()> {
        let email = self.email();
        let fields = [("email", email.as_str()), ("password", PASSWORD)];
        let answer = self.answer(|base| self.client.post(format!("{base}/signin")).form(&fields)).await?;
        if answer.location != "/" {
            self.wrong("signing in", &answer);
            return None;
        }
        Some(())
    }

    /// A branch and a status that a member may have.
    async fn choices(&self) -> Option<(String, String)> {
        loop {
            let page = self.answer(|base| self.client.get(format!("{base}/members/new"))).await?;
            if page.status != 200 {
                self.wrong("an empty form", &page);
                return None;
            }
            // A page that broke off in the middle is asked for again.
            if let Some(choices) =
                first_option(&page.text, "branch_id").zip(first_option(&page.text, "status_id"))
            {
                return Some(choices);
            }
        }
    }

    /// A try that was not answered may have succeeded: the next has another name.
    async fn add_member(&self, run: Uuid, branch: &str, status: &str) -> Option<()> {
        let mut name = String::new();
        let answer = self.answer(|base| {
            name = Uuid::new_v4().to_string();
            let fields = [
                ("first_name", "Naomi"),
                ("last_name", name.as_str()),
                ("branch_id", branch),
                ("status_id", status),
            ];
            self.client.post(format!("{base}/members/new")).form(&fields)
        });
        let answer = answer.await?;
        let Some(id) = answer.location.strip_prefix("/members/").and_then(|id| id.parse().ok()) else {
            self.wrong("adding a member", &answer);
            return None;
        };
        locked(&self.answered).members.push(Member { run, id, name });
        Some(())
    }

    /// Asks one server after the other until one answers. That something broke, or is to be tried again
    /// later, is no answer.
    async fn answer(&self, mut make: impl FnMut(&str) -> RequestBuilder) -> Option<Answer> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = self.nth.to_be_bytes();
        let address = format!("10.{}.{}.{}", nth[1], nth[2], nth[3]);
        while !self.stop.is_cancelled() && self.age.load(Relaxed) == self.born {
            let open: Vec<_> = self.servers.iter().filter_map(Post::addr).collect();
            if let Some(addr) = open.get(NEXT.fetch_add(1, Relaxed) as usize % open.len().max(1))
                && let Ok(response) =
                    make(&format!("http://{addr}")).header("x-forwarded-for", &address).send().await
                && !matches!(response.status().as_u16(), 429 | 500..)
            {
                let location = response.headers().get("location").and_then(|to| to.to_str().ok());
                return Some(Answer {
                    status: response.status().as_u16(),
                    location: location.unwrap_or_default().to_owned(),
                    text: response.text().await.unwrap_or_default(),
                });
            }
            tokio::time::sleep(RETRY).await;
        }
        None
    }

    fn email(&self) -> String {
        format!("owner{}@example.org", self.nth)
    }

    fn wrong(&self, doing: &str, answer: &Answer) {
        if self.age.load(Relaxed) != self.born {
            return;
        }
        let Answer { status, location, text } = answer;
        let said: String = Html::parse_document(text)
            .select(&Selector::parse("h1, .why").expect("a selector"))
            .flat_map(|found| found.text())
            .collect();
        locked(&self.answered).wrong.push(format!("{doing} was answered {status} {location} {said}"));
    }
}

/// The key of a form; empty when the page broke off before it.
fn form_key(html: &str) -> String {
    let selector = Selector::parse("input[name=key]").expect("a selector");
    let document = Html::parse_document(html);
    document
        .select(&selector)
        .next()
        .and_then(|input| input.value().attr("value"))
        .unwrap_or_default()
        .to_owned()
}

fn first_option(html: &str, name: &str) -> Option<String> {
    let selector =
        Selector::parse(&format!("select[name={name}] option:not([value=''])")).expect("a selector");
    let document = Html::parse_document(html);
    document.select(&selector).next()?.value().attr("value").map(str::to_owned)
}

fn locked(answered: &Mutex<Answered>) -> MutexGuard<'_, Answered> {
    answered.lock().unwrap_or_else(PoisonError::into_inner)
}
