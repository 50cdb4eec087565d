//! How a running fleet is found by other programs of the same user: it leaves a note in a folder that only the user can
//! read, and answers with its health whoever shows the token in the note.

use super::{Fleet, handle::Shared, running::RunningFleetError};
use crate::{
    harness::{HealthQuestion, Server},
    history::RunInfo,
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Weak,
};
use time::OffsetDateTime;
use tokio::sync::mpsc;

/// What a note says.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    pub pid: u32,
    /// When the process was started, as the system counts it: what has the same id later is another process. `None`
    /// where the system does not tell.
    pub process_start: Option<u64>,
    pub origin: String,
    pub token: String,
    pub command: String,
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
}

/// The note of a fleet, which is taken away when this is dropped.
#[derive(Debug)]
pub(super) struct Announcement {
    path: PathBuf,
}

impl Announcement {
    /// Leaves the note, and lets the server take questions.
    pub fn publish(
        server: &Server,
        run: &RunInfo,
    ) -> Result<(Self, mpsc::Receiver<HealthQuestion>), RunningFleetError> {
        let known = || io::Error::other("the server tells of its health already");
        let (token, questions) = server.serve_health().ok_or_else(|| RunningFleetError::io(&place(), known()))?;
        let pid = std::process::id();
        let note = Note {
            pid,
            process_start: process_start(pid),
            origin: server.origin().to_owned(),
            token,
            command: run.command.clone(),
            started: run.started.into(),
        };
        let port = server.origin().rsplit_once(':').map_or("80", |(_, port)| port);
        let path = write(&note, &format!("{pid}-{port}.json"))?;
        Ok((Self { path }, questions))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        take_away(&self.path);
    }
}

/// Only the user can read it, and nobody ever finds half of it.
fn write(note: &Note, name: &str) -> Result<PathBuf, RunningFleetError> {
    let attempt = || {
        let folder = folder()?;
        let path = folder.join(name);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            serde_json::to_writer(&mut file, note)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map(|()| path.clone()).map_err(|source| RunningFleetError::io(&path, source))
    };
    // A fleet that ends takes the empty folder away, perhaps just now.
    attempt().or_else(|_| attempt())
}

/// Answers until the fleet is gone, without keeping it alive.
pub(super) async fn answer(mut questions: mpsc::Receiver<HealthQuestion>, fleet: Weak<Shared>) {
    while let Some(question) = questions.recv().await {
        let Some(fleet) = fleet.upgrade().map(Fleet) else { return };
        tokio::spawn(async move {
            if let Ok(health) = fleet.health().await {
                // Nobody listens any more.
                let _ = question.send(health);
            }
        });
    }
}

/// The folder of this user's notes: in `$XDG_RUNTIME_DIR`, which goes with the user's last session, or else where
/// temporary files are.
fn place() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|path| path.is_absolute() && path.is_dir()) {
        Some(runtime) => runtime.join("tabfleet"),
        None => std::env::temp_dir().join(format!("tabfleet-{}", user())),
    }
}

/// Where a note is to be left.
fn folder() -> Result<PathBuf, RunningFleetError> {
    let folder = place();
    match make(&folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(RunningFleetError::io(&folder, source)),
        _ => only_ours(&folder).map(|()| folder),
    }
}

/// The notes that were left.
pub(super) fn notes() -> Result<Vec<PathBuf>, RunningFleetError> {
    let folder = place();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(RunningFleetError::io(&folder, source)),
    };
    only_ours(&folder)?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect())
}

/// Takes a note away, and the folder with the last one.
pub(super) fn take_away(note: &Path) {
    // Whoever looked for fleets may have done so before.
    let _ = std::fs::remove_file(note);
    if let Some(folder) = note.parent() {
        // Most often an error: it is not empty.
        let _ = std::fs::remove_dir(folder);
    }
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    std::fs::create_dir(folder)
}

/// Somebody else may have made a folder of that name first, to read what is put there or to be believed.
#[cfg(unix)]
fn only_ours(folder: &Path) -> Result<(), RunningFleetError> {
    use std::os::unix::fs::MetadataExt;
    let found = folder.symlink_metadata().map_err(|source| RunningFleetError::io(folder, source))?;
    let ours = found.is_dir() && found.uid() == user() && found.mode() & 0o077 == 0;
    if ours { Ok(()) } else { Err(RunningFleetError::Folder { path: folder.to_owned() }) }
}

#[cfg(not(unix))]
fn only_ours(_folder: &Path) -> Result<(), RunningFleetError> {
    Ok(())
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    0
}

/// When a process was started, in the system's ticks since its own start; only Linux tells.
pub(super) fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may itself contain spaces and parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
