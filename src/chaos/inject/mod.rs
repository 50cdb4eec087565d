//! The injectors: each really breaks something of a running browser, from outside wherever that is possible.

#[cfg(target_os = "linux")]
mod memory;
mod models;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod signals;

pub(super) use models::HarmfulModels;

use crate::{
    fleet::{Fleet, FleetError, JobError},
    types::{Backend, Browser, BrowserId, FailureMode, TabId, Target},
};
use futures::future::BoxFuture;
use std::time::{Duration, Instant};

/// The browser that something is to be broken of.
#[derive(Clone, Debug)]
pub(super) struct Victim {
    pub browser: BrowserId,
    pub kind: Browser,
    /// Its tabs that take jobs.
    pub tabs: Vec<(TabId, Target)>,
    /// Which of several alike.
    pub dice: u64,
}

/// What was done.
pub(super) struct Done {
    pub at: Instant,
    pub what: String,
    /// What goes on from here, and ends when this does.
    pub lasting: Option<BoxFuture<'static, Lasted>>,
    /// The time limit of a job that is to run into it.
    pub limit: Option<Duration>,
}

/// How what lasted a while came out.
pub(super) enum Lasted {
    /// It is over, and there is nothing to say about it.
    Over,
    /// The job that never ends, ended.
    Endless(Result<(), JobError>),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be done to this browser, now or later.
    Never(String),
    /// Right now there is nothing to do it to.
    NotNow(String),
}

impl Done {
    fn now(what: impl Into<String>) -> Self {
        Self { at: Instant::now(), what: what.into(), lasting: None, limit: None }
    }
}

impl Victim {
    fn pick<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        let count = all.len() as u64;
        (count > 0).then(|| &all[(self.dice % count) as usize])
    }

    /// Why a mode has no sense in a browser of this kind with these targets, if it has none.
    pub fn unsuited(mode: FailureMode, kind: Browser, targets: &[Target]) -> Option<String> {
        let outside = !matches!(mode, FailureMode::SocketCut | FailureMode::Endless);
        if outside && !cfg!(target_os = "linux") {
            return Some("it is done through /proc and pidfds, which only Linux has".to_owned());
        }
        let on_gpu = |target: &Target| target.browser == kind && target.backend != Backend::Wasm;
        match mode {
            FailureMode::GpuCrash if !targets.iter().any(on_gpu) => Some("none of its targets uses a GPU".to_owned()),
            _ => None,
        }
    }
}

/// Breaks something. What it returns was really done.
pub(super) async fn inject(
    mode: FailureMode,
    victim: Victim,
    fleet: &Fleet,
    models: &HarmfulModels,
) -> Result<Done, Refusal> {
    match mode {
        FailureMode::SocketCut => cut_socket(&victim, fleet).await,
        FailureMode::Endless => models.give_endless(&victim),
        #[cfg(target_os = "linux")]
        mode => processes_of(mode, victim, fleet, models).await,
        #[cfg(not(target_os = "linux"))]
        _ => Err(Refusal::Never("only Linux shows the processes".to_owned())),
    }
}

#[cfg(target_os = "linux")]
async fn processes_of(
    mode: FailureMode,
    victim: Victim,
    fleet: &Fleet,
    models: &HarmfulModels,
) -> Result<Done, Refusal> {
    let running = fleet.processes().await.map_err(closed)?;
    let Some((_, pid)) = running.into_iter().find(|(browser, _)| *browser == victim.browser) else {
        return Err(Refusal::NotNow("the browser has just ended, or runs on another machine".to_owned()));
    };
    match mode {
        FailureMode::TabCrash => signals::kill_renderer(&victim, pid).await,
        FailureMode::BrowserKill => signals::kill_browser(pid),
        FailureMode::Hang => signals::stop_browser(pid),
        FailureMode::GpuCrash => signals::kill_gpu_process(&victim, pid),
        FailureMode::DriverKill => signals::kill_driver(&victim, pid),
        FailureMode::Oom => memory::end(&victim, pid, models),
        FailureMode::Slow => signals::slow_renderer(&victim, pid).await,
        FailureMode::SocketCut | FailureMode::Endless => Err(Refusal::NotNow("it is no process".to_owned())),
    }
}

async fn cut_socket(victim: &Victim, fleet: &Fleet) -> Result<Done, Refusal> {
    let Some((tab, target)) = victim.pick(&victim.tabs) else {
        return Err(Refusal::NotNow("it has no tab".to_owned()));
    };
    let done = Done::now(format!("the socket of {tab} ({target}) was cut"));
    match fleet.cut_socket(*tab).await {
        Ok(true) => Ok(done),
        Ok(false) => Err(Refusal::NotNow("the tab has no socket".to_owned())),
        Err(error) => Err(closed(error)),
    }
}

fn closed(error: FleetError) -> Refusal {
    Refusal::NotNow(error.to_string())
}
