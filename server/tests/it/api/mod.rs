//! The JSON API.

mod access;
mod curl;
mod files;
mod limits;
mod members;
mod openapi;
mod pictures;
mod problems;
mod repeats;
mod schemathesis;
mod signup;
mod tags;
mod tokens;
mod versions;

pub use files::upload;

use crate::harness::{Program, Said};
use serde_json::{Value, json};

/// The least that a member needs.
pub async fn new_member(program: &Program, first_name: &str) -> Value {
    let branches = program.get("/api/branches").await.expect(200).body;
    let statuses = program.get("/api/statuses").await.expect(200).body;
    json!({
        "firstName": first_name,
        "lastName": "Achieng",
        "branchId": branches["items"][0]["id"],
        "statusId": statuses["items"][2]["id"],
    })
}

/// Adds somebody; where they are, and what was said.
pub async fn add_member(program: &Program, first_name: &str) -> (String, Said) {
    let said = program.post("/api/members", new_member(program, first_name).await).await.expect(201);
    (said.header("location").to_owned(), said)
}
