//! What one job of a model plants, and which of the jobs after it find it.

use crate::fleets::{builder, builtin, with_tabs};
use std::path::Path;
use tabfleet::{
    fleet::{Fleet, Inputs, Model, ModelSpec, ModelSpecError, Shards},
    types::{Cause, Isolation},
};

/// A fleet of one tab whose runtime counts runs.
async fn counting() -> Option<(Fleet, tempfile::TempDir)> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/counter.js");
    let fleet = builder(&["chrome/wasm"])?.custom_runtime(module).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("counter"), "counts").unwrap();
    Some((fleet, folder))
}

async fn model(fleet: &Fleet, folder: &tempfile::TempDir, isolation: Isolation) -> Model {
    fleet.get_model(ModelSpec::opaque(folder.path().join("counter")).isolation(isolation)).await.unwrap()
}

/// How many runs before it a job finds in the module, in its session, and in the browser's store.
async fn found(model: &Model) -> [i32; 3] {
    let output = model.run(Inputs::default()).await.unwrap();
    assert_eq!(output.failed_attempts, []);
    ["module", "session", "stored"].map(|name| output.get(name).unwrap().to_vec::<i32>().unwrap()[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_plants_is_found_by_the_next_only_where_they_share_it() {
    let Some((fleet, folder)) = counting().await else { return };
    let shared = model(&fleet, &folder, Isolation::Shared).await;
    let fresh_session = model(&fleet, &folder, Isolation::FreshSession).await;
    let fresh_tab = model(&fleet, &folder, Isolation::FreshTab).await;
    assert_eq!(found(&shared).await, [0, 0, 0]);
    assert_eq!(found(&shared).await, [1, 1, 1]);
    assert_eq!(found(&fresh_session).await, [2, 0, 2], "the module is the worker's");
    assert_eq!(found(&fresh_session).await, [3, 0, 3]);
    // Neither what others planted nor what its own jobs did; but what the browser stores is the profile's.
    assert_eq!(found(&fresh_tab).await, [0, 0, 4]);
    assert_eq!(found(&fresh_tab).await, [0, 0, 5]);
    assert_eq!(found(&shared).await, [0, 0, 6], "and it leaves nothing");
    assert_eq!(found(&shared).await, [1, 1, 7]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_want_a_worker_to_themselves_and_jobs_that_share_are_all_answered() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/counter.js");
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder.custom_runtime(module), 2).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("counter"), "counts").unwrap();
    let shared = model(&fleet, &folder, Isolation::Shared).await;
    let fresh_tab = model(&fleet, &folder, Isolation::FreshTab).await;
    let jobs = (0..24).map(|job| (if job % 4 == 0 { &fresh_tab } else { &shared }, Inputs::default()));
    for (job, output) in fleet.execute_concurrent(jobs).await.into_iter().enumerate() {
        let output = output.unwrap();
        if job % 4 == 0 {
            assert_eq!(output.get("module").unwrap().to_vec::<i32>().unwrap(), [0], "job {job}");
        }
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_isolated_says_so() {
    let Some((fleet, folder)) = counting().await else { return };
    let model = model(&fleet, &folder, Isolation::FreshSession).await;
    let options = model.options().keep([("module", "x")]);
    let error = model.execute_in_session("s", Inputs::default(), options).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::BadInput);
    assert!(error.failure.message.contains("leave nothing behind (fresh-session)"), "{error}");
    let (_, case) = builtin(&fleet, "bert-encoder").await;
    let spec = ModelSpec::read(case.model.clone()).sharded(Shards::layers(2)).isolation(Isolation::FreshTab);
    let Err(error) = fleet.get_model(spec).await else { panic!("it was taken") };
    assert!(matches!(error, ModelSpecError::IsolatedStages { .. }), "{error}");
    fleet.close().await.unwrap();
}
