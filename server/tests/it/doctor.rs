//! What `vestry doctor` looks at, and what a superuser runs of it.

use crate::{
    chaos::postgres::Postgres,
    harness::{Installation, TestServer, command, open_church, printed, programs},
};
use server::{doctor, provisioning::Template};
use sqlx::{AssertSqlSafe, ConnectOptions};

/// The identity of the template, and whether it lets somebody in.
async fn template(own: &Installation) -> String {
    let state = format!(
        "select oid || ' ' || datallowconn from pg_database where datname = '{}'",
        Template::name("vestry")
    );
    one(&own.postgres, "postgres", &state).await
}

async fn one(postgres: &Postgres, database: &str, sql: &str) -> String {
    let mut superuser = postgres.superuser(database).connect().await.expect("it answers");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut superuser).await.expect("one value")
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_the_databases_of_its_own_installation() {
    let own = Installation::start().await;
    let neighbours = ["tenant_b23456789012345678901234", "neighbour_shared", "vestry_template_3_x_y"];
    own.postgres.run("create role neighbour").await;
    for database in neighbours {
        own.postgres.run(&format!("create database {database} owner neighbour")).await;
    }
    // Moved by hand, a church lives in a database of any name.
    own.server.running.installation.identity.limit_connections(0);
    own.postgres
        .run(&format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{}'",
            own.church
        ))
        .await;
    own.postgres.run(&format!("alter database {} rename to grace", own.church)).await;
    own.postgres.run("update tenants set database_name = 'grace'").await;
    own.server.running.installation.identity.limit_connections(80);

    let found = doctor::examine(&(&own.server.running.installation).into()).await.expect("it looks");
    assert!(found.is_empty(), "{found:?}");
    let script = command(&own.registry, &["doctor", "--sql"]).await.expect("it prints");
    assert!(script.contains("\\connect grace\n"), "{script}");
    let printed = printed(&own.registry, &["doctor"]).await;
    for neighbour in neighbours {
        assert!(!script.contains(neighbour), "{script}");
        // Every role may connect to it. A database called tenant_… may be what was restored of a church of ours.
        assert!(!printed.contains(neighbour) || neighbour.starts_with("tenant_"), "{printed}");
    }
    own.postgres.run("grant connect on database grace to public").await;
    let found = doctor::examine(&(&own.server.running.installation).into()).await.expect("it looks");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, "every role may connect to the database grace");
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_closes_what_all_share_then_restricts_templates_then_churches() {
    let own = Installation::start().await;
    let name = Template::name("vestry");
    let script = command(&own.registry, &["doctor", "--sql"]).await.expect("it prints");
    let parts = [
        "revoke connect, temporary on database postgres, template1 from public".to_owned(),
        format!("alter database {name} with allow_connections true"),
        format!("\\connect {name}\n"),
        "revoke execute on function".to_owned(),
        format!("alter database {name} with allow_connections false"),
        format!("\\connect {}\n", own.church),
    ];
    let mut at = 0;
    for part in parts {
        let next = script[at..].find(&part);
        at += next.unwrap_or_else(|| panic!("{part} does not come next in {script}")) + part.len();
    }

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("script.sql");
    std::fs::write(&file, &script).expect("written");
    let (psql, file) = (programs().join("psql"), file.display().to_string());
    let before = template(&own).await;
    // May be repeated.
    for _ in 0..2 {
        own.postgres
            .program(psql.to_str().expect("a path"), &["-X", "-q", "-d", "postgres", "-f", &file])
            .await;
    }
    assert_eq!(template(&own).await, before, "nobody connects to the template afterwards");
    // What is made from the template is restricted as well.
    open_church(&own.server, "Hope Church", "naomi@example.org").await;
    let findings = own.server.running.installation.servers.findings(4, 1).await;
    assert_eq!(findings, Vec::<String>::new());
    own.browser.get("/members").await.expect(200);
    own.stop().await;
}

/// A superuser who runs the script lets itself in for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_lets_somebody_in_is_not_built_again() {
    let own = Installation::start().await;
    let name = Template::name("vestry");
    own.postgres.run(&format!("alter database {name} with allow_connections true")).await;
    let before = template(&own).await;
    let next = TestServer::on(&own.registry).await;
    open_church(&next, "Hope Church", "naomi@example.org").await;
    open_church(&own.server, "Hope Church", "lydia@example.org").await;
    assert_eq!(template(&own).await, before);
    next.running.stop().await.expect("it stops in order");
    own.stop().await;
}
