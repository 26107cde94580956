//! What a cluster is, wherever its data directory lies.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use embedded::{Cluster, Error};
use nix::unistd::Uid;
use sqlx::ConnectOptions;

use crate::support::{code, execute, folder, folder_with, passwords, start};

#[tokio::test]
async fn a_second_start_finds_what_the_first_one_kept() {
    let folder = folder();
    let cluster = start(folder.path()).await;
    let options = cluster.registry_options();
    execute(&options, "create table kept ()").await.unwrap();
    cluster.stop().await;
    assert!(options.connect().await.is_err(), "it still runs");

    let cluster = start(folder.path()).await;
    execute(&cluster.registry_options(), "select from kept").await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn the_server_is_reached_only_through_its_private_socket() {
    let folder = folder();
    let cluster = start(folder.path()).await;
    let socket = cluster.socket_dir().join(format!(".s.PGSQL.{}", cluster.port()));
    assert_eq!(fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(cluster.socket_dir()).unwrap().permissions().mode() & 0o777, 0o700);
    for (name, value) in [("listen_addresses", ""), ("max_connections", "130"), ("server_encoding", "UTF8")] {
        let mut connection = cluster.registry_options().connect().await.unwrap();
        let show = sqlx::query_scalar::<_, String>("select current_setting($1)").bind(name);
        assert_eq!(show.fetch_one(&mut connection).await.unwrap(), value, "{name}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn vestry_can_provision_and_a_tenant_can_reach_its_own_database_only() {
    let folder = folder();
    let cluster = start(folder.path()).await;
    let vestry = cluster.registry_options();
    let maintenance = vestry.clone().database("postgres");
    for sql in [
        "create role tenant login password 'tenant'",
        "create role staff",
        "grant staff to tenant",
        "create database church",
        "revoke connect, temporary on database church from public",
        "grant connect on database church to tenant",
        "alter role tenant set search_path = office",
        "alter role tenant password 'rotated'",
    ] {
        execute(&maintenance, sql).await.unwrap();
    }

    let tenant = vestry.clone().username("tenant").password("rotated");
    let mut connection = tenant.clone().database("church").connect().await.unwrap();
    let path: String = sqlx::query_scalar("show search_path").fetch_one(&mut connection).await.unwrap();
    assert_eq!(path, "office");
    for database in ["postgres", "template1", "vestry_registry"] {
        let refusal = tenant.clone().database(database).connect().await.unwrap_err();
        assert_eq!(code(&refusal), "42501", "{database}: {refusal}");
    }

    execute(&maintenance, "drop database church with (force)").await.unwrap();
    sqlx::query("select 1").execute(&mut connection).await.unwrap_err();
    execute(&maintenance, "drop role tenant").await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket_that_nobody_can_plant() {
    let folder = folder();
    let long = folder.path().join("a-folder-with-a-rather-long-name".repeat(3));
    let cluster = start(&long).await;
    let socket_dir = cluster.socket_dir().to_owned();
    assert!(socket_dir.as_os_str().len() < 90, "{}", socket_dir.display());
    execute(&cluster.registry_options(), "select 1").await.unwrap();
    let guest = start(&long).await;
    assert_eq!(guest.socket_dir(), socket_dir);
    guest.stop().await;
    cluster.stop().await;

    fs::remove_dir_all(&socket_dir).unwrap();
    symlink(folder.path(), &socket_dir).unwrap();
    let error = Cluster::start(&long, &passwords()).await.err();
    assert!(matches!(error, Some(Error::SocketFolder(_))), "a link: {error:?}");
    fs::remove_file(&socket_dir).unwrap();
    fs::create_dir(&socket_dir).unwrap();
    fs::set_permissions(&socket_dir, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Cluster::start(&long, &passwords()).await.err();
    assert!(matches!(error, Some(Error::SocketFolder(_))), "open to all: {error:?}");
    fs::remove_dir(&socket_dir).unwrap();
}

#[tokio::test]
async fn root_keeps_the_cluster_elsewhere_when_the_server_cannot_enter_the_folder() {
    if !Uid::effective().is_root() {
        return;
    }
    let private = folder_with(0o700);
    let data_dir = private.path().join("data");
    let mut places = Vec::new();
    for _ in 0..2 {
        let cluster = start(&data_dir).await;
        places.push(fs::read_link(data_dir.join("postgres")).unwrap());
        execute(&cluster.registry_options(), "create table kept ()").await.unwrap();
        cluster.stop().await;
        let cluster = start(&data_dir).await;
        execute(&cluster.registry_options(), "select from kept").await.unwrap();
        cluster.stop().await;
        // A new data directory of the same name does not take up what the old one left.
        fs::remove_dir_all(&data_dir).unwrap();
    }
    assert_ne!(places[0], places[1]);
    for place in places {
        fs::remove_dir_all(place.parent().unwrap()).unwrap();
    }
}
