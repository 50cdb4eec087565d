//! Models in stages: what a second tab gains, what passing from stage to stage costs, and how soon the pipeline answers
//! again when a browser of it is killed under load.

use crate::{
    Failed,
    echo::Echo,
    models::save,
    nets,
    processes::kill,
    table::{Bar, Row, median},
};
use futures::{StreamExt, stream};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tabfleet::{
    fleet::{Fleet, Model, ModelSpec, Output, Shards},
    onnx::{ModelFile, Suite, random_inputs},
    types::{BrowserRun, EventKind, JobId, Target, Tensor},
};
use tract_onnx::pb::ModelProto;

type Tensors = Vec<(String, Tensor<'static>)>;

const MIB: usize = 1 << 20;

/// Stages of the chain that only passes on what it is given.
const STAGES: usize = 4;

/// How long browsers are killed for, and how often.
const KILLING: Duration = Duration::from_secs(120);
const BETWEEN_KILLS: Duration = Duration::from_secs(5);

/// Jobs under way while they are.
const UNDER_WAY: usize = 8;

fn target(name: &str) -> Target {
    name.parse().expect("a target")
}

async fn launch(targets: &[&str], tabs: usize) -> Result<Fleet, Failed> {
    let builder = Fleet::builder().targets(targets.iter().map(|name| target(name))).tabs_per_browser(tabs);
    // One thread a tab: what is measured is tabs, not threads.
    Ok(builder.configure(|config| config.threads = 1).launch().await?)
}

fn read(folder: &Path, name: &str, model: &ModelProto) -> Result<ModelFile, Failed> {
    Ok(ModelFile::read(&save(folder, name, model))?)
}

/// Each row is told when it is there: the last ones take minutes.
pub async fn measure(echo: &mut Echo, tell: impl Fn(Row)) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    tell(two_tabs(folder.path()).await?);
    transfer(echo, folder.path()).await?.into_iter().for_each(&tell);
    tell(threshold(folder.path()).await?);
    for spares in [1, 0] {
        killed(spares).await?.into_iter().for_each(&tell);
    }
    Ok(())
}

async fn rate(model: &Model, inputs: &Tensors, count: usize) -> Result<f64, Failed> {
    let started = Instant::now();
    let mut runs = stream::iter(0..count).map(|_| model.run(inputs.clone())).buffer_unordered(UNDER_WAY);
    while let Some(result) = runs.next().await {
        result?;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

/// ResNet-50 in two stages in two tabs over the whole in one tab.
async fn two_tabs(folder: &Path) -> Result<Row, Failed> {
    let file = read(folder, "resnet50.onnx", &nets::resnet50(64))?;
    let inputs = random_inputs(&file, &BTreeMap::new(), 1)?;
    let one = launch(&["chrome/wasm"], 1).await?;
    let two = launch(&["chrome/wasm"], 2).await?;
    let whole = one.get_model(ModelSpec::read(file.clone())).await?;
    let shards = Shards::optimal(2).recut_after(Duration::from_secs(2));
    let halves = two.get_model(ModelSpec::read(file).sharded(shards)).await?;
    // Long enough for the stages' times to be known, and the model to be cut by them.
    rate(&whole, &inputs, 20).await?;
    rate(&halves, &inputs, 150).await?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        alone.push(rate(&whole, &inputs, 20).await?);
        together.push(rate(&halves, &inputs, 40).await?);
    }
    let output = halves.run(inputs.clone()).await?;
    let stages: Vec<String> = output.stages.iter().map(|stage| format!("{:.1}", stage.timings.run_ms)).collect();
    one.close().await?;
    two.close().await?;
    let (alone, together) = (median(&alone), median(&together));
    Ok(Row {
        measure: "throughput of two stages in two tabs over the whole in one, ResNet-50, one WASM thread each",
        bar: Bar::AtLeast(1.6),
        value: together / alone,
        numbers: format!("{together:.1}/s; whole {alone:.1}/s; stages take {} ms alone", stages.join(" and ")),
    })
}

/// So many nodes in a row, of so many elements.
fn chain(nodes: usize, elements: usize) -> ModelProto {
    let mut net = nets::Net::new("x", &elements.to_string());
    let last = (1..nodes).fold("x".to_owned(), |x, _| net.op("Neg", &[&x], Vec::new()));
    net.finish(&last, "y")
}

/// A chain of four stages that do next to nothing with so many bytes, in four tabs of one browser.
async fn chain_of_stages(
    fleet: &Fleet,
    folder: &Path,
    bytes: usize,
    shards: Shards,
) -> Result<(Model, Tensors), Failed> {
    let file = read(folder, &format!("chain-{bytes}.onnx"), &chain(STAGES, bytes / 4))?;
    let inputs: Tensors = vec![("x".to_owned(), Tensor::from_values([bytes / 4], &vec![1.0_f32; bytes / 4])?)];
    Ok((fleet.get_model(ModelSpec::read(file).sharded(shards)).await?, inputs))
}

/// Milliseconds a stage of each of so many jobs, one at a time, beside its run.
async fn beside_runs(model: &Model, inputs: &Tensors, jobs: usize) -> Result<Vec<f64>, Failed> {
    let mut times = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        let output = model.run(inputs.clone()).await?;
        let inside: f64 = output.stages.iter().map(|stage| stage.timings.run_ms).sum();
        times.push((output.timings.total_ms - inside) / STAGES as f64);
    }
    Ok(times)
}

/// A job of 1 MiB through four stages that do next to nothing, one job at a time: from tab to tab, and through the fleet.
async fn transfer(echo: &mut Echo, folder: &Path) -> Result<[Row; 2], Failed> {
    let fleet = launch(&["chrome/wasm"], STAGES).await?;
    let (direct, inputs) = chain_of_stages(&fleet, folder, MIB, Shards::layers(STAGES).direct_from(MIB as u64)).await?;
    let (through, _) = chain_of_stages(&fleet, folder, MIB, Shards::layers(STAGES).never_direct()).await?;
    let [mut direct_ms, mut through_ms, mut raw] = [(); 3].map(|()| Vec::new());
    for turn in 0..12 {
        let (by_tabs, by_fleet) = (beside_runs(&direct, &inputs, 10).await?, beside_runs(&through, &inputs, 10).await?);
        if turn > 1 {
            direct_ms.extend(by_tabs);
            through_ms.extend(by_fleet);
        }
        raw.extend(echo.round_trips(MIB, 10).await?);
    }
    let crossed: usize = direct.run(inputs).await?.stages.iter().map(|stage| stage.direct_bytes).sum();
    fleet.close().await?;
    if crossed != (STAGES - 1) * MIB {
        return Err(format!("of {} bytes only {crossed} went from tab to tab", (STAGES - 1) * MIB).into());
    }
    let [direct, through, raw] = [&direct_ms, &through_ms, &raw].map(|times| median(times));
    let row = |measure, stage: f64| Row {
        measure,
        bar: Bar::AtMost(1.5),
        value: stage / raw,
        numbers: format!("{stage:.2} ms a stage; echo {raw:.2} ms"),
    };
    Ok([
        row("1 MiB through a stage beside its run, from tab to tab, over a raw WebSocket echo", direct),
        row("1 MiB through a stage beside its run, through the fleet, over a raw WebSocket echo", through),
    ])
}

/// From which size on activations are faster from tab to tab.
async fn threshold(folder: &Path) -> Result<Row, Failed> {
    let fleet = launch(&["chrome/wasm"], STAGES).await?;
    let mut numbers = Vec::new();
    let mut value = f64::NAN;
    for kib in [4, 16, 64, 256, 1024, 4096] {
        let (direct, inputs) =
            chain_of_stages(&fleet, folder, kib << 10, Shards::layers(STAGES).direct_from(0)).await?;
        let (through, _) = chain_of_stages(&fleet, folder, kib << 10, Shards::layers(STAGES).never_direct()).await?;
        let [mut direct_ms, mut through_ms] = [(); 2].map(|()| Vec::new());
        for turn in 0..12 {
            let (by_tabs, by_fleet) =
                (beside_runs(&direct, &inputs, 10).await?, beside_runs(&through, &inputs, 10).await?);
            if turn > 1 {
                direct_ms.extend(by_tabs);
                through_ms.extend(by_fleet);
            }
        }
        let (by_tabs, by_fleet) = (median(&direct_ms), median(&through_ms));
        numbers.push(format!("{kib} KiB {by_tabs:.2} ms, {by_fleet:.2} through the fleet"));
        // From where on it is done, if nothing else is said.
        if kib == 1024 {
            value = by_fleet / by_tabs;
        }
    }
    fleet.close().await?;
    Ok(Row {
        measure: "1 MiB through a stage beside its run: through the fleet over from tab to tab",
        bar: Bar::AtLeast(1.0),
        value,
        numbers: numbers.join("; "),
    })
}

/// What became of jobs while browsers were killed.
#[derive(Default)]
struct Ledger {
    answered: AtomicU64,
    lost: AtomicU64,
    wrong: AtomicU64,
    /// Jobs' ends, by what the fleet told of each stage's part.
    ends: Mutex<BTreeMap<JobId, u32>>,
}

/// Under load, the browser of a random stage is killed every five seconds.
async fn killed(spares: usize) -> Result<[Row; 2], Failed> {
    let fleet = launch(&["chrome/wasm", "edge/wasm", "firefox/wasm"], 1).await?;
    let suite = Suite::builtin()?;
    let case = suite.cases.iter().find(|case| case.name == "bert-encoder").ok_or("no such case")?.load()?;
    let inputs: Tensors = case.sets[0].0.clone();
    let shards = Shards::optimal(2).spares(spares).on(["chrome/wasm", "edge/wasm"].map(target));
    let model = fleet.get_model(ModelSpec::read(case.model.clone()).sharded(shards)).await?;
    let right: Tensors = model.run(inputs.clone()).await?.tensors;
    // The other browser of stages computes the same on another engine: close, and not the same bits.
    let close = |output: &Output| {
        let tolerance = tabfleet::onnx::Tolerance { rtol: 1e-4, atol: 1e-4, rtol_float16: 1e-2, atol_float16: 1e-2 };
        tabfleet::onnx::compare(&right, &output.tensors, &tolerance).mismatch.is_none()
    };

    let ledger = Arc::new(Ledger::default());
    let done = AtomicBool::new(false);
    let mut events = fleet.subscribe();
    let noting = ledger.clone();
    let listener = tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            match event.kind {
                EventKind::FleetClosed => return,
                EventKind::JobEnded { job, .. } => {
                    if let Ok(mut ends) = noting.ends.lock() {
                        *ends.entry(job).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    });
    // The newest answer's tabs, for whoever waits for one from elsewhere.
    let (newest, mut answers) = tokio::sync::watch::channel(Vec::new());
    let load = async {
        let jobs = stream::repeat(()).take_while(|()| std::future::ready(!done.load(Ordering::Relaxed)));
        let runs = jobs.map(|()| model.run_with(inputs.clone(), model.options().attempts(10))).buffered(UNDER_WAY);
        runs.for_each(|result| {
            match result {
                Ok(output) => {
                    ledger.answered.fetch_add(1, Ordering::Relaxed);
                    ledger.wrong.fetch_add(u64::from(!close(&output)), Ordering::Relaxed);
                    newest
                        .send_replace(output.stages.iter().map(|stage| stage.provenance.browser().cloned()).collect());
                }
                Err(error) => {
                    eprintln!("lost: {error}");
                    ledger.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            std::future::ready(())
        })
        .await;
    };
    let killing = async {
        let (started, mut times, mut turn) = (Instant::now(), Vec::new(), 0_usize);
        answers.changed().await?;
        while started.elapsed() < KILLING {
            tokio::time::sleep(BETWEEN_KILLS).await;
            // Weyl's sequence again: as good as chance, and the same in every run.
            turn += 1;
            let stage = usize::from((turn as f64 * 0.618_033_988_75).fract() < 0.5);
            let Some(Some(home)) = answers.borrow_and_update().get(stage).cloned() else { continue };
            let processes = fleet.processes().await?;
            let Some((_, pid)) = processes.iter().find(|(id, _)| *id == home.browser_id) else { continue };
            kill(*pid);
            let at = Instant::now();
            let elsewhere = |stages: &Vec<Option<BrowserRun>>| {
                stages.get(stage).is_some_and(|now| now.as_ref().is_some_and(|now| now.tab != home.tab))
            };
            answers.wait_for(elsewhere).await?;
            times.push(at.elapsed().as_secs_f64() * 1e3);
        }
        done.store(true, Ordering::Relaxed);
        Ok::<_, Failed>(times)
    };
    let ((), times) = tokio::join!(load, killing);
    let times = times?;
    fleet.close().await?;
    listener.await?;
    let doubled = ledger.ends.lock().map_or(0, |ends| ends.values().filter(|ends| **ends > 1).count());
    let [answered, lost, wrong] =
        [&ledger.answered, &ledger.lost, &ledger.wrong].map(|count| count.load(Ordering::Relaxed));
    let (with, bar) = if spares == 0 { ("without a spare", 3000.0) } else { ("with a warm spare", 300.0) };
    let longest = times.iter().copied().fold(f64::NAN, f64::max);
    Ok([
        Row {
            measure: if spares == 0 {
                "a browser of a stage killed every 5 s for 2 min, no spare: jobs lost, wrong or doubled"
            } else {
                "a browser of a stage killed every 5 s for 2 min, a spare: jobs lost, wrong or doubled"
            },
            bar: Bar::AtMost(0.0),
            value: (lost + wrong) as f64 + doubled as f64,
            numbers: format!(
                "{answered} answered in order, {} kills: {lost} lost, {wrong} wrong, {doubled} doubled",
                times.len()
            ),
        },
        Row {
            measure: if spares == 0 {
                "from such a kill to the next answer through the stage's new home, no spare, ms, median"
            } else {
                "from such a kill to the next answer through the stage's new home, a spare, ms, median"
            },
            bar: Bar::AtMost(bar),
            value: median(&times),
            numbers: format!("{with}; median {:.0}, longest {longest:.0} ms", median(&times)),
        },
    ])
}
