//! How calls end that do not end well: refused, out of time, given up, or cut short by the fleet's own end.

use crate::{
    fleets::{Events, PATIENCE, builder, launched, started},
    models::{self, ENDLESS, count, counting},
    processes::{Remains, within},
};
use std::time::{Duration, Instant};
use tabfleet::{
    fleet::{Fleet, FleetError, Model, ModelSpec},
    types::{Category, Cause, Dtype, EventKind, Tensor},
};

/// The model and the folder of its file, from which a tab fetches it.
async fn counting_on(fleet: &Fleet) -> (Model, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    (fleet.get_model(ModelSpec::onnx(path)).await.unwrap(), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_inputs_are_refused_before_anything_is_sent() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet).await;
    let mut events = Events::of(&fleet);
    let x = || Tensor::from_values([1], &[1.0_f32]).unwrap();
    let long = Tensor::from_values([2], &[1.0_f32, 2.0]).unwrap();
    let refused = [
        (vec![("x", x())], "missing: `trips`; the model's inputs are `trips`, `x`"),
        (vec![("trips", Tensor::scalar(1_i64)), ("x", x()), ("z", x())], "unknown or given twice: `z`"),
        (vec![("trips", Tensor::scalar(1.0_f32)), ("x", x())], "input `trips` takes int64, and float32 was given"),
        (vec![("trips", Tensor::scalar(1_i64)), ("x", long)], "input `x` takes shape [1], and [2] was given"),
    ];
    for (inputs, words) in refused {
        let error = model.run(inputs).await.unwrap_err();
        assert_eq!((error.failure.cause, error.failure.category()), (Cause::BadInput, Category::Inference));
        assert!(error.failure.message.contains(words), "{error}");
        assert_eq!(error.attempts, []);
    }
    let two = models::unary("Identity", Dtype::Float32, 2);
    let folder = tempfile::tempdir().unwrap();
    let two = fleet.get_model(ModelSpec::onnx(models::save(folder.path(), "two.onnx", &two))).await.unwrap();
    let error = two.run([("x", x())]).await.unwrap_err();
    assert!(error.failure.message.contains("input `x` takes shape [a, b], and [1] was given"), "{error}");
    assert!(events.so_far().is_empty(), "something was queued");
    fleet.close().await.unwrap();
}

/// The browser must not remember that it was gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_file_that_is_back_is_fetched_again() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, folder) = counting_on(&fleet).await;
    let (path, aside) = (folder.path().join("counting.onnx"), folder.path().join("aside.onnx"));
    std::fs::rename(&path, &aside).unwrap();
    let error = model.run_with(count(3, 1.0), model.options().attempts(1)).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::ModelDownload, "{error}");
    assert!(error.failure.message.ends_with("HTTP 410 Gone"), "{error}");
    std::fs::rename(&aside, &path).unwrap();
    let output = model.run(count(3, 1.0)).await.unwrap();
    assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [3.0]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_job_wherever_it_is() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet).await;
    let deadline = Duration::from_secs(2);
    let before = Instant::now();
    // The first runs, the second waits behind it.
    let jobs = (0..2).map(|_| model.run_with(count(ENDLESS, 1.0), model.options().deadline(deadline)));
    for result in futures::future::join_all(jobs).await {
        let failure = result.unwrap_err().failure;
        assert_eq!((failure.cause, failure.category()), (Cause::DeadlineExceeded, Category::Timeout), "{failure}");
    }
    assert!((deadline..PATIENCE).contains(&before.elapsed()), "{:?}", before.elapsed());
    // Nothing of the endless runs is left in the way of the next.
    assert!(model.run(count(3, 1.0)).await.is_ok());
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_callers_wait_and_tells_those_who_cannot() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.configure(|config| config.queue_limit = 2).launch().await.unwrap();
    let (model, _folder) = counting_on(&fleet).await;
    model.run(count(1, 1.0)).await.unwrap();
    let mut events = Events::of(&fleet);
    let ending = || model.run_with(count(ENDLESS, 1.0), model.options().deadline(Duration::from_secs(4)).attempts(1));
    let fill = async { tokio::join!(ending(), ending()) };
    let others = async {
        started(&mut events).await;
        let hasty = model.run_with(count(1, 1.0), model.options().deadline(Duration::from_millis(500)));
        let patient = model.run(count(4, 1.0));
        tokio::join!(hasty, patient)
    };
    let ((first, second), (hasty, patient)) = tokio::join!(fill, others);
    for ended in [first, second] {
        assert_eq!(ended.unwrap_err().failure.cause, Cause::DeadlineExceeded);
    }
    let hasty = hasty.unwrap_err();
    assert_eq!((hasty.failure.cause, hasty.failure.category()), (Cause::QueueFull, Category::Resource));
    assert_eq!(patient.unwrap().get("y").unwrap().to_vec::<f32>().unwrap(), [4.0]);
    // The hasty job was never in the queue.
    let queued = events.so_far().iter().filter(|kind| matches!(kind, EventKind::JobQueued { .. })).count();
    assert!(queued <= 2, "{queued}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_is_a_cancelled_job() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet).await;
    let mut events = Events::of(&fleet);
    tokio::select! {
        result = model.run(count(ENDLESS, 1.0)) => panic!("it ended: {result:?}"),
        _ = started(&mut events) => {}
    }
    let cancelled = |kind: &EventKind| match kind {
        EventKind::JobEnded { failure, .. } => Some(failure.clone()),
        _ => None,
    };
    let failure = events.next("the job's end", cancelled).await.unwrap();
    assert_eq!((failure.cause, failure.category()), (Cause::Cancelled, Category::System));
    // The tab is still at it; its worker is ended so that the next job can run.
    assert_eq!(model.run(count(2, 1.5)).await.unwrap().get("y").unwrap().to_vec::<f32>().unwrap(), [3.0]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_jobs_with_an_error_and_leaves_nothing() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet).await;
    let remains = Remains::of_process(fleet.processes().await.unwrap()[0].1);
    let mut events = Events::of(&fleet);
    let jobs = futures::future::join_all((0..3).map(|_| model.run(count(ENDLESS, 1.0))));
    let close = async {
        started(&mut events).await;
        within(PATIENCE, "the fleet's end", fleet.close()).await.unwrap();
        assert!(remains.nothing(), "{:?}", remains.processes());
    };
    let (results, ()) = tokio::join!(jobs, close);
    for result in results {
        let failure = result.unwrap_err().failure;
        assert_eq!((failure.cause, failure.category()), (Cause::FleetClosed, Category::System), "{failure}");
    }
    let error = model.run(count(1, 1.0)).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::FleetClosed);
    assert!(matches!(fleet.targets().await, Err(FleetError::Closed)));
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_is_dropped_leaves_nothing() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let remains = Remains::of_process(fleet.processes().await.unwrap()[0].1);
    drop(fleet);
    crate::processes::until(PATIENCE, "its browser to end", || remains.nothing()).await;
}
