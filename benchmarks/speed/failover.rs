//! How soon the fleet notices that something died, and how soon another tab answers for it: the faults are real, the job
//! is one that counts for about a second.

use crate::{
    Failed,
    models::{ENDLESS, count, counting, save},
    processes::{descendants, kill, ticks_of},
    table::{Bar, Row, median},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tabfleet::{
    fleet::{Fleet, Model, ModelSpec, Output},
    types::{Event, EventKind, Target},
};
use tokio::sync::broadcast::Receiver;

/// Times each fault is caused.
const TAB_CRASHES: usize = 14;
const BROWSER_KILLS: usize = 10;
const ENDLESS_RUNS: usize = 5;

/// When what was heard of, from the fault on.
struct Trial {
    detected_ms: f64,
    /// Until the answer, less what the run that brought it took.
    beyond_ms: f64,
}

pub async fn measure() -> Result<Vec<Row>, Failed> {
    let (tabs, browsers, endless) = (tab_crashes().await?, browser_kills().await?, endless_runs().await?);
    let detected = |trials: &[Trial]| trials.iter().map(|trial| trial.detected_ms).collect::<Vec<_>>();
    let beyond = |trials: &[Trial]| trials.iter().map(|trial| trial.beyond_ms).collect::<Vec<_>>();
    let row = |measure, bar, value, what: &str, all: &[f64]| Row {
        measure,
        bar: Bar::AtMost(bar),
        value,
        numbers: format!("{what}; median {:.1}, longest of {} {:.1} ms", median(all), all.len(), longest(all)),
    };
    let crash = "SIGKILL of the renderer that was at the job";
    let ended = "SIGKILL of the browser that had the job, another browser running";
    let loops = "from the deadline until the tab answers again";
    Ok(vec![
        row("tab crash: detected, ms, longest", 100.0, longest(&detected(&tabs)), crash, &detected(&tabs)),
        row(
            "tab crash: answered elsewhere beyond its run, ms, median",
            150.0,
            median(&beyond(&tabs)),
            crash,
            &beyond(&tabs),
        ),
        row("browser killed: detected, ms, longest", 100.0, longest(&detected(&browsers)), ended, &detected(&browsers)),
        row(
            "browser killed: answered elsewhere beyond its run, ms, median",
            250.0,
            median(&beyond(&browsers)),
            ended,
            &beyond(&browsers),
        ),
        row(
            "endless model: tab usable again after the deadline, ms, longest",
            1000.0,
            longest(&endless),
            loops,
            &endless,
        ),
    ])
}

fn longest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn target(name: &str) -> Target {
    name.parse().expect("a target")
}

/// Waits for the next event that is picked.
async fn heard<T>(events: &mut Receiver<Arc<Event>>, pick: impl Fn(&EventKind) -> Option<T>) -> Result<T, Failed> {
    loop {
        if let Some(found) = pick(&events.recv().await?.kind) {
            return Ok(found);
        }
    }
}

/// A model that counts, loaded in every tab, and how far it counts in about 700 ms.
async fn counting_on(fleet: &Fleet, folder: &tempfile::TempDir) -> Result<(Model, i64), Failed> {
    let path = save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await?;
    let tabs = fleet.tabs().await?.len();
    let warm = futures::future::join_all((0..2 * tabs).map(|_| model.run(count(50_000, 1.0)))).await;
    warm.into_iter().collect::<Result<Vec<Output>, _>>()?;
    // The first runs tell little: they are slow while the browser compiles.
    let sample = 1_000_000;
    let ran = model.run(count(sample, 1.0)).await?;
    Ok((model, (700.0 / ran.timings.run_ms * sample as f64) as i64))
}

/// Runs a job, causes the fault when a tab is at it, and takes the times; none when the fault met another tab.
async fn trial(
    fleet: &Fleet,
    job: impl Future<Output = Result<Output, tabfleet::fleet::JobError>>,
    fault: impl AsyncFnOnce(Target) -> Result<Instant, Failed>,
) -> Result<Option<Trial>, Failed> {
    let mut events = fleet.subscribe();
    let breaking = async {
        let there = |kind: &EventKind| match kind {
            EventKind::AttemptStarted { target, .. } => Some(*target),
            _ => None,
        };
        let at = fault(heard(&mut events, there).await?).await?;
        let tells = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::TabDisconnected { .. } | EventKind::TabLost { .. } | EventKind::BrowserEnded { .. }
            )
            .then(Instant::now)
        };
        Ok::<_, Failed>((at, heard(&mut events, tells).await?))
    };
    let answering = async { (job.await, Instant::now()) };
    let (broken, (output, answered)) = tokio::join!(breaking, answering);
    let ((at, detected), output) = (broken?, output?);
    let met = !output.failed_attempts.is_empty();
    let trial =
        met.then(|| Trial { detected_ms: ms(detected - at), beyond_ms: ms(answered - at) - output.timings.run_ms });
    match &trial {
        Some(Trial { detected_ms, beyond_ms }) => {
            let failed: Vec<String> = output.failed_attempts.iter().map(|failed| failed.target.to_string()).collect();
            let (failed, by) = (failed.join(", "), output.provenance);
            eprintln!("{failed}: detected {detected_ms:.1} ms, answered by {by} {beyond_ms:.1} ms beyond its run");
        }
        None => eprintln!("the fault met another tab"),
    }
    Ok(trial)
}

/// Waits until every target has its tabs again, and the machine is at rest.
async fn whole_again(fleet: &Fleet, tabs: u32) -> Result<(), Failed> {
    while fleet.health().await?.targets.iter().any(|of| of.ready_tabs < tabs) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

/// Kills the renderer that computes: the first that has used a tenth of a second more than before.
async fn kill_busy_renderer(browser: u32) -> Instant {
    let renderers = || {
        let all = descendants(browser).into_iter();
        all.filter(|(_, command)| command.contains("--type=renderer")).map(|(pid, _)| pid).collect::<Vec<_>>()
    };
    let before: HashMap<u32, u64> = renderers().into_iter().map(|pid| (pid, ticks_of(pid))).collect();
    loop {
        let computes = |pid: &u32| ticks_of(*pid) > before.get(pid).copied().unwrap_or_default() + 10;
        if let Some(pid) = renderers().into_iter().find(computes) {
            let at = Instant::now();
            kill(pid);
            return at;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn tab_crashes() -> Result<Vec<Trial>, Failed> {
    let folder = tempfile::tempdir()?;
    let builder = Fleet::builder().targets([target("chrome/wasm")]).tabs_per_browser(2);
    // Three crashes in a row would cost the browser, which is another measure.
    let fleet = builder.configure(|config| config.policy.restart_browser_after = u32::MAX).launch().await?;
    let (model, trips) = counting_on(&fleet, &folder).await?;
    let mut trials = Vec::new();
    while trials.len() < TAB_CRASHES {
        let browser = fleet.processes().await?.first().ok_or("no browser")?.1;
        trials.extend(
            trial(&fleet, model.run(count(trips, 0.0)), async |_| Ok(kill_busy_renderer(browser).await)).await?,
        );
        whole_again(&fleet, 2).await?;
        // Loads the model in the fresh tab, so that what is timed is the failover and not a load.
        futures::future::join_all((0..4).map(|_| model.run(count(1000, 0.0)))).await;
    }
    fleet.close().await?;
    Ok(trials)
}

async fn browser_kills() -> Result<Vec<Trial>, Failed> {
    let folder = tempfile::tempdir()?;
    let both = [target("chrome/wasm"), target("firefox/wasm")];
    let fleet = Fleet::builder().targets(both).launch().await?;
    let (model, trips) = counting_on(&fleet, &folder).await?;
    let mut trials = Vec::new();
    while trials.len() < BROWSER_KILLS {
        // What went well since the last kill keeps the breakers closed: they would turn the job away from a browser that
        // is killed every other time.
        for at in both.into_iter().cycle().take(20) {
            model.run_with(count(1000, 0.0), model.options().pin(at)).await?;
        }
        let running = fleet.health().await?.browsers;
        let fault = async |there: Target| {
            let process = running.iter().find_map(|of| (of.browser == there.browser).then_some(of.pid)?);
            let process = process.ok_or("the browser is not there")?;
            // The job is well on its way.
            tokio::time::sleep(Duration::from_millis(150)).await;
            let at = Instant::now();
            kill(process);
            Ok(at)
        };
        trials.extend(trial(&fleet, model.run(count(trips, 0.0)), fault).await?);
        whole_again(&fleet, 1).await?;
    }
    fleet.close().await?;
    Ok(trials)
}

async fn endless_runs() -> Result<Vec<f64>, Failed> {
    let folder = tempfile::tempdir()?;
    let fleet = Fleet::builder().targets([target("chrome/wasm")]).launch().await?;
    let (model, _) = counting_on(&fleet, &folder).await?;
    let limit = Duration::from_millis(500);
    let mut times = Vec::new();
    for _ in 0..ENDLESS_RUNS {
        let endless = model.options().attempt_timeout(limit).attempts(1);
        let started = Instant::now();
        if model.run_with(count(ENDLESS, 1.0), endless).await.is_ok() {
            return Err("what never ends has ended".into());
        }
        model.run(count(1, 1.0)).await?;
        times.push(ms(started.elapsed()) - ms(limit));
    }
    fleet.close().await?;
    Ok(times)
}
