//! A browser's processes as /proc shows them, and a hold on one that its number's next owner cannot be mistaken for.

use super::{Refusal, Victim};
use crate::types::Browser;
use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{collections::HashMap, fs, io, time::Duration};

/// How long a renderer is looked for that computes.
const SEARCH: Duration = Duration::from_secs(2);

/// One look at the renderers' clocks to the next; their unit is a hundredth of a second.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How Chromium, Firefox and WebKit name the threads of a page's workers, as far as the system keeps names.
const WORKER_THREADS: [&str; 3] = ["DedicatedWorker", "DOM Worker", "WebCore: Worker"];

/// A process held by its pidfd.
#[derive(Debug)]
pub(super) struct Process {
    pub pid: Pid,
    fd: OwnedFd,
}

impl Process {
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { pid, fd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.fd, signal)?)
    }

    /// Whether it can still be signalled.
    pub fn lives(&self) -> bool {
        let path = format!("/proc/{}/cmdline", self.pid.as_raw_nonzero());
        fs::read(path).is_ok_and(|command| !command.is_empty())
    }
}

/// A process that could not be taken hold of is most often one that has just ended.
pub(super) fn gone(error: io::Error) -> Refusal {
    Refusal::NotNow(format!("the process cannot be taken hold of: {error}"))
}

/// A field of `/proc/PID/stat`, counted from the one after the name.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may itself contain spaces and parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(field)?.parse().ok()
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    stat(pid, 1).and_then(|parent| u32::try_from(parent).ok())
}

/// The processor time it has used, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    stat(pid, 11).unwrap_or_default() + stat(pid, 12).unwrap_or_default()
}

/// Its name, as far as the system keeps it: 15 bytes.
pub(super) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

fn command(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// The processes below `root`, with their command lines.
fn descendants(root: u32) -> Vec<(u32, String)> {
    let all = fs::read_dir("/proc").into_iter().flatten();
    let all = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut next) = (vec![root], 0);
    while next < found.len() {
        found.extend(children.remove(&found[next]).unwrap_or_default());
        next += 1;
    }
    found.into_iter().skip(1).map(|pid| (pid, command(pid))).collect()
}

/// Whether a command line is that of a process in which pages run.
fn renders(kind: Browser, command: &str) -> bool {
    match kind {
        Browser::Chrome | Browser::Edge => command.contains("--type=renderer"),
        Browser::Firefox => command.contains("-contentproc") && command.ends_with(" tab"),
        Browser::Webkit => command.contains("WebKitWebProcess"),
    }
}

/// Whether a command line is that of the process that holds the GPU devices.
fn holds_gpu(kind: Browser, command: &str) -> bool {
    match kind {
        Browser::Chrome | Browser::Edge => command.contains("--type=gpu-process"),
        Browser::Firefox => command.contains("-contentproc") && command.ends_with(" gpu"),
        Browser::Webkit => command.contains("WebKitGPUProcess"),
    }
}

/// All processes of the browser in which pages run, or may run.
pub(super) fn renderers(kind: Browser, browser: u32) -> Vec<u32> {
    let renderers = descendants(browser).into_iter().filter(|(_, command)| renders(kind, command));
    renderers.map(|(pid, _)| pid).collect()
}

/// Whether a thread of a process runs a worker of a page. Browsers keep spare renderers, which use their processor too
/// while they start, and which no tab would miss.
fn runs_worker(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.any(|name| WORKER_THREADS.iter().any(|worker| name.starts_with(worker)))
}

/// One of the browser's renderers that are at a job: with a worker, and computing.
pub(super) async fn busy_renderer(victim: &Victim, browser: u32) -> Result<Process, Refusal> {
    let deadline = tokio::time::Instant::now() + SEARCH;
    let mut before: HashMap<u32, u64> = HashMap::new();
    loop {
        let tabs = renderers(victim.kind, browser).into_iter().filter(|pid| runs_worker(*pid));
        let now: HashMap<u32, u64> = tabs.map(|pid| (pid, ticks(pid))).collect();
        let computed = |(pid, ticks): (&u32, &u64)| before.get(pid).is_some_and(|was| was < ticks).then_some(*pid);
        let mut busy: Vec<u32> = now.iter().filter_map(computed).collect();
        busy.sort_unstable();
        if let Some(pid) = victim.pick(&busy) {
            return Process::open(*pid).map_err(gone);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Refusal::NotNow("none of its renderers computes".to_owned()));
        }
        before = now;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(super) fn gpu_process(victim: &Victim, browser: u32) -> Option<u32> {
    descendants(browser).into_iter().find(|(_, command)| holds_gpu(victim.kind, command)).map(|(pid, _)| pid)
}

/// The WebDriver process that started the browser: an ancestor of it, and so of this fleet.
pub(super) fn driver(browser: u32) -> Option<u32> {
    let ancestors = std::iter::successors(parent(browser), |pid| parent(*pid));
    ancestors.take_while(|pid| *pid > 1 && *pid != std::process::id()).find(|pid| {
        let name = name(*pid);
        ["geckodriver", "WebKitWebDriver"].iter().any(|driver| name.starts_with(driver))
    })
}
