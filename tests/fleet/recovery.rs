//! What keeps a fleet answering rightly while something of it is unwell: heartbeats, canaries, breakers, memory limits.

use crate::{
    fleets::{Events, PATIENCE, builder, builtin, launched, started, target},
    models::{self, ENDLESS, count, counting},
    processes::{descendants, kill, stop, until},
};
use bytes::Bytes;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tabfleet::{
    fleet::{Canary, Fleet, FleetConfig, FleetError, Model, ModelSpec},
    onnx::Tolerance,
    schedule::{BreakerPolicy, MemoryLimits},
    types::{BreakerState, Browser, Category, Cause, Dtype, EventKind, FleetHealth, HealthLevel, Strategy, Tensor},
};

async fn counting_on(fleet: &Fleet, folder: &tempfile::TempDir) -> Model {
    let path = models::save(folder.path(), "counting.onnx", &counting());
    fleet.get_model(ModelSpec::onnx(path)).await.unwrap()
}

/// Heartbeats often enough for a test, and patient enough for a busy machine.
fn beating(config: &mut FleetConfig) {
    config.policy.heartbeat_interval = Duration::from_millis(200);
    config.policy.heartbeat_timeout = Duration::from_secs(2);
}

/// How many rows of the history of a closed fleet there are, as its query tells.
fn recorded(history: &Path, rows: &str) -> u64 {
    let history = duckdb::Connection::open(history).unwrap();
    history.query_row(&format!("SELECT count(*) FROM {rows}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_hangs_is_restarted_and_its_job_answered_elsewhere() {
    let Some(builder) = builder(&["chrome/wasm", "firefox/wasm"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.duckdb");
    let fleet = builder.configure(beating).history(&history).launch().await.unwrap();
    let model = counting_on(&fleet, &folder).await;
    let here = model.options().pin(target("chrome/wasm"));
    model.run_with(count(1, 1.0), here).await.unwrap();
    let processes = fleet.processes().await.unwrap();
    let targets = fleet.health().await.unwrap().browsers;
    let chrome = targets.iter().find(|browser| browser.browser == Browser::Chrome).unwrap().id;
    let pid = processes.iter().find(|(id, _)| *id == chrome).unwrap().1;
    let mut events = Events::of(&fleet);
    // Only Chrome is given it at first, since it stands still before it could answer.
    let job = model.run_with(count(ENDLESS, 1.0), model.options().pin(target("chrome/wasm")).attempts(1));
    let hanging = async {
        started(&mut events).await;
        stop(pid);
        let stopped = Instant::now();
        let missed = |kind: &EventKind| match kind {
            EventKind::AttemptFailed { failure, .. } => Some(failure.clone()),
            _ => None,
        };
        let failure = events.next("the missed heartbeats", missed).await;
        println!("noticed after {:?}: {failure}", stopped.elapsed());
        failure
    };
    let (ended, failure) = tokio::join!(job, hanging);
    assert_eq!((failure.cause, failure.category()), (Cause::HeartbeatMissed, Category::HealthCheck));
    assert_eq!(ended.unwrap_err().failure.cause, Cause::HeartbeatMissed);
    // The others never noticed, and Chrome comes back.
    assert_eq!(model.run(count(2, 1.0)).await.unwrap().get("y").unwrap().to_vec::<f32>().unwrap(), [2.0]);
    let again = model.run_with(count(3, 1.0), model.options().pin(target("chrome/wasm"))).await.unwrap();
    assert_ne!(again.provenance.browser().unwrap().browser_id, chrome);
    until(PATIENCE, "the one that hung to be gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists()).await;
    let health = fleet.health().await.unwrap();
    let record = health.recoveries.iter().find(|record| record.strategy == Strategy::RestartBrowser).unwrap();
    assert_eq!((record.browser, record.category, record.tried), (Browser::Chrome, Category::HealthCheck, 1));
    assert_eq!(record.succeeded, 1);
    fleet.close().await.unwrap();
    let restarts = "recoveries WHERE browser = 'chrome' AND cause = 'heartbeat-missed' AND elapsed_ms > 0 \
                    AND strategy = 'restart-browser' AND succeeded";
    assert_eq!(recorded(&history, restarts), 1);
}

/// A runtime that doubles its input, but in Firefox triples it: a browser whose arithmetic is broken.
const BROKEN_IN_FIREFOX: &str = r#"
class Doubling {
    name = "doubling";
    version = "1.0.0";
    factor = navigator.userAgent.includes("Firefox") ? 3 : 2;
    async start() { return { adapter: null, webnnDevice: null, threads: null } }
    async load() { return { inputs: ["x"], outputs: ["y"], cpuFallback: null, createMs: 0 } }
    async run(session, [x]) {
        const data = Float32Array.from(x.data, (value) => value * this.factor);
        return { outputs: [{ name: "y", dtype: "float32", shape: x.shape, data }], runMs: 0, readbackMs: null };
    }
    async release() {}
}
export default () => new Doubling();
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_computes_wrongly_is_found_out_and_gets_no_more_jobs() {
    let Some(builder) = builder(&["chrome/wasm", "firefox/wasm"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("doubling.js");
    std::fs::write(&module, BROKEN_IN_FIREFOX).unwrap();
    let file = folder.path().join("double.model");
    std::fs::write(&file, "double").unwrap();
    let tensor = |values: &[f32]| Tensor::from_values([values.len()], values).unwrap();
    let canary = Canary {
        model: Bytes::from_static(b"double"),
        inputs: vec![("x".to_owned(), tensor(&[1.0, 2.0]))],
        expected: vec![("y".to_owned(), tensor(&[2.0, 4.0]))],
        tolerance: Tolerance::default(),
    };
    let history = folder.path().join("history.duckdb");
    let fleet = builder.custom_runtime(module).canary(canary).history(&history).configure(|config| {
        beating(config);
        config.policy.health_check_interval = Duration::from_millis(500);
    });
    let fleet = fleet.launch().await.unwrap();
    let mut events = Events::of(&fleet);
    let opened = |kind: &EventKind| match kind {
        EventKind::BreakerChanged { target, model: None, to: BreakerState::Open, reason, .. } => {
            Some((*target, reason.clone()))
        }
        _ => None,
    };
    let (wrong, reason) = events.next("the breaker to open", opened).await;
    assert_eq!(wrong, target("firefox/wasm"));
    assert!(reason.contains("answered wrongly"), "{reason}");
    // Audio models prefer Firefox; nothing prefers a wrong answer.
    let spec = ModelSpec::opaque(&file).family(tabfleet::types::Family::Audio);
    let model = fleet.get_model(spec).await.unwrap();
    for n in 0..20 {
        let output = model.run([("x", tensor(&[n as f32]))]).await.unwrap();
        assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [2.0 * n as f32]);
        assert_eq!(output.provenance.browser().unwrap().target, target("chrome/wasm"));
    }
    let health = fleet.health().await.unwrap();
    let of = |name: &str| health.targets.iter().find(|of| of.target == target(name)).unwrap();
    assert_eq!(of("firefox/wasm").health.level, HealthLevel::Critical);
    assert_eq!(of("chrome/wasm").health.level, HealthLevel::Healthy);
    fleet.close().await.unwrap();
    let opened = "breaker_events WHERE target = 'firefox/wasm' AND model IS NULL AND to_state = 'open' AND wait_ms > 0";
    assert_ne!(recorded(&history, opened), 0);
    let wrong = "health_checks WHERE target = 'firefox/wasm' AND NOT success AND cause = 'wrong-output'";
    assert_ne!(recorded(&history, wrong), 0);
    assert_ne!(recorded(&history, "health_checks WHERE target = 'chrome/wasm' AND success"), 0);
    assert_eq!(recorded(&history, "health_checks WHERE target = 'chrome/wasm' AND cause = 'wrong-output'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_a_target_cannot_run_is_turned_away_there_and_nothing_else_is() {
    let Some(fleet) = launched(&["chrome/wasm", "firefox/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let unknown = models::unary("NoSuchOperator", Dtype::Float32, 1);
    let unknown = models::save(folder.path(), "unknown.onnx", &unknown);
    let unknown = fleet.get_model(ModelSpec::onnx(unknown)).await.unwrap();
    let x = || vec![("x".to_owned(), Tensor::from_values([1], &[1.0_f32]).unwrap())];
    let here = || unknown.options().pin(target("chrome/wasm"));
    let minimum = BreakerPolicy::of(Browser::Chrome).for_one_model().minimum_number_of_calls;
    for _ in 0..minimum {
        assert_eq!(unknown.run_with(x(), here()).await.unwrap_err().failure.cause, Cause::ModelLoad);
    }
    let health = fleet.health().await.unwrap();
    let [of] = &health.models[..] else { panic!("{:?}", health.models) };
    assert_eq!(
        (of.target, of.model.as_str(), of.breaker.state),
        (target("chrome/wasm"), "unknown", BreakerState::Open)
    );
    let chrome = health.targets.iter().find(|of| of.target == target("chrome/wasm")).unwrap();
    assert_eq!((chrome.breaker.state, chrome.health.level), (BreakerState::Closed, HealthLevel::Healthy));
    // Where it may go elsewhere, it does; and Chrome runs the rest.
    let error = unknown.run(x()).await.unwrap_err();
    assert_eq!(error.attempts[0].target, target("firefox/wasm"), "{error}");
    let (mlp, case) = builtin(&fleet, "mlp").await;
    mlp.run_with(case.sets[0].0.clone(), mlp.options().pin(target("chrome/wasm"))).await.unwrap();
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_is_killed_costs_its_browser_and_no_job() {
    let Some(fleet) = launched(&["firefox/wasm", "chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let driver = descendants(std::process::id()).into_iter().find(|(pid, command)| {
        command.contains("geckodriver") && {
            let ours: Vec<u32> = descendants(*pid).into_iter().map(|(pid, _)| pid).collect();
            // Other tests run theirs at the same time.
            futures::executor::block_on(fleet.processes()).unwrap().iter().any(|(_, browser)| ours.contains(browser))
        }
    });
    let mut events = Events::of(&fleet);
    kill(driver.expect("its driver").0);
    let ended = |kind: &EventKind| match kind {
        EventKind::BrowserEnded { failure: Some(failure), .. } => Some(failure.clone()),
        _ => None,
    };
    let failure = events.next("the driver's end", ended).await;
    assert_eq!((failure.cause, failure.category()), (Cause::DriverExited, Category::Session), "{failure}");
    let outputs = futures::future::join_all((1..=8).map(|n| model.run(count(n, 1.0)))).await;
    for (n, output) in (1..=8).zip(outputs) {
        assert_eq!(output.unwrap().get("y").unwrap().to_vec::<f32>().unwrap(), [n as f32]);
    }
    // It is launched again, with a driver of its own.
    model.run_with(count(1, 1.0), model.options().pin(target("firefox/wasm"))).await.unwrap();
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_runs_out_costs_the_worker_and_too_much_of_it_is_given_back() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.configure(|config| {
        beating(config);
        config.policy.tab_memory = MemoryLimits { soft: 400 << 20, hard: 3 << 30 };
    });
    let fleet = fleet.launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "expand.onnx", &models::expanding());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let first = model.run(models::expand(10)).await.unwrap();
    // More than WASM can ever address.
    let error = model.run_with(models::expand(3 << 29), model.options().attempts(1)).await.unwrap_err();
    assert_eq!((error.failure.cause, error.failure.category()), (Cause::OutOfMemory, Category::Resource), "{error}");
    let next = model.run(models::expand(10)).await.unwrap();
    assert_eq!(
        next.provenance.browser().unwrap().tab,
        first.provenance.browser().unwrap().tab,
        "a fresh worker is enough"
    );

    // 600 MB that it can have, but is not to keep: WASM memory never shrinks.
    let mut events = Events::of(&fleet);
    model.run(models::expand(150 << 20)).await.unwrap();
    let recycled = |kind: &EventKind| match kind {
        EventKind::Recovery { failure, strategy, .. } if failure.cause == Cause::MemoryLimit => {
            Some((failure.clone(), *strategy))
        }
        _ => None,
    };
    let (failure, strategy) = events.next("the worker to be recycled", recycled).await;
    assert_eq!(strategy, Strategy::RestartWorker);
    assert!(failure.message.contains("the soft limit is 419430400"), "{failure}");
    model.run(models::expand(10)).await.unwrap();
    let shrunk = || {
        let health = futures::executor::block_on(fleet.health()).unwrap();
        health.tabs[0].heap_bytes.is_some_and(|bytes| bytes < 400 << 20)
    };
    until(PATIENCE, "its memory to be small again", shrunk).await;
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_of_everything_that_runs() {
    let Some(builder) = builder(&["chrome/wasm", "firefox/wasm"]) else { return };
    let fleet = builder.tabs_per_browser(2).configure(|config| {
        beating(config);
        config.policy.health_check_interval = Duration::from_millis(300);
    });
    let fleet = fleet.launch().await.unwrap();
    let all_measured = || {
        let health = futures::executor::block_on(fleet.health()).unwrap();
        health.browsers.len() == 2
            && health.browsers.iter().all(|of| of.memory_bytes.is_some() && of.heartbeat_ms.is_some())
            && health.tabs.iter().all(|of| of.heap_bytes.is_some() && of.heartbeat_ms.is_some())
    };
    until(PATIENCE, "heartbeats and memory of all", all_measured).await;
    let health = fleet.health().await.unwrap();
    assert_eq!((health.targets.len(), health.tabs.len()), (2, 4));
    assert!(health.targets.iter().all(|of| of.health.score > 80.0 && of.ready_tabs == 2));
    assert!(health.browsers.iter().all(|of| of.memory_bytes.is_some_and(|bytes| bytes > 50 << 20)));
    assert!(health.tabs.iter().all(|of| of.health.terms.len() == 6));
    let again: FleetHealth = serde_json::from_str(&serde_json::to_string(&health).unwrap()).unwrap();
    assert_eq!((again.at, again.tabs.len()), (health.at, 4), "it comes back from JSON as it went");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_used_is_refused_before_anything_starts() {
    let fleet = Fleet::builder().targets([target("chrome/wasm")]).configure(|config| {
        let breaker = BreakerPolicy { sliding_window_size: 2, ..BreakerPolicy::of(Browser::Chrome) };
        config.policy.breakers.insert(Browser::Chrome, breaker);
    });
    let Err(FleetError::Policy(error)) = fleet.launch().await else { panic!("it was launched") };
    assert_eq!(
        error.to_string(),
        "breakers.chrome.sliding_window_size is 2, but must be at least minimum_number_of_calls, 5"
    );
}
