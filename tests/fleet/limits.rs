//! Limits of jobs under way: of a model, of a browser, of a tab; the deadline, which stops what is under way; and how much
//! a message carries.

use crate::{
    fleets::{Events, builder, launched, started, with_tabs},
    models::{self, ENDLESS, count, counting},
};
use futures::future::join_all;
use std::time::Duration;
use tabfleet::{
    fleet::{Fleet, JobError, Model, ModelSpec},
    types::{Category, Cause, Dtype, EventKind, Tensor},
};

const A_MOMENT: Duration = Duration::from_millis(500);

async fn counting_on(fleet: &Fleet, change: impl FnOnce(ModelSpec) -> ModelSpec) -> (Model, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    (fleet.get_model(change(ModelSpec::onnx(path))).await.unwrap(), folder)
}

/// While a job holds the only place: another one that waits a moment is told which limit it met, and what would help.
#[track_caller]
fn met(error: &JobError, cause: Cause, words: &str) {
    assert_eq!((error.failure.cause, error.failure.category()), (cause, Category::Resource), "{error}");
    let message = &error.failure.message;
    assert!(message.contains(words) && message.contains("queue_timeout"), "{message}");
    assert_eq!(error.attempts, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_jobs_wait_for_each_other_and_no_other_models() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet, |spec| spec.concurrency(1)).await;
    let mut events = Events::of(&fleet);
    let first = model.submit(count(ENDLESS, 1.0), model.options()).await.unwrap();
    started(&mut events).await;
    let hasty = model.run_with(count(1, 1.0), model.options().queue_timeout(A_MOMENT)).await.unwrap_err();
    met(&hasty, Cause::ModelLimit, "limit of 1 jobs under way");
    let at_once = model.try_submit(count(1, 1.0), model.options()).map(|handle| handle.id()).unwrap_err();
    met(&at_once, Cause::ModelLimit, "ModelSpec::concurrency");
    let second = model.run(count(2, 1.0));
    let after = async {
        first.cancel();
        first.await.unwrap_err().failure.cause
    };
    let (second, first) = tokio::join!(second, after);
    assert_eq!(first, Cause::Cancelled);
    assert_eq!(second.unwrap().get("y").unwrap().to_vec::<f32>().unwrap(), [2.0]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_tabs_share_its_limit() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder.configure(|config| config.policy.in_flight_per_browser = Some(1)), 2).await;
    let (model, _folder) = counting_on(&fleet, |spec| spec).await;
    let mut events = Events::of(&fleet);
    for result in join_all((1..=12).map(|n| model.run(count(n, 1.0)))).await {
        result.unwrap();
    }
    let mut under_way = 0;
    for event in events.so_far() {
        match event {
            EventKind::AttemptStarted { .. } => under_way += 1,
            EventKind::AttemptSucceeded { .. } => under_way -= 1,
            _ => {}
        }
        assert!(under_way <= 1);
    }
    let first = model.submit(count(ENDLESS, 1.0), model.options()).await.unwrap();
    started(&mut events).await;
    let hasty = model.run_with(count(1, 1.0), model.options().queue_timeout(A_MOMENT)).await.unwrap_err();
    met(&hasty, Cause::BrowserLimit, "in_flight_per_browser");
    drop(first);
    assert!(model.run(count(1, 1.0)).await.is_ok(), "there is room again");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_tab_takes_in_time_is_told_so() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.configure(|config| {
        (config.policy.in_flight_per_tab, config.queue_timeout) = (1, Some(A_MOMENT));
        config.policy.canary = false;
    });
    let fleet = fleet.launch().await.unwrap();
    let (model, _folder) = counting_on(&fleet, |spec| spec).await;
    let mut events = Events::of(&fleet);
    let first = model.submit(count(ENDLESS, 1.0), model.options()).await.unwrap();
    started(&mut events).await;
    met(&model.run(count(1, 1.0)).await.unwrap_err(), Cause::TabLimit, "open more tabs");
    drop(first);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_deadline_ends_its_worker_and_those_behind_it_run_again() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet, |spec| spec).await;
    let tab = model.run(count(1, 1.0)).await.unwrap().provenance.browser().unwrap().tab;
    let mut events = Events::of(&fleet);
    let late = model.options().deadline(Duration::from_secs(2));
    let others = async {
        started(&mut events).await;
        join_all((1..=5).map(|n| model.run(count(n, 1.0)))).await
    };
    let (late, others) = tokio::join!(model.run_with(count(ENDLESS, 1.0), late), others);
    assert_eq!(late.unwrap_err().failure.cause, Cause::DeadlineExceeded);
    for (n, other) in (1..=5).zip(others) {
        let other = other.unwrap();
        assert_eq!(other.get("y").unwrap().to_vec::<f32>().unwrap(), [n as f32]);
        assert_eq!((other.provenance.browser().unwrap().tab, other.failed_attempts.len()), (tab, 0));
    }
    let fresh = |event: &EventKind| matches!(event, EventKind::TabReady { tab: ready, .. } if *ready == tab);
    assert!(events.so_far().iter().any(fresh), "a fresh worker answered them");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_message_carries_ends_its_job_and_nothing_else() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.configure(|config| config.max_frame_bytes = 1 << 20).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "zeros.onnx", &models::zeros());
    let zeros = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let path = models::save(folder.path(), "negative.onnx", &models::unary("Neg", Dtype::Float32, 1));
    let negative = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let count = |count: i64| [("count", Tensor::from_values([1], &[count]).unwrap())];

    let tab = zeros.run(count(1000)).await.unwrap().provenance.browser().unwrap().tab;
    let error = zeros.run(count(1 << 20)).await.unwrap_err();
    assert_eq!((error.failure.cause, error.attempts.len()), (Cause::BadInput, 1), "{error}");
    assert!(error.failure.message.contains("ask for fewer outputs"), "{error}");
    let error = negative.run([("x", Tensor::from_values([1 << 20], &[1.0_f32; 1 << 20]).unwrap())]).await.unwrap_err();
    assert_eq!((error.failure.cause, error.attempts.len()), (Cause::BadInput, 0), "{error}");
    assert!(error.failure.message.contains("FleetConfig::max_frame_bytes"), "{error}");
    let output = zeros.run(count(1000)).await.unwrap();
    assert_eq!(output.provenance.browser().unwrap().tab, tab, "the tab goes on");
    assert_eq!(output.timings.create_ms, None, "and its worker");
    fleet.close().await.unwrap();
}
