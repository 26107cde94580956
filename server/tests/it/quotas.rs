//! Quotas of files where a picture takes the place of another.

use crate::{
    files::png,
    harness::{Church, Page, Program, TestServer},
};
use reqwest::multipart;
use serde_json::json;

async fn choose(church: &Church, page: &str) -> Page {
    let part = multipart::Part::bytes(png(60, 60)).file_name("me.png").mime_str("image/png").expect("a type");
    let form = multipart::Form::new().part("photo", part);
    church.browser.request(|client, base| client.post(format!("{base}{page}")).multipart(form)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_replaced_and_removed_when_there_is_no_room_for_another() {
    let server = TestServer::start_with(|config| config.file_quota_count = 1).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (first, _) = crate::api::add_member(&program, "Naomi").await;
    let (second, _) = crate::api::add_member(&program, "Lydia").await;
    let photo = |member: &str| format!("{}/photo", member.trim_start_matches("/api"));
    choose(&church, &photo(&first)).await.location();
    choose(&church, &photo(&second)).await.expect(507);
    let mut db = church.db().await;
    let file = "select photo_id from members where first_name = 'Naomi'";
    let before: uuid::Uuid = db.one(file).await;
    choose(&church, &photo(&first)).await.location();
    assert_ne!(db.one::<uuid::Uuid>(file).await, before, "it is another one");
    assert_eq!(db.one::<i64>("select count(*) from files").await, 1);

    // One that stays, because another record shows it, frees no room.
    program.patch(&second, json!({ "photoFileId": db.one::<uuid::Uuid>(file).await })).await.expect(200);
    choose(&church, &photo(&first)).await.expect(507);
    church.browser.post(&photo(&second), &[("remove", "1")]).await.location();
    choose(&church, &photo(&first)).await.location();
    assert_eq!(db.one::<i64>("select count(*) from files").await, 1);
}
