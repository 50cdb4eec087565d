//! The scheduler alone, without a browser: how fast it decides, and what a job costs it.

mod cost;
mod world;

use crate::{
    Failed, memory,
    table::{Bar, Row, median},
};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tabfleet::schedule::Policy;
use tokio::process::Command;
use world::{Setting, World};

/// The argument, followed by a seed, that makes the program simulate and do nothing else.
pub const ARGUMENT: &str = "--simulate";

const TABS: usize = 10_000;
const JOBS: usize = 1_000_000;
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// What one simulation came to.
#[derive(Serialize, Deserialize)]
struct Simulated {
    seconds: f64,
    simulated_s: f64,
    decisions: u64,
    actions: u64,
    /// Resident memory in MiB after each quarter of the jobs.
    resident: Vec<f64>,
    peak: f64,
    most_unfinished: usize,
    /// Of everything else, how often it happened.
    counts: String,
}

/// In a process of its own, on one thread: prints the measurements as JSON.
pub fn simulate_here(seed: &str) -> Result<(), Failed> {
    let targets = world::every_browser();
    let tabs_per_target = TABS / targets.len();
    // Three deaths in a row within a minute say something of a browser with a few tabs, and nothing of one with 3,000.
    let policy = Policy { tabs_per_target, seed: seed.parse()?, restart_browser_after: 30, ..Policy::default() };
    // A tab does a job in a second on average, so seven of ten tabs are busy while nothing is broken.
    let rate = 0.7 * TABS as f64;
    let mut world = World::new(Setting { targets, seed: policy.seed, policy, jobs: JOBS, rate });
    world.open();

    let (started, from, before) = (Instant::now(), world.now(), world.counts.clone());
    let mut resident = Vec::new();
    for quarter in 1..=4 {
        world.run_until_ended(quarter * JOBS / 4);
        resident.push(memory::own_mib("VmRSS")?);
    }
    let seconds = started.elapsed().as_secs_f64();
    let simulated_s = (world.now() - from).as_secs_f64();
    let (decisions, actions) = (world.counts.decisions - before.decisions, world.counts.actions - before.actions);
    world.check_nothing_is_left();
    let counts = format!("{:?}", world.counts);
    let peak = memory::own_mib("VmHWM")?;
    let most_unfinished = world.counts.most_unfinished;
    let simulated = Simulated { seconds, simulated_s, decisions, actions, resident, peak, most_unfinished, counts };
    println!("{}", serde_json::to_string(&simulated)?);
    Ok(())
}

/// All that is measured of the scheduler.
pub async fn measure() -> Result<Vec<Row>, Failed> {
    let mut rows = simulations().await?;
    rows.push(cost::of_a_job());
    rows.extend(cost::of_a_long_queue());
    Ok(rows)
}

async fn simulations() -> Result<Vec<Row>, Failed> {
    let mut all = Vec::new();
    for seed in SEEDS {
        let output = Command::new(std::env::current_exe()?).args([ARGUMENT, &seed.to_string()]).output().await?;
        if !output.status.success() {
            return Err(format!("the simulation failed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let simulated: Simulated = serde_json::from_slice(&output.stdout)?;
        eprintln!("seed {seed}: {:.1} s, {}", simulated.seconds, simulated.counts);
        all.push(simulated);
    }
    let rate = |of: fn(&Simulated) -> f64| median(&all.iter().map(|run| of(run) / run.seconds).collect::<Vec<f64>>());
    let slowest = all.iter().map(|run| run.decisions as f64 / run.seconds).fold(f64::INFINITY, f64::min);
    let resident = |quarter: usize| median(&all.iter().map(|run| run.resident[quarter]).collect::<Vec<f64>>());
    let growth = |run: &Simulated| run.resident[3] - run.resident[0];
    let each: Vec<String> = all
        .iter()
        .map(|run| format!("{:+.1} (peak {:.0}, {} jobs)", growth(run), run.peak, run.most_unfinished))
        .collect();
    let quarters: Vec<String> = (0..4).map(|quarter| format!("{:.1}", resident(quarter))).collect();
    let decisions = rate(|run| run.decisions as f64);
    Ok(vec![
        Row {
            measure: "simulated, 10,000 tabs, 1,000,000 jobs, random failures: decisions a second on one core, the \
                      simulation included",
            bar: Bar::AtLeast(200_000.0),
            value: decisions,
            numbers: format!(
                "median of {} seeds, the slowest {slowest:.0}; {:.0} actions/s, {:.0} jobs/s; {:.0} s of the fleet's \
                 time in {:.1} s",
                all.len(),
                rate(|run| run.actions as f64),
                rate(|_| JOBS as f64),
                median(&all.iter().map(|run| run.simulated_s).collect::<Vec<f64>>()),
                median(&all.iter().map(|run| run.seconds).collect::<Vec<f64>>()),
            ),
        },
        Row {
            measure: "the growth of its resident memory from 250,000 to 1,000,000 jobs (MiB); 4 is the allocator's noise",
            bar: Bar::AtMost(4.0),
            value: median(&all.iter().map(growth).collect::<Vec<f64>>()),
            numbers: format!(
                "median of the seeds; at each quarter {} MiB; by seed, with its peak and the most jobs that were under \
                 way at once: {}",
                quarters.join(", "),
                each.join(", ")
            ),
        },
    ])
}
