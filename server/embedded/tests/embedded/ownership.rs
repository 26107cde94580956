//! Who starts and stops the server, and what killed processes leave behind.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Uid,
};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

use crate::support::{Process, execute, folder, lives, server_pid, start};

#[tokio::test]
async fn the_server_of_a_killed_process_is_taken_over() {
    let folder = folder();
    let owner = Process::owning_a_cluster(folder.path());
    let server = server_pid(folder.path());
    owner.kill();
    assert!(lives(server));

    let cluster = start(folder.path()).await;
    assert_eq!(server_pid(folder.path()), server);
    execute(&cluster.registry_options(), "select 1").await.unwrap();
    cluster.stop().await;
    assert!(!lives(server));
}

#[tokio::test]
async fn a_guest_does_not_stop_the_server_of_its_owner() {
    let folder = folder();
    // Which of the two creates the cluster is left to chance; the other one waits for it.
    let (one, other) = tokio::join!(start(folder.path()), start(folder.path()));
    let options = one.registry_options();
    let guest = start(folder.path()).await;
    guest.stop().await;
    execute(&options, "select 1").await.unwrap();
    tokio::join!(one.stop(), other.stop());
    assert!(options.connect().await.is_err(), "the owner did not stop it");
}

#[tokio::test]
async fn dropping_the_owner_stops_the_server_too() {
    let folder = folder();
    let first = start(folder.path()).await;
    let server = server_pid(folder.path());
    drop(first);
    // It is still shutting down now, perhaps; this start waits for that.
    let second = start(folder.path()).await;
    assert_ne!(server_pid(folder.path()), server);
    second.stop().await;
}

#[tokio::test]
async fn a_pid_file_left_behind_does_not_block_a_start() {
    let folder = folder();
    let pid_file = folder.path().join("postgres/postmaster.pid");
    let socket_lock = folder.path().join("run/.s.PGSQL.5432.lock");
    let cluster = start(folder.path()).await;
    let server = server_pid(folder.path());
    kill(server, Signal::SIGKILL).unwrap();
    cluster.stop().await;
    assert_eq!(server_pid(folder.path()), server, "the dead server left its file");
    let left = fs::read_to_string(&pid_file).unwrap();

    let cluster = start(folder.path()).await;
    cluster.stop().await;

    // Its number now belongs to another process of the same user.
    let owner = fs::metadata(folder.path().join("postgres")).unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("600").current_dir("/");
    if Uid::effective().is_root() {
        sleep.uid(owner.uid()).gid(owner.gid());
    }
    let mut unrelated = Process(sleep.spawn().unwrap());
    let left = left.replacen(&server.to_string(), &unrelated.0.id().to_string(), 1);
    for path in [&pid_file, &socket_lock] {
        fs::write(path, &left).unwrap();
        chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let cluster = start(folder.path()).await;
    assert!(unrelated.0.try_wait().unwrap().is_none(), "it was none of our business");
    cluster.stop().await;
}

#[tokio::test]
async fn a_creation_that_was_killed_is_begun_anew() {
    let folder = folder();
    let owner = Process::creating_a_cluster(folder.path());
    let half_made = || {
        let entries = fs::read_dir(folder.path()).into_iter().flatten().flatten();
        let mut clusters = entries.map(|entry| entry.path().join("cluster/base"));
        clusters.any(|cluster| cluster.exists())
    };
    while !half_made() {
        std::thread::yield_now();
    }
    owner.kill();
    assert!(!folder.path().join("postgres").exists());

    let cluster = start(folder.path()).await;
    execute(&cluster.registry_options(), "select 1").await.unwrap();
    assert!(!half_made());
    cluster.stop().await;
}

/// Waits until a server answers.
async fn answers(options: &PgConnectOptions) {
    let since = Instant::now();
    while execute(options, "select 1").await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(30), "nobody starts it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_supervised_server_that_is_killed_is_started_again() {
    let folder = folder();
    let cluster = start(folder.path()).await;
    let options = cluster.registry_options();
    execute(&options, "create table kept ()").await.unwrap();
    let supervisor = cluster.supervise();
    for _ in 0..2 {
        let killed = server_pid(folder.path());
        kill(killed, Signal::SIGKILL).unwrap();
        // Its last processes may still answer for a moment.
        let since = Instant::now();
        while lives(killed) {
            assert!(since.elapsed() < Duration::from_secs(30), "nobody waited for it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answers(&options).await;
        assert_ne!(server_pid(folder.path()), killed);
        execute(&options, "select from kept").await.unwrap();
    }
    let last = server_pid(folder.path());
    supervisor.stop().await;
    assert!(!lives(last), "told to stop, it stops it, and starts no other");
}

#[tokio::test]
async fn a_supervising_guest_runs_the_server_when_its_owner_has_gone() {
    let folder = folder();
    let owner = start(folder.path()).await;
    let guest = start(folder.path()).await;
    let (options, first) = (guest.registry_options(), server_pid(folder.path()));
    let supervisor = guest.supervise();
    owner.stop().await;
    answers(&options).await;
    assert_ne!(server_pid(folder.path()), first);
    let last = server_pid(folder.path());
    supervisor.stop().await;
    assert!(!lives(last));
}

#[tokio::test]
async fn a_server_that_cannot_be_started_again_is_given_up_with_the_reason() {
    let folder = folder();
    let cluster = start(folder.path()).await;
    let mut supervisor = cluster.supervise_for(Duration::from_secs(1));
    fs::remove_file(folder.path().join("postgres/global/pg_control")).unwrap();
    kill(server_pid(folder.path()), Signal::SIGKILL).unwrap();
    let error = tokio::time::timeout(Duration::from_secs(60), supervisor.failed()).await.unwrap();
    assert!(error.to_string().contains("pg_control"), "{error}");
}
