//! Processes of this machine as somebody outside sees them, and waiting for what tells nobody that it has happened.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tabfleet::browser::RunningBrowser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// On a busy machine with two cores everything takes many times as long as it should; what hangs is still told.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("waited {limit:?} for {what} in vain"))
}

/// Kills a process without warning.
pub fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

/// A process stands still, but lives.
pub fn stop(pid: u32) {
    signal(pid, rustix::process::Signal::STOP);
}

/// A process that was stopped goes on.
pub fn resume(pid: u32) {
    signal(pid, rustix::process::Signal::CONT);
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// What is left of a launch: the processes that carry its mark in their environment, and, since some of Chromium's
/// write their title over it, those of its process group (Linux).
#[derive(Debug)]
pub struct Remains {
    mark: String,
    group: u32,
    folder: PathBuf,
}

impl Remains {
    pub fn of(browser: &dyn RunningBrowser) -> Self {
        Self::of_process(browser.process_id().expect("a browser of this machine"))
    }

    pub fn of_process(pid: u32) -> Self {
        let mark = variable_of(pid, "TABFLEET_FLEET").expect("a process started under a guard");
        let folder = variable_of(pid, "TMPDIR").expect("a process started under a guard").into();
        Self { mark, group: stat(pid, 2).expect("a running process"), folder }
    }

    pub fn processes(&self) -> Vec<u32> {
        let ours = |pid: &u32| {
            // The dead are in their group until they are reaped.
            let alive = std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty());
            alive
                && (stat::<u32>(*pid, 2) == Some(self.group)
                    || variable_of(*pid, "TABFLEET_FLEET").as_deref() == Some(&self.mark))
        };
        all_processes().filter(ours).collect()
    }

    /// The launch's guard, which carries its mark as an argument.
    pub fn guard(&self) -> u32 {
        let argument = format!("tabfleet-guard\0{}", self.mark);
        let is_it = |pid: &u32| command_of(*pid).contains(&argument);
        all_processes().find(is_it).expect("the guard of a launch")
    }

    /// Where Chromium's own DevTools server listens.
    pub fn devtools_address(&self) -> String {
        let port = std::fs::read_to_string(self.folder.join("profile/DevToolsActivePort")).unwrap();
        format!("127.0.0.1:{}", port.lines().next().unwrap())
    }

    /// Asks Chromium's own DevTools server, as somebody else would.
    pub async fn ask_devtools(&self, path: &str) -> String {
        let mut socket = tokio::net::TcpStream::connect(self.devtools_address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        // The server does not close the connection, whatever it is asked.
        let mut answer = BufReader::new(socket);
        let mut length = 0;
        let mut line = String::new();
        while answer.read_line(&mut line).await.unwrap() > 2 {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    pub fn folder_exists(&self) -> bool {
        self.folder.exists()
    }

    pub fn nothing(&self) -> bool {
        self.processes().is_empty() && !self.folder_exists()
    }
}

fn all_processes() -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A field of `/proc/PID/stat`, counted from the one after the name.
fn stat<T: std::str::FromStr>(pid: u32, field: usize) -> Option<T> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may itself contain spaces and parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(field)?.parse().ok()
}

/// A process's name, as far as the system keeps it (Linux).
pub fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// The environment variable's value in another process (Linux).
fn variable_of(pid: u32, name: &str) -> Option<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{name}=");
    let value = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The processor time a process has used, in clock ticks (Linux).
pub fn ticks_of(pid: u32) -> u64 {
    stat(pid, 11).unwrap_or_default()
}

/// Waits until `holds`; for what the system changes without telling.
pub async fn until(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {limit:?} for {what} in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The processes below `root`, with their command lines (Linux).
pub fn descendants(root: u32) -> Vec<(u32, String)> {
    let all: Vec<u32> = all_processes().collect();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = Some(found[next]);
        found.extend(all.iter().filter(|pid| stat(**pid, 1) == parent));
        next += 1;
    }
    found.into_iter().skip(1).map(|pid| (pid, command_of(pid).replace('\0', " "))).collect()
}

/// A process's arguments, each with a zero byte behind it (Linux).
fn command_of(pid: u32) -> String {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).into_owned()
}
