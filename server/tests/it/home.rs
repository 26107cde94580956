//! The first page of a church says and offers what is true.

use crate::harness::{Church, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn the_trial_is_spoken_of_while_it_lasts() {
    let first = TestServer::start().await;
    let church = Church::open(&first, "Grace Chapel").await;
    let mut registry = first.db().await;
    for (change, words) in [
        ("trial_ends_at = now() + interval '13 days 1 hour'", Some("14 days of your trial left")),
        ("trial_ends_at = now() + interval '10 minutes'", Some("1 day of your trial left")),
        ("trial_ends_at = now() - interval '10 minutes'", None),
        ("trial_ends_at = now() - interval '400 days'", None),
        ("trial_ends_at = now() + interval '5 days', subscription_status = 'active'", None),
    ] {
        registry.run(&format!("update tenants set {change}")).await;
        // A server that has not read the church yet.
        let server = TestServer::on(&first.registry).await;
        let page = church.browser.at(server.addr()).get("/").await.expect(200);
        let said = page.text(".head p");
        match words {
            Some(words) => assert!(said.ends_with(&format!(" · {words}")), "{change}: {said}"),
            None => assert!(!page.html.contains("trial"), "{change}: {said}"),
        }
    }
}

/// Every page of a church that lists something.
const PAGES: [&str; 6] =
    ["/", "/members", "/branches", "/branches?show=archived", "/settings/tags", "/settings/tokens"];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_offered_what_is_then_refused() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let fields = [("name", "Westlands"), ("timezone", "Africa/Nairobi")];
    let branch = church.browser.post("/branches/new", &fields).await.location().to_owned();
    let viewer = church.hire(&server, "viewer", "viewer@example.org", None).await;
    let local = church.hire(&server, "admin", "local@example.org", Some("Westlands")).await;
    let offers = async |browser: &crate::harness::Browser, at: &str| {
        let page = browser.get(at).await.expect(200);
        let mut offered = page.attributes("main a[href]", "href");
        offered.extend(page.attributes("main form[method=post]", "action"));
        offered
    };
    for filled in [false, true] {
        let mut pages: Vec<String> = PAGES.iter().map(|at| (*at).to_owned()).collect();
        pages.push(branch.clone());
        if filled {
            let form = church.browser.get("/members/new").await;
            let fields = [
                ("first_name", "Naomi"),
                ("branch_id", branch.trim_start_matches("/branches/")),
                ("status_id", &form.attribute("#status_id option:nth-child(2)", "value").expect("a status")),
                ("new_tags", "Choir"),
            ];
            pages.push(church.browser.post("/members/new", &fields).await.location().to_owned());
        }
        for at in &pages {
            for browser in [&viewer, &local, &church.browser] {
                for offer in offers(browser, at).await.iter().filter(|offer| offer.starts_with('/')) {
                    let status = browser.get(offer).await.status;
                    assert!(status == 200 || status == 303, "{at} offers {offer}: {status}");
                }
            }
            let page = viewer.get(at).await.expect(200);
            for offer in offers(&viewer, at).await {
                let changes = ["new", "edit", "archive", "restore", "photo", "picture", "remove"];
                let last = offer.rsplit('/').next().unwrap_or_default();
                let own = offer.starts_with("/settings/tokens");
                assert!(own || !changes.contains(&last), "{at} offers {offer} to a viewer");
            }
            assert!(!page.words().contains("Add a"), "{at}: {}", page.words());
        }
    }
    // Who may change things is still offered to.
    assert!(offers(&church.browser, "/branches").await.contains(&"/branches/new".to_owned()));
    assert!(offers(&local, "/").await.contains(&"/members/new".to_owned()));
    assert!(!offers(&local, "/branches").await.contains(&"/branches/new".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_promised_that_there_is_not() {
    let server = TestServer::start().await;
    let visitor = server.browser();
    let you = "/signup/you?church=Grace&country=KE&timezone=Africa/Nairobi";
    for at in ["/", "/signup", you, "/signin"] {
        let words = visitor.get(at).await.expect(200).words().to_lowercase();
        for spec in ["message", "invite", "can leave with you"] {
            assert!(!words.contains(spec), "{at} promises: {spec}");
        }
    }
}
