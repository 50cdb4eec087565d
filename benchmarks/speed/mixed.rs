//! Jobs of several models at once: what the fleet adds to their runs, what bare pages add, and what puppeteer-cluster makes
//! of the same jobs.

pub mod bare;
pub mod mix;

use crate::{
    Failed,
    peer::BrowserCommand,
    table::{Bar, Row, median},
    workload,
};
use bare::BarePages;
use mix::{Done, Mix};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, thread};
use tokio::{io::AsyncWriteExt, process::Command};

const JOBS: usize = 100;
const MANY: usize = 1_000;
/// One for each core of the machine that the bars are for.
const TABS: usize = 2;

/// What a mix came to.
struct Measured {
    cold: Done,
    ours: Vec<Done>,
    bare: Vec<Done>,
    many: Done,
    bare_many: Done,
}

/// Both sides take turns with 100 jobs, and do 1,000 once. Before that they do so many that their code is compiled as well
/// as it will be, for which a browser waits for hundreds of runs of each model.
async fn measure_mix(peers: &Path, mix: &Mix, warm: usize, turns: usize) -> Result<Measured, Failed> {
    let fleet = workload::launch(TABS).await?;
    while fleet.health().await?.targets.iter().any(|target| (target.ready_tabs as usize) < TABS) {}
    let workloads = mix.workloads(&fleet).await?;
    // Models are loaded within this time, as puppeteer-cluster loads them within its own.
    let cold = mix.run(&workloads, JOBS).await?;
    for workload in &workloads {
        fleet.warm(&workload.model, TABS).await?;
    }
    let mut pages = BarePages::open(peers, mix, &workloads, TABS).await?;
    mix.run(&workloads, warm).await?;
    pages.run(mix, warm).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        ours.push(mix.run(&workloads, JOBS).await?);
        bare.push(pages.run(mix, JOBS).await?);
    }
    let (many, bare_many) = (mix.run(&workloads, MANY).await?, pages.run(mix, MANY).await?);
    pages.close().await;
    fleet.close().await?;
    Ok(Measured { cold, ours, bare, many, bare_many })
}

impl Measured {
    fn over_ideal(&self, measure: &'static str, cores: f64) -> Row {
        let of = |all: &[Done], what: &dyn Fn(&Done) -> f64| median(&all.iter().map(what).collect::<Vec<_>>());
        let (over, wall) = (|done: &Done| done.over_ideal(cores), |done: &Done| done.wall_ms);
        Row {
            measure,
            bar: Bar::AtMost(1.25),
            value: of(&self.ours, &over),
            numbers: format!(
                "median of {} turns: {:.0} ms, models loaded, runs of {}; bare pages {:.0} ms, {:.2} of their ideal; {cores} \
                 cores, {TABS} tabs",
                self.ours.len(),
                of(&self.ours, &wall),
                self.many.sizes(),
                of(&self.bare, &wall),
                of(&self.bare, &over),
            ),
        }
    }

    fn utilization(&self, measure: &'static str) -> Row {
        let percent = |done: &Done| 100.0 * done.busy_ms / (done.wall_ms * TABS as f64);
        Row {
            measure,
            bar: Bar::Within(70.0, 95.0),
            value: percent(&self.many),
            numbers: format!(
                "{:.0} ms of work in {:.0} ms with {TABS} tabs; bare pages {:.0} ms in {:.0} ms, {:.0}%",
                self.many.busy_ms,
                self.many.wall_ms,
                self.bare_many.busy_ms,
                self.bare_many.wall_ms,
                percent(&self.bare_many),
            ),
        }
    }
}

/// Milliseconds that puppeteer-cluster takes for the same jobs.
async fn cluster(peers: &Path, browser: &BrowserCommand, mix: &Mix) -> Result<f64, Failed> {
    let jobs: Vec<&Path> = (0..JOBS).map(|job| &*mix.0[mix.model_of(job)].folder).collect();
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

/// The mixes, told as they are done: with puppeteer-cluster, of which one turn takes a minute, it is two.
pub async fn measure(peers: &Path, browser: &BrowserCommand, tell: impl Fn(Row)) -> Result<(), Failed> {
    let cores = thread::available_parallelism()?.get() as f64;
    let folder = tempfile::tempdir()?;
    let mix = Mix::of_all_sizes(folder.path())?;
    let all = measure_mix(peers, &mix, JOBS, 5).await?;
    tell(all.over_ideal("100 mixed jobs of four sizes: time over the sum of their runs divided by the cores", cores));
    tell(all.utilization("1,000 mixed jobs of four sizes: the part of their time that tabs work (%)"));
    let small = measure_mix(peers, &Mix::of_small()?, 2 * MANY, 9).await?;
    tell(small.over_ideal("the same of four small models", cores));
    tell(small.utilization("1,000 jobs of four small models: the part of their time that tabs work (%)"));
    let theirs_ms = cluster(peers, browser, &mix).await?;
    tell(Row {
        measure: "the 100 jobs of four sizes: puppeteer-cluster over the fleet",
        bar: Bar::AtLeast(2.0),
        value: theirs_ms / all.cold.wall_ms,
        numbers: format!("{theirs_ms:.0} ms over {:.0} ms, both with loading the models", all.cold.wall_ms),
    });
    Ok(())
}
