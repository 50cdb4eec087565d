//! Jobs that no browser can take and that have leave to run in the fleet's own process.

use crate::{
    fleets::{Events, PATIENCE, are_here, builder, builtin, target},
    models::{self, ENDLESS, count, counting},
    processes::{kill, within},
    unusable::catalogue_without,
};
use std::{path::Path, time::Duration};
use tabfleet::{
    browser::{Catalogue, Overrides},
    fleet::{Fleet, FleetBuilder, MetricName, Model, ModelSpec, Output},
    onnx::{LoadedCase, NamedTensor, Tolerance, compare},
    schedule::{BreakerPolicy, Fallback},
    types::{BreakerState, Browser, Cause, Dtype, EventKind, Provenance, Tensor},
};

/// A fleet on a machine without its browser.
fn without_browser(folder: &Path) -> FleetBuilder {
    let catalogue = catalogue_without(folder, &["browser", "chrome"], &["names", "places"]);
    Fleet::builder().targets([target("chrome/wasm")]).fallback(Fallback::Native).configure(|config| {
        config.browsers_file = Some(catalogue);
        config.overrides.binaries.clear();
    })
}

/// Runs natively, and tells why; the outputs are those expected.
#[track_caller]
fn ran_natively(output: &Output, expected: &[NamedTensor]) -> Cause {
    assert_eq!(compare(expected, &output.tensors, &Tolerance::default()).mismatch, None);
    assert_eq!(output.provenance.to_string(), "native");
    let Provenance::Native(run) = &output.provenance else { panic!("{:?}", output.provenance) };
    assert_eq!(run.runtime.name, "tract");
    assert!(output.timings.run_ms > 0.0 && output.timings.total_ms >= output.timings.run_ms);
    run.why.cause
}

async fn run(model: &Model, case: &LoadedCase) -> Output {
    model.run_with(case.sets[0].0.clone(), model.options().deadline(PATIENCE)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_browser_jobs_run_natively_and_are_counted_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.duckdb");
    let fleet = without_browser(folder.path()).history(&history).launch().await.unwrap();
    let mut events = Events::of(&fleet);
    for name in ["mlp", "bert-encoder", "mobilenet"] {
        let (model, case) = builtin(&fleet, name).await;
        let first = run(&model, &case).await;
        assert_eq!(ran_natively(&first, &case.sets[0].1), Cause::NoTarget);
        assert!(first.timings.create_ms.is_some() && first.timings.download_ms.is_none());
        assert_eq!(run(&model, &case).await.timings.create_ms, None, "it is loaded");
    }
    let metrics = fleet.metrics().await.unwrap();
    assert_eq!(metrics.get(MetricName::NativeRuns, &["result"]), Some(6.0));
    assert_eq!(metrics.get(MetricName::AttemptsSucceeded, &["chrome/wasm"]), None);
    fleet.close().await.unwrap();
    let told = events.so_far();
    let attempts = |kind: &&EventKind| matches!(kind, EventKind::AttemptSucceeded { .. });
    assert_eq!(told.iter().filter(attempts).count(), 0);
    let history = duckdb::Connection::open(&history).unwrap();
    let rows: u64 = history.query_row("SELECT count(*) FROM performance_results", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "no browser ran anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tract_cannot_run_ends_with_what_was_tried_and_what_tract_says() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = without_browser(folder.path()).launch().await.unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let error = model.run(count(2, 1.0)).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::NoTarget);
    let message = error.to_string();
    for words in ["chrome/wasm: no chrome was found", "and natively: tract cannot run it", "Loop"] {
        assert!(message.contains(words), "{message}");
    }
    let metrics = fleet.metrics().await.unwrap();
    assert_eq!(metrics.get(MetricName::NativeRuns, &["resource"]), Some(1.0), "{metrics}");
    // Without leave, and pinned, it is not even tried.
    for options in [model.options().fallback(Fallback::Off), model.options().pin(target("chrome/wasm"))] {
        let message = model.run_with(count(2, 1.0), options).await.unwrap_err().to_string();
        assert!(message.contains("no chrome was found") && !message.contains("tract"), "{message}");
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_taken_away_for_good_leaves_its_jobs_to_this_process() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("browser");
    let found = Catalogue::embedded().unwrap().find(Browser::Chrome, &Overrides::default().from_env()).unwrap();
    std::os::unix::fs::symlink(found.binary.expect("a program"), &program).unwrap();
    let builder = builder(&["chrome/wasm"]).expect("it is here").fallback(Fallback::Native);
    let fleet = builder.configure(|config| drop(config.overrides.binaries.insert(Browser::Chrome, program.clone())));
    let fleet = fleet.launch().await.unwrap();
    let (model, case) = builtin(&fleet, "mlp").await;
    let before = run(&model, &case).await;
    assert_eq!(before.provenance.browser().unwrap().target, target("chrome/wasm"));
    let mut events = Events::of(&fleet);
    std::fs::remove_file(&program).unwrap();
    kill(fleet.processes().await.unwrap()[0].1);
    let given_up = |kind: &EventKind| matches!(kind, EventKind::TargetUnavailable { .. }).then_some(());
    events.next("the target to be given up", given_up).await;
    assert_eq!(ran_natively(&run(&model, &case).await, &case.sets[0].1), Cause::NoTarget);
    let off = model.run_with(case.sets[0].0.clone(), model.options().fallback(Fallback::Off)).await.unwrap_err();
    assert_eq!(off.failure.cause, Cause::NoTarget);
    assert!(off.failure.message.contains("chrome/wasm: "), "{off}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_every_breaker_is_open_jobs_run_natively_unless_they_must_not() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.fallback(Fallback::Native).configure(|config| {
        let breaker = BreakerPolicy {
            minimum_number_of_calls: 1,
            sliding_window_size: 1,
            wait_duration_in_open_state: Duration::from_secs(300),
            ..BreakerPolicy::of(Browser::Chrome)
        };
        config.policy.breakers.insert(Browser::Chrome, breaker);
    });
    let fleet = fleet.launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let endless = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let mut events = Events::of(&fleet);
    let options = endless.options().pin(target("chrome/wasm")).attempts(1).attempt_timeout(Duration::from_millis(200));
    let late = endless.run_with(count(ENDLESS, 1.0), options).await.unwrap_err();
    assert_eq!(late.failure.cause, Cause::DeadlineExceeded);
    let opened = |kind: &EventKind| match kind {
        EventKind::BreakerChanged { model: None, to: BreakerState::Open, .. } => Some(()),
        _ => None,
    };
    events.next("the breaker to open", opened).await;
    let (model, case) = builtin(&fleet, "mlp").await;
    assert_eq!(ran_natively(&run(&model, &case).await, &case.sets[0].1), Cause::CircuitOpen);
    let options = model.options().fallback(Fallback::Off).deadline(PATIENCE);
    let here = model.run_with(case.sets[0].0.clone(), options).await.unwrap();
    assert_eq!(here.provenance.to_string(), "chrome/wasm", "one target is kept for whoever has nothing else");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_no_browser_can_load_runs_natively_with_the_attempt_told() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.fallback(Fallback::Native).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // ONNX has it for doubles, and ONNX Runtime Web does not.
    let path = models::save(folder.path(), "atan.onnx", &models::unary("Atan", Dtype::Float64, 1));
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let x = [("x", Tensor::from_values([2], &[0.0_f64, 1.0]).unwrap())];
    let output = model.run_with(x.clone(), model.options().deadline(PATIENCE)).await.unwrap();
    let expected = [("y".to_owned(), Tensor::from_values([2], &[0.0, std::f64::consts::FRAC_PI_4]).unwrap())];
    assert_eq!(ran_natively(&output, &expected), Cause::ModelLoad);
    assert_eq!(output.failed_attempts.len(), 1);
    let options = model.options().fallback(Fallback::Off).deadline(PATIENCE);
    let off = model.run_with(x, options).await.unwrap_err();
    assert_eq!((off.failure.cause, off.attempts.len()), (Cause::ModelLoad, 1), "{off}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_run_is_cancelled_late_or_ended_with_the_fleet_like_any_other_job() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = without_browser(folder.path()).launch().await.unwrap();
    let (model, case) = builtin(&fleet, "mobilenet").await;
    let mut jobs = Vec::new();
    for _ in 0..200 {
        jobs.push(model.submit(case.sets[0].0.clone(), model.options()).await.unwrap());
    }
    let late = model.options().deadline(Duration::from_millis(1));
    let late = model.run_with(case.sets[0].0.clone(), late).await.unwrap_err();
    assert_eq!(late.failure.cause, Cause::DeadlineExceeded);
    let last = jobs.pop().unwrap();
    last.cancel();
    assert_eq!(last.await.unwrap_err().failure.cause, Cause::Cancelled);
    within(PATIENCE, "the fleet's end", fleet.close()).await.unwrap();
    for job in jobs {
        if let Err(error) = job.await {
            assert_eq!(error.failure.cause, Cause::FleetClosed);
        }
    }
}
