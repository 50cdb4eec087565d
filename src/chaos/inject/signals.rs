//! Processes killed, stopped, and stopped again and again.

use super::{
    Done, Lasted, Refusal, Victim,
    processes::{self, Process, busy_renderer, gone},
};
use crate::types::Browser;
use rustix::process::Signal;
use std::{io, time::Duration};

/// How long a browser is stopped. Whoever is to notice has this long; then it goes on as if nothing had been.
const STOPPED: Duration = Duration::from_secs(10);

/// How long a renderer is slow, and how much of each period it is stopped.
const SLOW: Duration = Duration::from_secs(5);
const SLOW_STOPPED: Duration = Duration::from_millis(90);
const SLOW_RUNNING: Duration = Duration::from_millis(10);

pub(super) async fn kill_renderer(victim: &Victim, browser: u32) -> Result<Done, Refusal> {
    kill(busy_renderer(victim, browser).await?, "renderer")
}

pub(super) fn kill_browser(browser: u32) -> Result<Done, Refusal> {
    kill(Process::open(browser).map_err(gone)?, "browser")
}

pub(super) fn kill_gpu_process(victim: &Victim, browser: u32) -> Result<Done, Refusal> {
    match (processes::gpu_process(victim, browser), victim.kind) {
        (Some(pid), _) => kill(Process::open(pid).map_err(gone)?, "GPU process"),
        (None, Browser::Chrome | Browser::Edge) => Err(Refusal::NotNow("its GPU process is not there".to_owned())),
        (None, _) => Err(Refusal::Never("it has no GPU process here".to_owned())),
    }
}

pub(super) fn kill_driver(victim: &Victim, browser: u32) -> Result<Done, Refusal> {
    match (processes::driver(browser), victim.kind) {
        (Some(pid), _) => kill(Process::open(pid).map_err(gone)?, "driver"),
        (None, Browser::Chrome | Browser::Edge) => {
            Err(Refusal::Never("it is driven over CDP, without a driver process".to_owned()))
        }
        (None, _) => Err(Refusal::NotNow("its driver was not found among its ancestors".to_owned())),
    }
}

fn kill(process: Process, what: &str) -> Result<Done, Refusal> {
    let done = Done::now(format!("{what} {} was killed", process.pid.as_raw_nonzero()));
    process.signal(Signal::KILL).map_err(gone)?;
    Ok(done)
}

/// A stopped process, which goes on when this is dropped: nothing stays stopped, however the run ends.
struct Stopped(Process);

impl Stopped {
    fn stop(process: Process) -> io::Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(process))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It fails when the process has been ended meanwhile.
        let _ = self.0.signal(Signal::CONT);
    }
}

pub(super) fn stop_browser(browser: u32) -> Result<Done, Refusal> {
    let process = Process::open(browser).map_err(gone)?;
    let done = Done::now(format!("browser {browser} was stopped for up to {} s", STOPPED.as_secs()));
    let stopped = Stopped::stop(process).map_err(gone)?;
    let lasting = async move {
        let end = tokio::time::Instant::now() + STOPPED;
        while stopped.0.lives() && tokio::time::Instant::now() < end {
            tokio::time::sleep(SLOW_STOPPED).await;
        }
        Lasted::Over
    };
    Ok(Done { lasting: Some(Box::pin(lasting)), ..done })
}

pub(super) async fn slow_renderer(victim: &Victim, browser: u32) -> Result<Done, Refusal> {
    let process = busy_renderer(victim, browser).await?;
    let pid = process.pid.as_raw_nonzero();
    let done = Done::now(format!("renderer {pid} ran a tenth of the time for {} s", SLOW.as_secs()));
    let stopped = Stopped::stop(process).map_err(gone)?;
    let lasting = async move {
        let end = tokio::time::Instant::now() + SLOW;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(SLOW_STOPPED).await;
            let runs = stopped.0.signal(Signal::CONT).is_ok();
            tokio::time::sleep(SLOW_RUNNING).await;
            if !runs || stopped.0.signal(Signal::STOP).is_err() {
                break;
            }
        }
        Lasted::Over
    };
    Ok(Done { lasting: Some(Box::pin(lasting)), ..done })
}
