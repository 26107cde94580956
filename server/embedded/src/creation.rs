//! `initdb`: a new cluster, made in a folder beside its place and renamed into it when it is whole.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::{Error, home::Home};

/// The folders in which clusters are made. Each attempt has its own, because the `initdb` of a process that
/// was killed may still be writing into the one before.
const WORKSHOP: &str = "postgres.new.";

/// The first that the machine knows: `C.UTF-8` sorts the same everywhere, macOS lacks it.
const LOCALES: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "C"];

/// What an operator may tune in `postgresql.conf`; what we rely on is given when the server is started.
const DEFAULTS: &str = "
# Vestry's own defaults.
max_connections = 130
shared_buffers = 128MB
# Each round of autovacuum visits every database, and there may be thousands.
autovacuum_naptime = 5min
";

/// Creates `home.cluster` with the superuser `postgres`. The caller holds the lock.
pub(crate) async fn create(home: &Home, programs: &Path, superuser_password: &str) -> Result<(), Error> {
    remove_leftovers(home)?;
    let private = Permissions::from_mode(0o700);
    let workshop = tempfile::Builder::new().prefix(WORKSHOP).permissions(private).tempdir_in(&home.folder);
    let workshop = workshop.map_err(Error::folder(&home.folder))?;
    let cluster = workshop.path().join("cluster");
    let password = workshop.path().join("password");
    write_private(&password, superuser_password)?;
    home.account.give(&password)?;
    home.account.give(workshop.path())?;

    for locale in LOCALES {
        let mut initdb = home.account.command(&programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--lc-messages=C"]);
        initdb.arg(format!("--locale={locale}"));
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&cluster);
        let failed = |reason| Error::Creation { reason };
        let output = initdb.kill_on_drop(true).output().await.map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            break;
        }
        let text = String::from_utf8_lossy(&output.stderr);
        if !text.contains("invalid locale") || Some(&locale) == LOCALES.last() {
            // "initdb: error: …", with hints and notes in the lines after it.
            let reason = text.lines().rfind(|line| line.contains("error: ") || line.contains("FATAL: "));
            let reason = reason.or(text.lines().last()).unwrap_or("initdb failed");
            return Err(failed(reason.to_owned()).or_disk_full(&home.folder, &text));
        }
    }

    let path = cluster.join("postgresql.conf");
    let configured = OpenOptions::new().append(true).open(&path).and_then(|mut file| {
        file.write_all(DEFAULTS.as_bytes())?;
        file.sync_all()
    });
    configured.map_err(Error::folder(&path))?;
    fs::remove_file(&password).map_err(Error::folder(&password))?;
    fs::rename(&cluster, &home.cluster).map_err(Error::folder(&home.cluster))
}

/// Removes what attempts that were killed left behind; one that cannot be removed is in nobody's way.
fn remove_leftovers(home: &Home) -> Result<(), Error> {
    for entry in fs::read_dir(&home.folder).map_err(Error::folder(&home.folder))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORKSHOP) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::folder(path))
}
