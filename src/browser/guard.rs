//! Nothing a launch starts or writes outlives it, however it ends.
//!
//! Each launch has a guard, and so has whatever else a fleet writes for its tabs: a `/bin/sh` in a session of its own,
//! whose stdin is a pipe that only this process holds. When the pipe closes (the launch was closed or dropped, or this
//! process was killed), the guard kills the process groups it was told of and whatever else carries the launch's mark in
//! its environment, removes the launch's folder, and exits. So there is one way to clean up, and it does not depend on
//! this process being alive.

use super::{BrowserError, process};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::Mutex,
    time::Duration,
};
use tokio::sync::watch;

/// The environment variable that carries a launch's mark.
pub(super) const MARK: &str = "TABFLEET_FLEET";

/// How long a guard may take to end what it guards. It takes a tenth of a second; one that is stopped takes for ever.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The guard of one launch, or of a folder alone. Dropping it ends everything of the launch.
pub(crate) struct Guard {
    mark: String,
    folder: PathBuf,
    /// A std mutex: held for a write of a few bytes into a pipe that is always drained. `None` once closed.
    pipe: Mutex<Option<ChildStdin>>,
    /// Whether the guard has exited, and with what success.
    exited: watch::Receiver<Option<bool>>,
}

impl Guard {
    /// Starts a guard with a fresh folder that only this user can read. `token` is dropped when the guard has exited: by
    /// that whoever gave it knows when nothing is left.
    pub async fn start(token: impl Send + 'static) -> Result<Self, BrowserError> {
        let system = |what: &str, source| BrowserError::System { what: what.into(), source };
        let folder = tempfile::Builder::new()
            .prefix("tabfleet-")
            .tempdir()
            .map_err(|e| system("no temporary folder could be made", e))?;
        let mark = format!("{:032x}", rand::random::<u128>());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("guard.sh"), "tabfleet-guard", &mark]).arg(folder.path());
        command.env_remove(MARK).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        process::in_own_session(&mut command);
        let mut child =
            process::spawn(command.into()).await.map_err(|e| system("the guard could not be started", e))?;
        #[cfg(unix)]
        let pipe = child.stdin.take().and_then(|stdin| stdin.into_owned_fd().ok()).map(ChildStdin::from);
        #[cfg(not(unix))]
        let pipe = child.stdin.take().and_then(|stdin| stdin.into_owned_handle().ok()).map(ChildStdin::from);
        let (sender, exited) = watch::channel(None);
        tokio::spawn(async move {
            let clean = child.wait().await.is_ok_and(|status| status.success());
            sender.send_replace(Some(clean));
            drop(token);
        });
        // From here on the folder is the guard's to remove.
        Ok(Self { mark, folder: folder.keep(), pipe: Mutex::new(pipe), exited })
    }

    /// The value of [`MARK`] for everything that is started under this guard.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Where everything started under this guard may write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a process group under the guard.
    pub fn watch_group(&self, group: u32) -> std::io::Result<()> {
        self.tell("watch", group)
    }

    /// Takes a process group that has ended from under the guard, before its number can be given to others.
    pub fn forget_group(&self, group: u32) {
        // A guard that is gone kills nothing, so there is nothing to be done about an error.
        let _ = self.tell("forget", group);
    }

    fn tell(&self, what: &str, group: u32) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match pipe.as_mut() {
            Some(pipe) => pipe.write_all(format!("{what} {group}\n").as_bytes()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Ends everything of the launch; returns when it is gone, or says that its guard does not see to it.
    pub async fn close(&self) {
        drop(self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let mut exited = self.exited.clone();
        let Ok(exited) = tokio::time::timeout(ENDS_WITHIN, exited.wait_for(Option::is_some)).await else {
            let folder = self.folder.display();
            tracing::warn!(%folder, "a browser's guard does not end: its processes and its folder may be left");
            return;
        };
        let clean = exited.ok().and_then(|clean| *clean);
        if clean == Some(true) || !self.folder.exists() {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "a browser's folder could not be removed");
        }
    }
}
