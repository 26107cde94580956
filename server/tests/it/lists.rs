//! Pages of lists that are gone, because what stood on them is.

use crate::harness::{Church, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_past_the_end_leads_to_the_last_page() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    church
        .db()
        .await
        .run(
            "insert into members (id, branch_id, status_id, last_name, sort_name, search_text)
             select gen_random_uuid(), (select id from branches), (select id from member_statuses limit 1),
                    'Achieng', 'achieng', 'achieng'
               from generate_series(1, 51);
             insert into branches (id, name, timezone)
             select gen_random_uuid(), 'Branch ' || n, 'UTC' from generate_series(1, 49) n",
        )
        .await;
    for (asked, last) in [
        ("/members?page=4", "/members?page=3"),
        ("/members?page=100000", "/members?page=3"),
        ("/members?search=achieng&sort=-name&page=9", "/members?search=achieng&sort=-name&page=3"),
        ("/branches?page=3", "/branches?page=2"),
        ("/branches?search=branch%201&page=2", "/branches?search=branch+1"),
    ] {
        assert_eq!(church.browser.get(asked).await.location(), last, "{asked}");
        assert!(!church.browser.get(last).await.expect(200).all("tbody tr").is_empty(), "{last}");
    }
    // Where nothing is found there is no last page, and the first one does not lead to itself.
    for asked in
        ["/members?search=nobody&page=4", "/branches?search=nowhere&page=4", "/members?show=archived"]
    {
        assert!(church.browser.get(asked).await.expect(200).all("tbody tr").is_empty(), "{asked}");
    }
}
