//! What the operator is told when there can be no server.

use std::{fs, os::unix::fs::chown};

use embedded::{Cluster, Error, Passwords};
use nix::unistd::Uid;

use crate::support::{error_without_download, folder, lives, passwords, server_pid, start};

#[tokio::test]
async fn a_wrong_secret_is_named_and_leaves_no_server() {
    let folder = folder();
    let wrong = Passwords { superuser: "other".into(), vestry: "other".into() };
    let owner = start(folder.path()).await;
    let refusal = Cluster::start(folder.path(), &wrong).await.err();
    assert!(matches!(refusal, Some(Error::WrongSecret)), "as a guest: {refusal:?}");
    let server = server_pid(folder.path());
    assert!(lives(server));
    owner.stop().await;

    let refusal = Cluster::start(folder.path(), &wrong).await.err();
    assert!(matches!(refusal, Some(Error::WrongSecret)), "as the owner: {refusal:?}");
    assert!(!folder.path().join("postgres/postmaster.pid").exists());
}

#[tokio::test]
async fn a_server_that_dies_at_start_says_why() {
    let folder = folder();
    start(folder.path()).await.stop().await;
    let configuration = folder.path().join("postgres/postgresql.conf");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, format!("{text}\nmax_connections = many\n")).unwrap();
    let error = Cluster::start(folder.path(), &passwords()).await.err().unwrap().to_string();
    assert!(error.contains("postgresql.conf\" contains errors"), "{error}");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Cluster::start(&file.join("data"), &passwords()).await.err().unwrap();
    assert!(matches!(error, Error::Folder { .. }), "{error:?}");
    assert!(error.to_string().ends_with("or choose another with VESTRY_DATA_DIR"), "{error}");
}

#[test]
fn missing_programs_are_named_with_the_remedy() {
    let folder = folder();
    let error = error_without_download(folder.path());
    assert!(error.starts_with("PostgreSQL is not installed and could not be downloaded ("), "{error}");
    assert!(error.ends_with("or set VESTRY_REGISTRY_URL to a server of yours"), "{error}");
}

#[test]
fn a_cluster_of_a_version_that_is_not_installed_is_named() {
    let folder = folder();
    let cluster = folder.path().join("postgres");
    fs::create_dir(&cluster).unwrap();
    fs::write(cluster.join("PG_VERSION"), "14\n").unwrap();
    if Uid::effective().is_root() {
        chown(&cluster, Some(65534), Some(65534)).unwrap();
    }
    let error = error_without_download(folder.path());
    assert!(error.contains("was made by PostgreSQL 14, which is not installed"), "{error}");
    assert!(error.ends_with("`apt-get install postgresql-14`"), "{error}");
}
