//! Jobs of several models at once: what the fleet adds to their runs, and what puppeteer-cluster makes of the same jobs.

use crate::{
    Failed,
    peer::BrowserCommand,
    table::{Bar, Row},
    workload::{self, Workload},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Instant,
};
use tokio::{io::AsyncWriteExt, process::Command};

/// A text model, two of vision and one of audio, of four sizes.
const CASES: [&str; 4] = ["bert-encoder", "mobilenet", "whisper-encoder", "vit"];
const JOBS: usize = 100;
const MANY: usize = 1_000;
/// One for each core of the machine that the bars are for.
const TABS: usize = 2;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/models/suite").join(name)
}

/// Which case a job is of: each as often as the others, in no order that anything could adapt to.
fn case_of(job: usize) -> usize {
    (job * 7 + job / 4 * 3) % CASES.len()
}

/// What a number of jobs took altogether.
struct Done {
    wall_ms: f64,
    /// The time of the runs themselves, as the workers tell it.
    run_ms: f64,
    /// That, and loading and reading back.
    busy_ms: f64,
}

/// All jobs are there at once, as they are for the cluster.
async fn run(workloads: &[Workload], jobs: usize) -> Result<Done, Failed> {
    let started = Instant::now();
    let calls = (0..jobs).map(|job| {
        let Workload { model, .. } = &workloads[case_of(job)];
        model.run(workloads[case_of(job)].inputs())
    });
    let outputs: Vec<_> = stream::iter(calls).buffer_unordered(jobs).collect().await;
    let wall_ms = started.elapsed().as_secs_f64() * 1e3;
    let mut done = Done { wall_ms, run_ms: 0.0, busy_ms: 0.0 };
    for output in outputs {
        let timings = output?.timings;
        done.run_ms += timings.run_ms;
        done.busy_ms += timings.run_ms + timings.readback_ms.unwrap_or(0.0);
        done.busy_ms += timings.download_ms.unwrap_or(0.0) + timings.create_ms.unwrap_or(0.0);
    }
    Ok(done)
}

/// Milliseconds that puppeteer-cluster takes for the same jobs.
async fn cluster(peers: &Path, browser: &BrowserCommand) -> Result<f64, Failed> {
    let jobs: Vec<PathBuf> = (0..JOBS).map(|job| folder(CASES[case_of(job)])).collect();
    let question = json!({ "executable": browser.program, "args": browser.flags, "jobs": jobs }).to_string();
    let mut child = Command::new("node")
        .arg(peers.join("cluster.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().ok_or("node without an input")?;
    input.write_all(question.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    match (answer["answers"].as_u64(), answer["ms"].as_f64()) {
        (Some(answers), Some(ms)) if answers == JOBS as u64 => Ok(ms),
        _ => Err(format!("puppeteer-cluster answered {}", answer["answers"]).into()),
    }
}

/// One turn of each side: the cluster takes a minute. Who wants more certainty runs the group again.
pub async fn measure(peers: &Path, browser: &BrowserCommand) -> Result<[Row; 3], Failed> {
    let cores = thread::available_parallelism()?.get() as f64;
    let theirs_ms = cluster(peers, browser).await?;
    let fleet = workload::launch(TABS).await?;
    while fleet.health().await?.targets.iter().any(|target| (target.ready_tabs as usize) < TABS) {}
    let mut workloads = Vec::new();
    for name in CASES {
        workloads.push(Workload::unloaded(&fleet, &folder(name)).await?);
    }
    // Models are loaded within this time, as the cluster loads them within its own.
    let cold = run(&workloads, JOBS).await?;
    for workload in &workloads {
        fleet.warm(&workload.model, TABS).await?;
    }
    let warm = run(&workloads, JOBS).await?;
    let many = run(&workloads, MANY).await?;
    fleet.close().await?;
    Ok([
        Row {
            measure: "100 mixed jobs: time over the sum of their runs divided by the cores",
            bar: Bar::AtMost(1.25),
            value: warm.wall_ms / (warm.run_ms / cores),
            numbers: format!(
                "{:.0} ms, models loaded; {cores} cores, {TABS} tabs; {:.0} ms with loading them",
                warm.wall_ms, cold.wall_ms
            ),
        },
        Row {
            measure: "the same 100 jobs: puppeteer-cluster over the fleet",
            bar: Bar::AtLeast(2.0),
            value: theirs_ms / cold.wall_ms,
            numbers: format!("{theirs_ms:.0} ms over {:.0} ms, both with loading the models", cold.wall_ms),
        },
        Row {
            measure: "1,000 mixed jobs: the part of their time that tabs work (%)",
            bar: Bar::Within(70.0, 95.0),
            value: 100.0 * many.busy_ms / (many.wall_ms * TABS as f64),
            numbers: format!("{:.0} ms of work in {:.0} ms with {TABS} tabs", many.busy_ms, many.wall_ms),
        },
    ])
}
