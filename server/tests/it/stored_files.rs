//! Files in the data directory: who reads them, and that they go with their church.

use crate::{
    api::upload,
    files::png,
    harness::{
        Church, Db, Program, Registry, TestServer,
        uploads::{add_member, at, choose, modes, promise},
    },
};
use reqwest::StatusCode;
use server::provisioning::Tools;
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn files_are_readable_by_the_servers_user_only() {
    let registry = Registry::create().await;
    let folder = registry.data_dir().join("files");
    let old = folder.join("x/files");
    std::fs::create_dir_all(&old).expect("a folder");
    std::fs::write(old.join("old"), "readable by all").expect("a file");
    for (path, mode) in [(&old.join("old"), 0o644), (&old, 0o755), (&folder, 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its own");
    }
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (checked, unchecked) = (promise(&program, 5).await, promise(&program, 5).await);
    for promised in [&checked, &unchecked] {
        assert_eq!(upload(promised, "hello").await, StatusCode::OK);
    }
    program.get(&at(&checked)).await.expect(200);
    let member = add_member(&church.browser).await;
    choose(&church.browser, &format!("{member}/photo"), png(60, 60)).await.location();
    let mut found = Vec::new();
    modes(&folder, &mut found);
    let files = found.iter().filter(|(_, is_folder, _)| !is_folder).count();
    assert_eq!(files, 5, "the old one, both uploads, the photo in two sizes: {found:?}");
    for (path, is_folder, mode) in found {
        assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{mode:o} {}", path.display());
    }
    assert_eq!(std::fs::metadata(&folder).expect("it is there").permissions().mode() & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_church_go_with_it() {
    let server = TestServer::start().await;
    let folder = server.registry.data_dir().join("files");
    let (gone, stays) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    for church in [&gone, &stays] {
        let program = Program::log_in(&server, &church.email).await;
        let promised = promise(&program, 5).await;
        assert_eq!(upload(&promised, "hello").await, StatusCode::OK);
        program.get(&at(&promised)).await.expect(200);
        upload(&promise(&program, 5).await, "hello").await;
        assert!(folder.join(&church.tenant_id).is_dir());
    }
    let mut db = server.db().await;
    let id = &gone.tenant_id;
    let abandoned = format!(
        "update provisioning_runs set status = 'failed', finished_at = now() - interval '8 days',
                lease = null, lease_until = null where tenant_id = '{id}';
         update tenants set status = 'failed' where id = '{id}'"
    );
    let tools = Tools::of(&server.running.installation, 0);
    db.run(&abandoned).await;
    assert!(tools.undo_one_abandoned().await.unwrap_or_else(|_| panic!("it is looked at")));
    assert_eq!(
        db.one::<i64>("select count(*) from removed_tenants").await,
        0,
        "what has data is not dropped"
    );

    Db::open("postgres").await.run(&format!("drop database {} with (force)", gone.database)).await;
    db.run(&abandoned).await;
    assert!(tools.undo_one_abandoned().await.unwrap_or_else(|_| panic!("it is undone")));
    db.until(&format!("select deleted from removed_tenants where tenant_id = '{id}'")).await;
    assert!(!folder.join(id).exists());
    let mut left = Vec::new();
    modes(&folder.join(&stays.tenant_id), &mut left);
    assert_eq!(left.iter().filter(|(_, is_folder, _)| !is_folder).count(), 2, "the other's are there");

    // Once more later, for what was still on its way; then it is forgotten.
    std::fs::create_dir_all(folder.join(id).join("uploads")).expect("a late upload");
    db.run("update removed_tenants set due_at = now()").await;
    db.until("select not exists (select from removed_tenants)").await;
    assert!(!folder.join(id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_that_is_there_again_keeps_its_files() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let promised = promise(&program, 5).await;
    assert_eq!(upload(&promised, "hello").await, StatusCode::OK);
    program.get(&at(&promised)).await.expect(200);
    let mut db = server.db().await;
    let other = "a23456789012345678901234";
    db.run(&format!("insert into removed_tenants (tenant_id) values ('{}'), ('{other}')", church.tenant_id))
        .await;
    db.until(&format!("select deleted from removed_tenants where tenant_id = '{other}'")).await;
    program.get(&at(&promised)).await.expect(200);
    let lies = format!("{0}/files/{1}", church.tenant_id, promised["fileId"].as_str().expect("an id"));
    assert!(server.registry.data_dir().join("files").join(lies).is_file());
}
