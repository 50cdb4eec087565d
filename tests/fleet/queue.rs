//! The queue as callers meet it: who goes first, who is refused, what cancelling does, and what a result says of its
//! placement.

use crate::{
    fleets::{Events, PATIENCE, builder, launched, started, target},
    models::{self, ENDLESS, count, counting},
    processes::within,
};
use std::time::Duration;
use tabfleet::{
    fleet::{Fleet, FleetConfig, Model, ModelSpec},
    types::{Caller, Cause, EventKind, JobId, Priority},
};

/// The model and the folder of its file, from which a tab fetches it.
async fn counting_on(fleet: &Fleet) -> (Model, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    (fleet.get_model(ModelSpec::onnx(path)).await.unwrap(), folder)
}

/// The jobs in the order in which tabs were given them.
fn started_in_order(events: &mut Events) -> Vec<JobId> {
    let started = events.so_far().into_iter().filter_map(|kind| match kind {
        EventKind::AttemptStarted { job, .. } => Some(job),
        _ => None,
    });
    started.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matters_most_goes_first_and_callers_take_turns() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    // However long the first one takes, nobody's age counts.
    let one_at_a_time = |config: &mut FleetConfig| {
        (config.policy.in_flight_per_tab, config.policy.aged_after) = (1, 10 * PATIENCE);
    };
    let fleet = builder.configure(one_at_a_time).launch().await.unwrap();
    let (model, _folder) = counting_on(&fleet).await;
    model.run(count(1, 1.0)).await.unwrap();
    let mut events = Events::of(&fleet);
    let submit =
        |priority, caller| model.try_submit(count(1, 1.0), model.options().priority(priority).caller(caller)).unwrap();
    let (one, other) = (Caller::new(1), Caller::new(1));
    // The tab is kept busy until all the others wait.
    let first = model.try_submit(count(2_000_000, 1.0), model.options()).unwrap();
    started(&mut events).await;
    let low = submit(Priority::Low, one);
    let of_one = [0; 3].map(|_| submit(Priority::Normal, one));
    let of_other = submit(Priority::Normal, other);
    let critical = submit(Priority::Critical, one);
    let expected = [&critical, &of_one[0], &of_other, &of_one[1], &of_one[2], &low].map(|handle| handle.id());
    first.await.unwrap();
    for handle in of_one.into_iter().chain([low, of_other, critical]) {
        within(PATIENCE, "an answer", handle).await.unwrap();
    }
    assert_eq!(started_in_order(&mut events), expected);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_what_matters_less_first_and_says_when_to_come_again() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.configure(|config| config.queue_limit = 10).launch().await.unwrap();
    let (model, _folder) = counting_on(&fleet).await;
    let endless = |priority| model.try_submit(count(ENDLESS, 1.0), model.options().priority(priority));
    let held: Vec<_> = (0..8).map(|_| endless(Priority::Low).unwrap()).collect();
    let refused = endless(Priority::Low).map(|handle| handle.id()).unwrap_err();
    assert_eq!(refused.failure.cause, Cause::QueueFull, "{refused}");
    let overload = refused.overload.unwrap();
    assert_eq!((overload.jobs, overload.expected_wait), (8, None), "no job has ended yet");
    assert_eq!(overload.retry_after, Duration::from_secs(1));
    let waiting = model.run_with(count(1, 1.0), model.options().priority(Priority::Low)).await.unwrap_err();
    assert_eq!(waiting.failure.cause, Cause::QueueFull, "it does not wait: {waiting}");
    let normal = endless(Priority::Normal).unwrap();
    assert!(endless(Priority::Normal).is_err(), "nine of ten");
    let critical = endless(Priority::Critical).unwrap();
    assert!(endless(Priority::Critical).is_err(), "it is full");
    drop((held, normal, critical));
    assert!(model.run(count(1, 1.0)).await.is_ok(), "there is room again");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_where_it_waits_and_where_it_runs_and_what_it_did_is_stopped() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet).await;
    let mut events = Events::of(&fleet);
    let submit = |trips| model.try_submit(count(trips, 1.0), model.options()).unwrap();
    let running = submit(ENDLESS);
    started(&mut events).await;
    let (waiting, next) = (submit(ENDLESS), submit(3));
    running.cancel();
    waiting.cancel();
    for cancelled in [running, waiting] {
        let error = within(PATIENCE, "the job's end", cancelled).await.unwrap_err();
        assert_eq!(error.failure.cause, Cause::Cancelled, "{error}");
    }
    // Their deadlines are minutes away: the tab is free because they were stopped.
    let output = within(PATIENCE / 2, "the next answer", next).await.unwrap();
    assert_eq!(output.failed_attempts, [], "nothing was held against it");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_says_why_it_ran_where_it_did() {
    let Some(fleet) = launched(&["chrome/wasm", "firefox/wasm"]).await else { return };
    let (model, _folder) = counting_on(&fleet).await;
    for name in ["chrome/wasm", "firefox/wasm"] {
        for _ in 0..8 {
            model.run_with(count(1000, 1.0), model.options().pin(target(name))).await.unwrap();
        }
    }
    let output = model.run(count(1000, 1.0)).await.unwrap();
    let placement = output.provenance.browser().unwrap().placement;
    assert_eq!((placement.prior, placement.loaded, placement.candidates), (1.0, 1.0, 2), "{placement}");
    let (other, score) = placement.next_best.unwrap();
    assert!(other != output.provenance.browser().unwrap().target && score <= placement.score(), "{placement}");
    assert!(placement.expected_ms.is_some_and(|ms| ms > 0.0), "{placement}");
    fleet.close().await.unwrap();
}
