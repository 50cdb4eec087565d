//! Jobs of several models at once: what the fleet adds to their runs, and what puppeteer-cluster makes of the same jobs.

use crate::{
    Failed,
    peer::BrowserCommand,
    table::{Bar, Row, median},
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

/// A text model, two of vision and one of audio; a run of the largest takes some thirty times as long as the smallest's.
const CASES: [&str; 4] = ["bert-encoder", "mobilenet", "whisper-encoder", "vit"];
const JOBS: usize = 100;
const MANY: usize = 1_000;
const TURNS: usize = 3;
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
    // Pages that are no longer shown are not to be slowed down, which the fleet's are not either; the profile is its own.
    let flags: Vec<&String> = browser.flags.iter().filter(|flag| !flag.starts_with("--user-data-dir")).collect();
    let question = json!({ "executable": browser.program, "args": flags, "jobs": jobs }).to_string();
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

pub async fn measure(peers: &Path, browser: &BrowserCommand) -> Result<[Row; 3], Failed> {
    let cores = thread::available_parallelism()?.get() as f64;
    let (mut over_ideal, mut cold, mut theirs, mut busy) = (vec![], vec![], vec![], vec![]);
    let mut warm = vec![];
    for _ in 0..TURNS {
        theirs.push(cluster(peers, browser).await?);
        let fleet = workload::launch(TABS).await?;
        while fleet.health().await?.targets.iter().any(|target| (target.ready_tabs as usize) < TABS) {}
        let mut workloads = Vec::new();
        for name in CASES {
            workloads.push(Workload::unloaded(&fleet, &folder(name)).await?);
        }
        // Models are loaded within this time, as the cluster loads them within its own.
        cold.push(run(&workloads, JOBS).await?.wall_ms);
        let done = run(&workloads, JOBS).await?;
        warm.push(done.wall_ms);
        over_ideal.push(done.wall_ms / (done.run_ms / cores));
        let done = run(&workloads, MANY).await?;
        busy.push(100.0 * done.busy_ms / (done.wall_ms * TABS as f64));
        fleet.close().await?;
    }
    Ok([
        Row {
            measure: "100 mixed jobs: time over the sum of their runs divided by the cores",
            bar: Bar::AtMost(1.25),
            value: median(&over_ideal),
            numbers: format!("{:.0} ms, models loaded; {cores} cores, {TABS} tabs", median(&warm)),
        },
        Row {
            measure: "the same 100 jobs: puppeteer-cluster over the fleet",
            bar: Bar::AtLeast(2.0),
            value: median(&theirs) / median(&cold),
            numbers: format!("{:.0} ms over {:.0} ms, loading models included", median(&theirs), median(&cold)),
        },
        Row {
            measure: "1,000 mixed jobs: the part of their time that tabs work (%)",
            bar: Bar::Within(70.0, 95.0),
            value: median(&busy),
            numbers: format!("{busy:.1?}"),
        },
    ])
}
