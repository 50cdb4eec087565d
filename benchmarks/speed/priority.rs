//! How long what matters most waits behind much that matters little.

use crate::{
    Failed,
    table::{Bar, Row, median},
    workload::{self, Workload},
};
use std::time::Instant;
use tabfleet::{fleet::JobError, types::Priority};
use tokio::task::JoinHandle;

/// Critical jobs that are asked for one after the other while low ones fill the queue.
const CRITICAL: usize = 20;
const LOW: usize = 1_000;

/// When a low job was answered, and how long it ran.
type Low = JoinHandle<Result<(Instant, f64), JobError>>;

/// A critical job, from when it was asked for until it was answered.
struct Critical {
    asked: Instant,
    answered: Instant,
    /// All but its own run: the way there and back is within.
    wait_ms: f64,
}

/// The wait of a critical job with 1,000 low ones queued, less how long the job ran that it waited behind.
pub async fn measure() -> Result<Row, Failed> {
    let fleet = workload::launch(1).await?;
    let work = Workload::ready(&fleet, "work3ms").await?;
    // It is known by then how long a run takes.
    let run_ms = median(&work.round_trips(50).await?.iter().map(|(_, run)| *run).collect::<Vec<_>>());
    let low = || -> Result<Low, Failed> {
        let job = work.submit(work.model.options().priority(Priority::Low))?;
        Ok(tokio::spawn(async move { job.await.map(|output| (Instant::now(), output.timings.run_ms)) }))
    };
    let mut queued: Vec<Low> = (0..LOW).map(|_| low()).collect::<Result<_, _>>()?;
    let mut critical = Vec::new();
    for _ in 0..=CRITICAL {
        let asked = Instant::now();
        let output = work.submit(work.model.options().priority(Priority::Critical))?.await?;
        let wait_ms = output.timings.total_ms - output.timings.run_ms;
        critical.push(Critical { asked, answered: Instant::now(), wait_ms });
        // As many low ones as before, and all of them are in the queue before the next critical one comes.
        let waiting = fleet.health().await?.waiting as usize;
        queued.extend((waiting..LOW).map(|_| low()).collect::<Result<Vec<_>, _>>()?);
        fleet.health().await?;
    }
    let mut low_runs = Vec::new();
    for low in queued {
        low_runs.push(low.await??);
    }
    fleet.close().await?;
    // The first came while the thousand were still being taken into the queue.
    let first = critical.remove(0);
    let behind_ms = |job: &Critical| {
        let ended = low_runs.iter().filter(|(at, _)| (job.asked..=job.answered).contains(at));
        ended.map(|(_, run_ms)| *run_ms).reduce(f64::max).unwrap_or(run_ms)
    };
    let waits: Vec<f64> = critical.iter().map(|job| job.wait_ms).collect();
    let over: Vec<f64> = critical.iter().map(|job| job.wait_ms - behind_ms(job)).collect();
    let longest = |of: &[f64]| of.iter().copied().fold(f64::MIN, f64::max);
    Ok(Row {
        measure: "a critical job's wait (ms) with 1,000 low ones queued, less the run that it waited behind",
        bar: Bar::AtMost(5.0),
        value: longest(&over),
        numbers: format!(
            "the longest of {CRITICAL}, median {:.2}; waits, way there and back included: the longest {:.2} ms, median {:.2}, \
             {:.2} while the low ones are still being queued; a run takes {run_ms:.2} ms when nothing waits, the longest of \
             the low ones {:.2}",
            median(&over),
            longest(&waits),
            median(&waits),
            first.wait_ms,
            longest(&low_runs.iter().map(|(_, run_ms)| *run_ms).collect::<Vec<_>>()),
        ),
    })
}
