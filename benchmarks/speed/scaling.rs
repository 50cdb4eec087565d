//! How many tabs a fleet finds to help.

use crate::{
    Failed,
    table::{Bar, Row},
    workload::{self, Workload},
};
use std::time::{Duration, Instant};
use tabfleet::{fleet::Fleet, types::EventKind};

const TABS: std::ops::RangeInclusive<usize> = 1..=4;
const TIME: Duration = Duration::from_secs(60);
const UNDER_WAY: usize = 32;

/// The number of tabs that the fleet had most of the time in the second half of a minute under load.
pub async fn measure() -> Result<Row, Failed> {
    let builder = Fleet::builder().targets([workload::TARGET]).tabs(TABS);
    let fleet = builder.configure(|config| config.threads = 1).launch().await?;
    let work = Workload::ready(&fleet, "work3ms").await?;
    let mut events = fleet.subscribe();
    let (mut tabs, mut changes, mut most) = (*TABS.start(), Vec::new(), vec![Duration::ZERO; TABS.end() + 1]);
    let mut rates = vec![Vec::new(); TABS.end() + 1];
    let started = Instant::now();
    while started.elapsed() < TIME {
        let since = Instant::now();
        rates[tabs].push(work.rate(200, UNDER_WAY).await?);
        if started.elapsed() > TIME / 2 {
            most[tabs] += since.elapsed();
        }
        while let Ok(event) = events.try_recv() {
            if let EventKind::Scaled { to, reason, .. } = &event.kind {
                changes.push(format!("{:.0} s: {to} ({reason})", started.elapsed().as_secs_f64()));
                tabs = *to;
            }
        }
    }
    fleet.close().await?;
    let ended_at = (1..most.len()).max_by_key(|tabs| most[*tabs]).unwrap_or_default();
    let rates = rates.iter().enumerate().filter(|(_, rates)| !rates.is_empty());
    let rates = rates.map(|(tabs, rates)| format!("{tabs}: {:.0}", crate::table::median(rates)));
    Ok(Row {
        measure: "1 to 4 tabs for a model of one thread: as many as the fleet ends at",
        bar: Bar::AtMost(std::thread::available_parallelism()?.get() as f64),
        value: ended_at as f64,
        numbers: format!("{}; jobs a second by tabs: {}", changes.join(", "), rates.collect::<Vec<_>>().join(", ")),
    })
}
