//! The fleets that this user's programs are running on this machine, found by the notes they leave.

use super::{
    announcement::{self, Note},
    http::{HttpClient, HttpError},
};
use crate::types::FleetHealth;
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long a fleet may take to tell of its health. One that is well answers within milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The most it may say: a tab takes about a kilobyte of it.
const MAX_ANSWER: usize = 64 << 20;

/// A fleet that a program of this user is running on this machine.
pub struct RunningFleet {
    note: Note,
    path: PathBuf,
}

/// Why running fleets, or one of them, cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RunningFleetError {
    /// The folder in which fleets leave their notes is not this user's alone.
    #[error("{} is where running fleets are noted, but it is not a folder that only this user can use", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or a note in it cannot be read or written.
    #[error("running fleets are noted at {}, which cannot be used", .path.display())]
    Io {
        /// The folder or the note.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The fleet has ended meanwhile.
    #[error("the fleet of process {pid} has ended")]
    Ended {
        /// The process that ran it.
        pid: u32,
    },
    /// The fleet did not say how it is.
    #[error("the fleet of process {pid} at {origin} does not tell of its health: {message}")]
    NoAnswer {
        /// The process that runs it.
        pid: u32,
        /// Its server.
        origin: String,
        /// What it said, or why it said nothing.
        message: String,
    },
}

impl RunningFleetError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Folder { path } => {
                Some(format!("remove {}, or set XDG_RUNTIME_DIR to a folder of your own", path.display()))
            }
            Self::NoAnswer { pid, .. } => Some(format!("`kill {pid}` asks the program to end")),
            _ => None,
        }
    }
}

impl fmt::Debug for RunningFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note { pid, origin, command, .. } = &self.note;
        let mut shown = f.debug_struct("RunningFleet");
        shown.field("pid", pid).field("origin", origin).field("command", command).finish_non_exhaustive()
    }
}

impl RunningFleet {
    /// Every fleet that was announced and whose process lives, in the order in which they were started. Notes of
    /// processes that died without taking them away are removed.
    ///
    /// # Errors
    /// [`RunningFleetError::Folder`] and [`RunningFleetError::Io`].
    pub fn all() -> Result<Vec<Self>, RunningFleetError> {
        let mut fleets: Vec<Self> = announcement::notes()?.into_iter().filter_map(Self::read).collect();
        fleets.sort_by_key(|fleet| (fleet.note.started, fleet.note.pid));
        Ok(fleets)
    }

    fn read(path: PathBuf) -> Option<Self> {
        // It may have been taken away since it was listed.
        let text = std::fs::read(&path).ok()?;
        match serde_json::from_slice::<Note>(&text) {
            Ok(note) => {
                let fleet = Self { note, path };
                fleet.lives().then_some(fleet)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "this is no fleet's note");
                None
            }
        }
    }

    /// Whether the process that left the note is still there. Where the system does not tell, only asking it does.
    fn lives(&self) -> bool {
        let lives =
            self.note.process_start.is_none() || announcement::process_start(self.note.pid) == self.note.process_start;
        if !lives {
            announcement::take_away(&self.path);
        }
        lives
    }

    /// The process that runs it.
    pub fn pid(&self) -> u32 {
        self.note.pid
    }

    /// The address of its harness server: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.note.origin
    }

    /// What is done with it: `matrix`, `bench`, …
    pub fn command(&self) -> &str {
        &self.note.command
    }

    /// When it was started.
    pub fn started(&self) -> SystemTime {
        self.note.started.into()
    }

    /// Asks it how it is.
    ///
    /// # Errors
    /// [`RunningFleetError::Ended`] when it is gone, [`RunningFleetError::NoAnswer`] when it does not answer within five
    /// seconds or says something else.
    pub async fn health(&self) -> Result<FleetHealth, RunningFleetError> {
        let Note { pid, origin, token, .. } = &self.note;
        let no_answer = |message: String| RunningFleetError::NoAnswer { pid: *pid, origin: origin.clone(), message };
        let request = Request::get(format!("{origin}/health"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .map_err(|error| no_answer(error.to_string()))?;
        match HttpClient::new(ANSWER_TIMEOUT, MAX_ANSWER).send(request).await {
            Ok((StatusCode::OK, json)) => serde_json::from_slice(&json).map_err(|error| no_answer(error.to_string())),
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => Err(RunningFleetError::Ended { pid: *pid }),
            Ok((status, body)) => Err(no_answer(format!("{status}: {}", String::from_utf8_lossy(&body)))),
            Err(HttpError::Connect(_)) => {
                announcement::take_away(&self.path);
                Err(RunningFleetError::Ended { pid: *pid })
            }
            Err(error) => Err(no_answer(error.to_string())),
        }
    }
}
