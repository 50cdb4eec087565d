//! What can go wrong with a real browser, with what is needed to mend it.

use crate::types::{Browser, Cause, Failure, TabId};
use std::{path::PathBuf, time::Duration};

/// Why a browser, its driver or one of its tabs did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The catalogue is not what it should be.
    #[error("the browser catalogue {origin} cannot be used: {message}")]
    Catalogue {
        /// The file, or `built in`.
        origin: String,
        /// What is wrong with it, and where.
        message: String,
    },
    /// No binary for the slot.
    #[error("no {browser} was found; looked for {}", .looked_for.join(", "))]
    NotFound {
        /// The slot.
        browser: Browser,
        /// Names on PATH and places on disk.
        looked_for: Vec<String>,
        /// The command that would bring it.
        bring: String,
    },
    /// The binary the caller named is not there or cannot be executed.
    #[error("{path} was named as the {browser} to use, but it is not an executable file", path = .path.display())]
    NotExecutable {
        /// The slot.
        browser: Browser,
        /// What was named.
        path: PathBuf,
    },
    /// No driver for the browser.
    #[error("{browser} needs {driver}, which was not found; looked for {}", .looked_for.join(", "))]
    DriverNotFound {
        /// The slot.
        browser: Browser,
        /// Its name.
        driver: String,
        /// Names on PATH and places on disk.
        looked_for: Vec<String>,
        /// The command that would bring it.
        bring: String,
    },
    /// The driver is older than the oldest known to work.
    #[error("{driver} {found} is too old for {browser}: {needed} or newer is needed")]
    DriverTooOld {
        /// The slot.
        browser: Browser,
        /// Its name.
        driver: String,
        /// Its version, as it says it.
        found: String,
        /// The oldest that works.
        needed: String,
        /// The command that would bring it.
        bring: String,
    },
    /// The remote endpoint's address cannot be used.
    #[error("{url} cannot be used as a WebDriver endpoint: {why}")]
    BadEndpoint {
        /// What was given.
        url: String,
        /// Why not.
        why: String,
    },
    /// A program could not be started.
    #[error("{} could not be started: {source}", .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Disk, ports, pipes.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It started, but ended before it could be used.
    #[error("{program} ended ({status}) before it could be used{}", last_words_suffix(.last_words))]
    EndedEarly {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The last lines it wrote.
        last_words: String,
    },
    /// It started, but could not be reached in time.
    #[error("{browser} could not be reached within {after:?}{}", last_words_suffix(.last_words))]
    NeverConnected {
        /// The slot.
        browser: Browser,
        /// The time it was given.
        after: Duration,
        /// The last lines it wrote.
        last_words: String,
    },
    /// The driver or the browser refused the session.
    #[error("{browser} refused to be driven: {message}{}", last_words_suffix(.last_words))]
    Refused {
        /// The slot.
        browser: Browser,
        /// What it said.
        message: String,
        /// The last lines it wrote.
        last_words: String,
    },
    /// A command was not answered in time.
    #[error("{browser} did not answer `{command}` within {after:?}")]
    Hung {
        /// The slot.
        browser: Browser,
        /// What was asked.
        command: &'static str,
        /// The time it was given.
        after: Duration,
    },
    /// The browser is gone.
    #[error("{browser} is no longer running")]
    Exited {
        /// The slot.
        browser: Browser,
    },
    /// The driver or its session is gone.
    #[error("the driver of {browser} is gone: {message}")]
    DriverGone {
        /// The slot.
        browser: Browser,
        /// What was said last.
        message: String,
    },
    /// The tab could not do what was asked.
    #[error("{tab}: {message}")]
    Tab {
        /// The tab.
        tab: TabId,
        /// What was said.
        message: String,
    },
    /// The tab is not open here.
    #[error("{tab} is not open in this browser")]
    NoSuchTab {
        /// The tab.
        tab: TabId,
    },
}

fn last_words_suffix(last_words: &str) -> String {
    if last_words.is_empty() { String::new() } else { format!("; its last words were:\n{last_words}") }
}

impl BrowserError {
    /// The failure as the fleet counts it.
    pub fn failure(&self) -> Failure {
        let cause = match self {
            BrowserError::Catalogue { .. }
            | BrowserError::NotFound { .. }
            | BrowserError::NotExecutable { .. }
            | BrowserError::DriverNotFound { .. }
            | BrowserError::DriverTooOld { .. }
            | BrowserError::BadEndpoint { .. }
            | BrowserError::Spawn { .. }
            | BrowserError::EndedEarly { .. }
            | BrowserError::NeverConnected { .. }
            | BrowserError::Refused { .. } => Cause::LaunchFailed,
            BrowserError::System { .. } => Cause::System,
            BrowserError::Hung { .. } => Cause::DriverHung,
            BrowserError::Exited { .. } => Cause::BrowserExited,
            BrowserError::DriverGone { .. } => Cause::DriverExited,
            BrowserError::Tab { .. } => Cause::TabFailed,
            BrowserError::NoSuchTab { .. } => Cause::TabClosed,
        };
        Failure::new(cause, self.to_string())
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            BrowserError::NotFound { browser, bring, .. } => {
                Some(format!("{bring}; or name one with {}", super::Overrides::binary_variable(*browser)))
            }
            BrowserError::NotExecutable { browser, .. } => {
                Some(format!("check the path given for {browser}, and that the file is executable"))
            }
            BrowserError::DriverNotFound { bring, .. } | BrowserError::DriverTooOld { bring, .. } => {
                Some(bring.clone())
            }
            BrowserError::EndedEarly { last_words, .. } if last_words.contains("No usable sandbox") => Some(
                "its sandbox needs user namespaces, which containers and some systems do not give to programs: allow them \
                 (for Docker, a seccomp profile that does; on Ubuntu, an AppArmor profile for this browser), or give it \
                 the argument --no-sandbox where you trust every model and page"
                    .into(),
            ),
            BrowserError::EndedEarly { program, .. } => {
                Some(format!("start {program} by itself to see what it lacks; its last words may say so"))
            }
            BrowserError::Refused { browser, .. } => {
                Some(format!("the driver and {browser} may be of versions that do not go together: update both"))
            }
            BrowserError::Hung { .. } => {
                Some("it is stopped, or the machine too busy: run less beside it, or give commands more time".into())
            }
            BrowserError::System { .. } => {
                Some("see that there is room where temporary files are (TMPDIR), and that processes may be started".into())
            }
            BrowserError::NeverConnected { .. } => {
                Some("a busy machine may need a longer launch time-out; the browser's last words may say more".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_sandbox_is_told_how_to_get_one() {
        let ended = |last_words: &str| BrowserError::EndedEarly {
            program: "chromium".into(),
            status: "signal: 5".into(),
            last_words: last_words.into(),
        };
        let hint = |last_words| ended(last_words).hint().unwrap_or_default();
        assert!(
            hint("[12:34/5] FATAL: No usable sandbox! If you are running on Ubuntu 23.10+").contains("--no-sandbox")
        );
        assert!(!hint("error while loading shared libraries").contains("sandbox"));
    }
}
