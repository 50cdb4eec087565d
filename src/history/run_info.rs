//! What a run was: the command, the code it ran and the machine it ran on.

use crate::host::Host;
use std::{process::Command, time::SystemTime};

/// What a run was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Which command: `bench`, `matrix`; `library` for a fleet of a program's own.
    pub command: String,
    /// The version of tabfleet.
    pub tabfleet: String,
    /// Which further build of a browser ran, by its name (`beta` of `chrome@beta`): a part of its targets' names.
    pub build: Option<String>,
    /// When it started.
    pub started: SystemTime,
    /// The commit of the current folder's git work tree, where there is one.
    pub git_commit: Option<String>,
    /// Its branch; `None` also where no branch is checked out.
    pub git_branch: Option<String>,
    /// The operating system, by its release where it tells one: `Debian GNU/Linux 12 (bookworm)`, else `windows`.
    pub os: String,
    /// The processor's architecture: `x86_64`, `aarch64`.
    pub arch: String,
    /// The processor's name, where the system tells.
    pub cpu: Option<String>,
    /// The cores this process may use.
    pub cores: u32,
    /// The machine's memory in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
}

impl RunInfo {
    /// A run of `command` that starts now, here.
    pub fn detect(command: &str) -> Self {
        let host = Host::detect();
        Self {
            command: command.to_owned(),
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            build: None,
            started: SystemTime::now(),
            git_commit: git(&["rev-parse", "HEAD"]),
            git_branch: git(&["rev-parse", "--abbrev-ref", "HEAD"]).filter(|branch| branch != "HEAD"),
            os: host.system().to_owned(),
            arch: host.arch,
            cpu: host.cpu,
            cores: host.cores.map_or(1, |cores| u32::try_from(cores).unwrap_or(u32::MAX)),
            memory_bytes: host.memory_bytes,
        }
    }

    /// The class of machine, as series name it: its processor, cores, system and architecture.
    pub fn host_class(&self) -> String {
        let cores = format!("{} cores", self.cores);
        let words = [self.cpu.clone(), Some(cores), Some(self.os.clone()), Some(self.arch.clone())];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
