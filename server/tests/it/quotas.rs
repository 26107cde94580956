//! Quotas of files, and the room on the disk.

use crate::{
    api::upload,
    files::png,
    harness::{
        Church, Program, TestServer,
        uploads::{ROWS, add_member, choose, promise, promise_picture},
    },
};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_church_has_so_many_files_and_no_more() {
    let server = TestServer::start_with(|config| config.file_quota_count = 3).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let file = json!({ "name": "a.txt", "contentType": "text/plain", "size": 5 });
    let said = join_all((0..12).map(|_| program.post("/api/files", file.clone()))).await;
    let (made, refused): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.status == 201);
    assert_eq!((made.len(), refused.len()), (3, 9), "also of those that came at the same moment");
    refused.into_iter().for_each(|said| drop(said.problem(507, "quota-exceeded")));
    let mut db = church.db().await;
    assert_eq!(db.one::<i64>("select count(*) from files").await, 3);
    let page = format!("{}/photo", add_member(&church.browser).await);
    let full = choose(&church.browser, &page, png(60, 60)).await.expect(507);
    assert!(full.why("photo").contains("no room for more files"), "{}", full.words());
    let quota = program.get("/api/files").await.expect(200).body["quota"].clone();
    assert_eq!(quota, json!({ "files": 3, "maxFiles": 3, "bytes": 15, "maxBytes": 1_073_741_824 }));

    program.delete(made[0].header("location")).await.expect(204);
    choose(&church.browser, &page, png(60, 60)).await.location();
    program.post("/api/files", file).await.problem(507, "quota-exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_has_so_many_bytes_and_no_more() {
    let server = TestServer::start_with(|config| config.file_quota = bytesize::ByteSize::b(100)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let file = |size: i64| json!({ "name": "a.txt", "contentType": "text/plain", "size": size });
    program.post("/api/files", file(101)).await.problem(507, "quota-exceeded");
    let said = join_all((0..10).map(|_| program.post("/api/files", file(40)))).await;
    assert_eq!(said.iter().filter(|said| said.status == 201).count(), 2);
    program.post("/api/files", file(20)).await.expect(201);
    program.post("/api/files", file(1)).await.problem(507, "quota-exceeded");
    assert_eq!(church.db().await.one::<i64>("select sum(size)::bigint from files").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_the_disk_is_nearly_full() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let page = format!("{}/photo", add_member(&church.browser).await);
    let program = Program::log_in(&server, &church.email).await;
    let (mut promised, picture) = (promise(&program, 5).await, promise_picture(&program).await);
    let full = TestServer::on_with(&server.registry, |config| {
        config.min_free_disk = bytesize::ByteSize::pib(100);
    })
    .await;
    let before: String = church.db().await.one(ROWS).await;
    let there = program.at(full.addr());
    let file = json!({ "name": "a.txt", "contentType": "text/plain", "size": 5 });
    let said = there.post("/api/files", file).await.problem(507, "storage-full");
    assert_ne!(said.header("retry-after"), "");
    let url = promised["uploadUrl"].as_str().expect("text");
    promised["uploadUrl"] = url.replace(&server.addr().to_string(), &full.addr().to_string()).into();
    assert_eq!(upload(&promised, "hello").await, StatusCode::INSUFFICIENT_STORAGE);
    there
        .patch(&format!("/api{}", page.trim_end_matches("/photo")), json!({ "photoFileId": picture }))
        .await
        .problem(507, "storage-full");
    let answer = choose(&church.browser.at(full.addr()), &page, png(60, 60)).await.expect(507);
    assert!(answer.why("photo").starts_with("We can't store photos right now."), "{}", answer.words());
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
    // What needs no room goes on.
    there.get("/api/files").await.expect(200);
    choose(&church.browser, &page, png(60, 60)).await.location();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_replaced_and_removed_when_there_is_no_room_for_another() {
    let server = TestServer::start_with(|config| config.file_quota_count = 1).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (first, _) = crate::api::add_member(&program, "Naomi").await;
    let (second, _) = crate::api::add_member(&program, "Lydia").await;
    let photo = |member: &str| format!("{}/photo", member.trim_start_matches("/api"));
    choose(&church.browser, &photo(&first), png(60, 60)).await.location();
    choose(&church.browser, &photo(&second), png(60, 60)).await.expect(507);
    let mut db = church.db().await;
    let file = "select photo_id from members where first_name = 'Naomi'";
    let before: uuid::Uuid = db.one(file).await;
    choose(&church.browser, &photo(&first), png(60, 60)).await.location();
    assert_ne!(db.one::<uuid::Uuid>(file).await, before, "it is another one");
    assert_eq!(db.one::<i64>("select count(*) from files").await, 1);

    // One that stays, because another record shows it, frees no room.
    program.patch(&second, json!({ "photoFileId": db.one::<uuid::Uuid>(file).await })).await.expect(200);
    choose(&church.browser, &photo(&first), png(60, 60)).await.expect(507);
    church.browser.post(&photo(&second), &[("remove", "1")]).await.location();
    choose(&church.browser, &photo(&first), png(60, 60)).await.location();
    assert_eq!(db.one::<i64>("select count(*) from files").await, 1);
}
