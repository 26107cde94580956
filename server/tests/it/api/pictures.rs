//! Uploaded files that become pictures.

use super::{add_member, files::upload, new_member};
use crate::{
    files::{client, png},
    harness::{Church, Program, TestServer},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Promises a picture; what was said.
async fn spec(program: &Program, bytes: &[u8]) -> Value {
    let file = json!({ "name": "me.png", "contentType": "image/png", "size": bytes.len() });
    program.post("/api/files", file).await.expect(201).body
}

/// Uploads one; its id.
async fn upload_picture(program: &Program) -> Value {
    let bytes = png(900, 700);
    let promised = spec(program, &bytes).await;
    assert_eq!(upload(&promised, bytes).await, 200);
    promised["fileId"].clone()
}

/// What a file holds now.
async fn fetched(program: &Program, file: &Value) -> Vec<u8> {
    let at = format!("/api/files/{}", file.as_str().expect("an id"));
    let at = program.get(&at).await.expect(200);
    client().get(at.text("downloadUrl")).send().await.expect("an answer").bytes().await.expect("bytes").into()
}

/// Everything that a change of members or branches could leave behind.
const ROWS: &str = "select concat((select string_agg(m::text, ',' order by id) from members m),
                                  (select string_agg(b::text, ',' order by id) from branches b),
                                  (select string_agg(f::text, ',' order by id) from files f),
                                  (select count(*) from audit_log))";

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_becomes_the_photo_of_a_member() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (at, said) = add_member(&program, "Naomi").await;
    assert_eq!(said.body["photoFileId"], Value::Null);
    let file = upload_picture(&program).await;
    let with_photo =
        program.patch(&at, json!({ "photoFileId": file, "notes": "Sings alto." })).await.expect(200);
    assert_eq!((&with_photo.body["photoFileId"], with_photo.text("notes")), (&file, "Sings alto."));
    assert_ne!(with_photo.header("etag"), said.header("etag"));
    for same in [program.get(&at).await.body, program.get("/api/members").await.body["items"][0].clone()] {
        assert_eq!(same, with_photo.body);
    }
    let photo = format!("{}/photo.jpg", at.trim_start_matches("/api"));
    let bytes = church.browser.stream(&photo).await.bytes().await.expect("bytes");
    let picture = image::load_from_memory(&bytes).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (512, 512));
    let mut db = church.db().await;
    let row = "select name || ' ' || content_type from files";
    assert_eq!(db.one::<String>(row).await, "picture.jpg image/jpeg");

    // What is absent, or the same, stays; a change that changes nothing is none.
    let log = "select string_agg(action, ', ' order by at, id) from audit_log where entity = 'member'";
    for same in [json!({ "notes": null }), json!({ "photoFileId": file })] {
        assert_eq!(program.patch(&at, same).await.expect(200).body["photoFileId"], file);
    }
    assert_eq!(db.one::<String>(log).await, "added, changed, picture set, changed");

    let other = upload_picture(&program).await;
    let (one, two) = tokio::join!(
        program.patch(&at, json!({ "photoFileId": other })),
        program.patch(&at, json!({ "email": "naomi@example.org" }))
    );
    one.expect(200);
    two.expect(200);
    let now = program.get(&at).await.expect(200);
    assert_eq!((&now.body["photoFileId"], now.text("email")), (&other, "naomi@example.org"));
    assert_eq!(db.one::<i64>("select count(*) from files").await, 1, "the first is of no use any more");
    let due = format!("select count(*) from uploads where file_id = '{}'", file.as_str().expect("an id"));
    assert_eq!(server.db().await.one::<i64>(&due).await, 1, "and is looked after");

    let without = program.patch(&at, json!({ "photoFileId": null })).await.expect(200);
    assert_eq!(without.body["photoFileId"], Value::Null);
    church.browser.get(&photo).await.expect(404);
    assert_eq!(db.one::<i64>("select count(*) from files").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_becomes_the_picture_of_a_branch() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let said = program.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let at = said.header("location");
    assert_eq!(said.body["pictureFileId"], Value::Null);
    let file = upload_picture(&program).await;
    let changed = program.patch(at, json!({ "pictureFileId": file, "city": "Nairobi" })).await.expect(200);
    assert_eq!((&changed.body["pictureFileId"], changed.text("city")), (&file, "Nairobi"));
    let page = format!("{}/picture.jpg", at.trim_start_matches("/api"));
    assert_eq!(church.browser.stream(&page).await.status(), 200);

    // PictureOwner branches are some only may look at it, and not change it.
    church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    let helper = Program::log_in(&server, "helper@example.org").await;
    assert_eq!(helper.get("/api/branches").await.expect(200).body["items"][0]["pictureFileId"], file);
    let own = upload_picture(&helper).await;
    let before: String = church.db().await.one(ROWS).await;
    helper.patch(at, json!({ "pictureFileId": own })).await.problem(403, "forbidden");
    helper.patch(at, json!({ "pictureFileId": null })).await.problem(403, "forbidden");
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
    let without = program.patch(at, json!({ "pictureFileId": null })).await.expect(200);
    assert_eq!((&without.body["pictureFileId"], without.text("city")), (&Value::Null, "Nairobi"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_change_leaves_record_picture_and_file_as_they_are() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (at, added) = add_member(&program, "Naomi").await;
    let west = program.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let good = upload_picture(&program).await;
    assert_eq!(fetched(&program, &good).await, png(900, 700));
    let no_picture = {
        let bytes = &png(60, 60)[..60];
        let promised = spec(&program, bytes).await;
        assert_eq!(upload(&promised, bytes.to_vec()).await, 200);
        program.get(&format!("/api/files/{}", promised["fileId"].as_str().expect("an id"))).await.expect(200);
        promised["fileId"].clone()
    };
    let promised = spec(&program, &png(60, 60)).await["fileId"].clone();
    let before: String = church.db().await.one(ROWS).await;

    let nowhere = "There is no such file here. Use the fileId of a file that you have uploaded.";
    for (file, why) in [
        (json!("nonsense"), nowhere),
        (json!(Uuid::now_v7()), nowhere),
        (promised, "This file was not uploaded yet. Send it to its uploadUrl first."),
        (no_picture, "This is not a picture we can read. Choose a JPEG, PNG or WebP file."),
    ] {
        let said = program.patch(&at, json!({ "photoFileId": file, "firstName": "Else" })).await;
        assert_eq!(said.problem(422, "invalid").why("photoFileId"), why);
        let said =
            program.patch(west.header("location"), json!({ "pictureFileId": file, "name": "Else" })).await;
        assert_eq!(said.problem(422, "invalid").why("pictureFileId"), why);
    }
    let wrong = |field: &str, value: Value| {
        let mut change = json!({ "photoFileId": good });
        change[field] = value;
        change
    };
    let said = program.patch(&at, wrong("email", json!("naomi"))).await.problem(422, "invalid");
    assert_ne!(said.why("email"), "");
    let said = program.patch(&at, wrong("statusId", json!(Uuid::now_v7()))).await.problem(422, "invalid");
    assert_eq!(said.why("statusId"), "Choose one of your statuses.");
    let taken = json!({ "pictureFileId": good, "name": "Main church" });
    let said = program.patch(west.header("location"), taken).await.problem(422, "invalid");
    assert_eq!(said.why("name"), "Another branch has this name.");
    let stale = |request: reqwest::RequestBuilder| {
        request.header("if-match", "\"1\"").json(&json!({ "photoFileId": good }))
    };
    program.send(Method::PATCH, &at, stale).await.problem(412, "changed");
    let mut new = new_member(&program, "New").await;
    new["photoFileId"] = good.clone();
    let refused = program.post("/api/members", new).await.problem(422, "invalid");
    assert_eq!(refused.why("photoFileId"), "Add it first; its picture is given by PATCH.");
    let new = json!({ "name": "New", "pictureFileId": good });
    let refused = program.post("/api/branches", new).await.problem(422, "invalid");
    assert_eq!(refused.why("pictureFileId"), "Add it first; its picture is given by PATCH.");
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
    assert_eq!(program.get(&at).await.header("etag"), added.header("etag"));
    assert_eq!(fetched(&program, &good).await, png(900, 700), "the file is as it was uploaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_church_becomes_nobodys_picture() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let (mine, other) =
        tokio::join!(Program::log_in(&server, &ours.email), Program::log_in(&server, &theirs.email));
    let (member, _) = add_member(&mine, "Naomi").await;
    let branch = mine.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let (photo, unused) = (upload_picture(&other).await, upload_picture(&other).await);
    let (their_member, _) = add_member(&other, "Ruth").await;
    other.patch(&their_member, json!({ "photoFileId": photo })).await.expect(200);
    let rows = async || {
        let (ours, theirs): (String, String) =
            (ours.db().await.one(ROWS).await, theirs.db().await.one(ROWS).await);
        (ours, theirs)
    };
    let before = rows().await;
    for file in [&photo, &unused] {
        let said = mine.patch(&member, json!({ "photoFileId": file, "firstName": "Mine" })).await;
        assert_ne!(said.problem(422, "invalid").why("photoFileId"), "");
        let said = mine.patch(branch.header("location"), json!({ "pictureFileId": file })).await;
        assert_ne!(said.problem(422, "invalid").why("pictureFileId"), "");
        // Nor is the picture of another church's member changed by a file of one's own.
        mine.patch(&their_member, json!({ "photoFileId": file })).await.problem(404, "not-found");
    }
    mine.patch(&their_member, json!({ "photoFileId": null })).await.problem(404, "not-found");
    assert_eq!(rows().await, before);
    assert_eq!(fetched(&other, &unused).await, png(900, 700));
}
