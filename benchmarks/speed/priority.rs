//! How long what matters most waits behind much that matters little.

use crate::{
    Failed,
    table::{Bar, Row, median},
    workload::{self, Workload},
};
use futures::future::join_all;
use tabfleet::types::Priority;

/// Critical jobs that are asked for one after the other while low ones fill the queue.
const CRITICAL: usize = 20;
const LOW: usize = 1_000;

/// The wait of a critical job with 1,000 low ones queued, less how long a job runs.
pub async fn measure() -> Result<Row, Failed> {
    let fleet = workload::launch(1).await?;
    let work = Workload::ready(&fleet, "work3ms").await?;
    // It is known by then how long a run takes.
    let run_ms = median(&work.round_trips(50).await?.iter().map(|(_, run)| *run).collect::<Vec<_>>());
    let low = work.model.options().priority(Priority::Low);
    let mut queued: Vec<_> = (0..LOW).map(|_| work.submit(low.clone())).collect::<Result<_, _>>()?;
    let mut waits = Vec::new();
    for _ in 0..=CRITICAL {
        let output = work.submit(work.model.options().priority(Priority::Critical))?.await?;
        // From the call to the beginning of the run: all but the run itself and its outputs' way back.
        waits.push(output.timings.total_ms - output.timings.run_ms);
        // As many low ones as before, and all of them are in the queue before the next critical one comes.
        let waiting = fleet.health().await?.waiting as usize;
        queued.extend((waiting..LOW).map(|_| work.submit(low.clone())).collect::<Result<Vec<_>, _>>()?);
        fleet.health().await?;
    }
    // The first came while the thousand were still being taken into the queue.
    let first = waits.remove(0);
    let longest = waits.iter().copied().fold(0.0, f64::max);
    for result in join_all(queued).await {
        result?;
    }
    fleet.close().await?;
    Ok(Row {
        measure: "a critical job's wait (ms) with 1,000 low ones queued, less how long one runs",
        bar: Bar::AtMost(5.0),
        value: longest - run_ms,
        numbers: format!(
            "the longest of {CRITICAL}: {longest:.2} ms, median {:.2}, way there and back included; {first:.2} ms while the \
             low ones are still being queued; a run takes {run_ms:.2} ms",
            median(&waits)
        ),
    })
}
