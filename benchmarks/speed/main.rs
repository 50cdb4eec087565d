//! The speed benchmarks: a Markdown table of ratios, each with its bar. `benchmarks/speed/run.sh` sets up what they need
//! and runs them.

mod batching;
#[allow(dead_code)] // As the tests' models.
#[path = "../../src/onnx/tests/build.rs"]
mod build;
mod channels;
mod echo;
mod failover;
mod measures;
mod memory;
mod mixed;
#[allow(dead_code)] // The tests make more models than one.
#[path = "../../tests/fleet/models.rs"]
mod models;
#[allow(dead_code)] // Here, too.
#[path = "../../src/onnx/tests/nets.rs"]
mod nets;
mod peer;
mod pipelines;
mod priority;
#[path = "../../tests/shared/processes.rs"]
mod processes;
mod scaling;
mod scheduler;
mod sessions;
mod table;
mod workload;

use echo::Echo;
use measures::MatrixRun;
use peer::{BrowserCommand, Peer};
use std::{env, path::Path};
use table::Row;

/// Whatever goes wrong ends the benchmark with its words.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The groups of measures, by the names that the command line takes.
const GROUPS: [&str; 15] = [
    "scheduler",
    "round-trips",
    "in-flight",
    "two-tabs",
    "first",
    "channels",
    "pipelines",
    "sessions",
    "memory",
    "failover",
    "priority",
    "batching",
    "mixed",
    "scaling",
    "matrix",
];

#[tokio::main]
async fn main() -> Result<(), Failed> {
    // In a task of its own, as callers of the fleet usually are: the main thread would have to be woken for every answer.
    tokio::spawn(run()).await?
}

async fn run() -> Result<(), Failed> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == memory::ARGUMENT) {
        return memory::measure_here().await;
    }
    if let [scheduler::ARGUMENT, seed] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return scheduler::simulate_here(seed);
    }
    if let Some(unknown) = arguments.iter().find(|name| !GROUPS.contains(&name.as_str())) {
        return Err(format!("there is no group {unknown}; there are {}", GROUPS.join(", ")).into());
    }
    let wanted = |group: &str| arguments.is_empty() || arguments.iter().any(|name| name == group);

    // Lines are printed as they come: a later failure must not lose them.
    println!("{}", table::HEADING);
    if wanted("scheduler") {
        print(scheduler::measure().await?);
        if arguments.iter().all(|name| name == "scheduler") && !arguments.is_empty() {
            return Ok(());
        }
    }

    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let peers = project.join("benchmarks/peers");
    let mut echo = Echo::start().await?;
    let (program, flags) = echo.browser_command()?;
    let browser = BrowserCommand { program, flags };
    let mut peer = Peer::start(&peers, browser.clone()).await?;

    if wanted("round-trips") {
        print(measures::round_trips(&mut echo, &mut peer).await?);
    }
    if wanted("in-flight") {
        print([measures::in_flight(&mut echo, &peers).await?]);
    }
    if wanted("two-tabs") {
        print([measures::two_tabs(&mut peer).await?]);
    }
    if wanted("first") {
        print([measures::first_inference(&mut peer).await?]);
    }
    if wanted("channels") {
        print([channels::measure().await?]);
    }
    if wanted("pipelines") {
        pipelines::measure(&mut echo, |row| print([row])).await?;
    }
    // From here on nobody else's browser is to take part in anything.
    peer.close().await?;
    echo.close().await;
    if wanted("sessions") {
        print([sessions::measure().await?]);
    }
    if wanted("memory") {
        print(memory::measure().await?);
    }
    if wanted("failover") {
        print(failover::measure().await?);
    }
    if wanted("priority") {
        print([priority::measure().await?]);
    }
    if wanted("batching") {
        print(batching::measure().await?);
    }
    if wanted("mixed") {
        mixed::measure(&peers, &browser, |row| print([row])).await?;
    }
    if wanted("scaling") {
        print([scaling::measure().await?]);
    }
    if wanted("matrix") {
        let program = env::var_os("TABFLEET").map_or_else(|| env!("CARGO_BIN_EXE_tabfleet").into(), Into::into);
        let cases = project.join("benchmarks/results/node-cases");
        print([MatrixRun { program, peers, cases, browser }.measure().await?]);
    }
    Ok(())
}

fn print(rows: impl IntoIterator<Item = Row>) {
    rows.into_iter().for_each(|row| println!("{row}"));
}
