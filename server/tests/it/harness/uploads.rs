//! Files and photos that are sent, and what is left of them.

use super::{Browser, Page, Program};
use crate::{api::upload, files::png};
use axum::body::Bytes;
use reqwest::{Body, StatusCode, multipart};
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Everything that a photo could leave behind in a church's tables.
pub const ROWS: &str = "select concat((select string_agg(m::text, ',' order by id) from members m),
                                  (select string_agg(b::text, ',' order by id) from branches b),
                                  (select string_agg(f::text, ',' order by id) from files f),
                                  (select count(*) from audit_log))";

pub async fn promise(program: &Program, size: usize) -> Value {
    let file = json!({ "name": "a.txt", "contentType": "text/plain", "size": size });
    program.post("/api/files", file).await.expect(201).body
}

pub fn at(promised: &Value) -> String {
    format!("/api/files/{}", promised["fileId"].as_str().expect("an id"))
}

pub async fn choose(browser: &Browser, page: &str, bytes: impl Into<Bytes>) -> Page {
    let bytes = bytes.into();
    let length = bytes.len() as u64;
    let part = multipart::Part::stream_with_length(Body::from(bytes), length).file_name("me.png");
    let form = multipart::Form::new().part("photo", part.mime_str("image/png").expect("a type"));
    browser.request(|client, base| client.post(format!("{base}{page}")).multipart(form)).await
}

pub async fn add_member(browser: &Browser) -> String {
    let page = browser.get("/members/new").await;
    let fields = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("branch_id", &page.value("branch_id")),
        ("status_id", &page.attribute("#status_id option:nth-child(3)", "value").expect("a status")),
    ];
    browser.post("/members/new", &fields).await.location().to_owned()
}

/// The modes of all that lies in a folder.
pub fn modes(folder: &Path, found: &mut Vec<(PathBuf, bool, u32)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let meta = std::fs::metadata(&path).expect("it is there");
        found.push((path.clone(), meta.is_dir(), meta.permissions().mode() & 0o777));
        if meta.is_dir() {
            modes(&path, found);
        }
    }
}

/// Uploads a picture; its id.
pub async fn promise_picture(program: &Program) -> Value {
    let bytes = png(60, 60);
    let file = json!({ "name": "me.png", "contentType": "image/png", "size": bytes.len() });
    let promised = program.post("/api/files", file).await.expect(201).body;
    assert_eq!(upload(&promised, bytes).await, StatusCode::OK);
    program.get(&at(&promised)).await.expect(200);
    promised["fileId"].clone()
}
