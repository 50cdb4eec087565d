//! Running models: right numbers from several browsers at once, and what comes with each.

use crate::{
    devtools::Page,
    fleets::{Events, builder, builtin, launched, target},
    models::{self, count, counting},
};
use std::time::Duration;
use tabfleet::{
    fleet::{Inputs, ModelSpec},
    history::History,
    onnx::{Tolerance, compare},
    types::{Backend, Category, Cause, Dtype, EventKind, Tensor},
};

#[tokio::test(flavor = "multi_thread")]
async fn two_models_run_in_two_browsers_with_right_numbers_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.duckdb");
    let Some(builder) = builder(&["chrome/wasm", "firefox/wasm"]) else { return };
    let fleet = builder.tabs_per_browser(2).history(&history).launch().await.unwrap();
    let (bert, bert_case) = builtin(&fleet, "bert-encoder").await;
    let (mlp, mlp_case) = builtin(&fleet, "mlp").await;

    // Twelve jobs of both models in turn, and in their midst one that no target can do.
    let broken = models::save(folder.path(), "broken.onnx", &models::unary("NoSuchOperator", Dtype::Float32, 1));
    let broken = fleet.get_model(ModelSpec::onnx(broken)).await.unwrap();
    let mut jobs: Vec<_> = (0..12)
        .map(|number| if number % 2 == 0 { (&bert, &bert_case) } else { (&mlp, &mlp_case) })
        .map(|(model, case)| (model, Inputs::from(case.sets[0].0.clone())))
        .collect();
    let x = Tensor::from_values([1], &[1.0_f32]).unwrap();
    jobs.insert(5, (&broken, Inputs::from([("x", x)])));
    let mut results = fleet.execute_concurrent(jobs).await;
    assert_eq!(results.len(), 13);
    let failed = results.remove(5).unwrap_err();
    assert_eq!((failed.failure.cause, failed.failure.category()), (Cause::ModelLoad, Category::Session));
    assert!(failed.failure.message.contains("NoSuchOperator"), "{failed}");
    // It was tried once on each target, for another target may have what the first one lacks.
    let mut tried: Vec<_> = failed.attempts.iter().map(|attempt| attempt.target.to_string()).collect();
    tried.sort();
    assert_eq!(tried, ["chrome/wasm", "firefox/wasm"]);

    for (number, result) in results.into_iter().enumerate() {
        let output = result.unwrap();
        let case = if number % 2 == 0 { &bert_case } else { &mlp_case };
        let comparison = compare(&case.sets[0].1, &output.tensors, &Tolerance::default());
        assert_eq!(comparison.mismatch, None, "job {number} on {}", output.provenance.browser().unwrap().target);
        assert_eq!(output.failed_attempts, []);
    }

    // Where the numbers came from, and where the time went.
    for (name, product) in [("chrome/wasm", "Chrom"), ("firefox/wasm", "irefox")] {
        let options = mlp.options().pin(target(name));
        let output = mlp.run_with(mlp_case.sets[0].0.clone(), options).await.unwrap();
        let (provenance, timings) = (output.provenance.browser().unwrap(), output.timings);
        assert_eq!((provenance.target, provenance.backend), (target(name), Backend::Wasm));
        let identity = provenance.info.identity.as_ref().unwrap();
        assert!(identity.product.contains(product) && identity.version.contains('.'), "{identity:?}");
        assert!(identity.headless && !identity.stand_in && !identity.driver.is_empty(), "{identity:?}");
        let runtime = provenance.info.runtime.as_ref().unwrap();
        assert!(runtime.name == "ONNX Runtime Web" && runtime.version.contains('.'), "{runtime:?}");
        assert!(provenance.info.threads.is_some_and(|threads| threads >= 1), "{provenance:?}");
        assert!(provenance.info.adapter.is_none() && provenance.info.available, "{provenance:?}");
        assert!(timings.run_ms > 0.0 && timings.wire_ms > 0.0 && timings.queue_ms >= 0.0, "{timings:?}");
        assert!(timings.total_ms >= timings.queue_ms + timings.run_ms + timings.wire_ms - 1.0, "{timings:?}");
    }
    fleet.close().await.unwrap();

    let runs = History::open(&history).unwrap().runs().unwrap();
    assert_eq!(runs.len(), 1);
    assert!(runs[0].ended.is_some(), "{runs:?}");
    assert_eq!((runs[0].attempts, runs[0].failures, runs[0].rows_lost), (16, 2, Some(0)), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_loaded_once_and_its_outputs_can_be_chosen() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (bert, case) = builtin(&fleet, "bert-encoder").await;
    let inputs = &case.sets[0].0;
    let first = bert.run(inputs.clone()).await.unwrap();
    assert!(first.timings.create_ms.is_some_and(|ms| ms > 0.0), "{:?}", first.timings);
    assert!(first.timings.download_ms.is_some_and(|ms| ms > 0.0), "{:?}", first.timings);
    let wanted = case.model.outputs[1].name.clone();
    let second = bert.run_with(inputs.clone(), bert.options().outputs([wanted.clone()])).await.unwrap();
    assert_eq!((second.timings.create_ms, second.timings.download_ms), (None, None), "it was loaded already");
    assert_eq!(second.tensors.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&wanted]);
    assert_eq!(second.get(&wanted), first.get(&wanted));
    // With its session dropped, the next run loads it again.
    bert.run_with(inputs.clone(), bert.options().release_session()).await.unwrap();
    assert!(bert.run(inputs.clone()).await.unwrap().timings.create_ms.is_some());
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_order() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(model)).await.unwrap();
    let mut events = Events::of(&fleet);
    let output = model.run(count(5, 2.0)).await.unwrap();
    assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [10.0]);
    fleet.close().await.unwrap();

    let told = events.so_far();
    let [EventKind::JobQueued { job, model }, rest @ ..] = &told[..] else { panic!("{told:?}") };
    assert_eq!(model, "counting");
    let [EventKind::AttemptStarted { job: started, attempt: 1, tab, target: on }, rest @ ..] = rest else {
        panic!("{told:?}")
    };
    let [EventKind::AttemptSucceeded { job: succeeded, attempt: 1, tab: by, model, timings, .. }, rest @ ..] = rest
    else {
        panic!("{told:?}")
    };
    assert_eq!((started, succeeded, tab, *on), (job, job, by, target("chrome/wasm")));
    assert_eq!((model.name.as_str(), model.sha256.len()), ("counting", 64));
    assert_eq!(*timings, output.timings);
    let [EventKind::JobEnded { job: ended, attempts: 1, failure: None }, .., EventKind::FleetClosed] = rest else {
        panic!("{told:?}")
    };
    assert_eq!(ended, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_job_runs_nowhere_else() {
    let Some(fleet) = launched(&["chrome/wasm", "edge/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(model)).await.unwrap();
    for name in ["chrome/wasm", "edge/wasm"] {
        let jobs = (0..8).map(|_| model.run_with(count(3, 1.0), model.options().pin(target(name))));
        for result in futures::future::join_all(jobs).await {
            assert_eq!(result.unwrap().provenance.browser().unwrap().target, target(name));
        }
    }
    // Without a pin, load spreads: no tab is left idle behind another's queue.
    let mut used: Vec<_> = futures::future::join_all((0..16).map(|_| model.run(count(20_000, 1.0))))
        .await
        .into_iter()
        .map(|result| result.unwrap().provenance.browser().unwrap().target)
        .collect();
    used.sort();
    used.dedup();
    assert_eq!(used, [target("chrome/wasm"), target("edge/wasm")]);
    let elsewhere = model.options().pin(target("webkit/wasm")).deadline(Duration::from_secs(5));
    let error = model.run_with(count(3, 1.0), elsewhere).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::NoTarget);
    assert!(error.failure.message.contains("webkit/wasm"), "{error}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn webnn_says_what_it_runs_on() {
    let Some(fleet) = launched(&["edge/webnn"]).await else { return };
    let (mlp, case) = builtin(&fleet, "mlp").await;
    let output = mlp.run(case.sets[0].0.clone()).await.unwrap();
    assert_eq!(compare(&case.sets[0].1, &output.tensors, &Tolerance::default()).mismatch, None);
    let provenance = output.provenance.browser().unwrap();
    assert_eq!((provenance.target, provenance.backend), (target("edge/webnn"), Backend::Webnn));
    assert_eq!(provenance.info.webnn_device.as_deref(), Some("cpu"));
    let identity = provenance.info.identity.as_ref().unwrap();
    assert_eq!(identity.stand_in, !identity.product.contains("Edg"), "{identity:?}");
    // Whether some of it ran on the runtime's own CPU code is known, one way or the other.
    assert!(provenance.cpu_fallback.is_some());
    fleet.close().await.unwrap();
}

/// Somebody who opens a tab's page sees what it is doing.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_a_person_what_it_does() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let (mlp, case) = builtin(&fleet, "mlp").await;
    mlp.run(case.sets[0].0.clone()).await.unwrap();
    let browser = fleet.processes().await.unwrap()[0].1;
    let mut page = Page::of(browser, fleet.origin()).await;
    let told = |text: &str| ["wasm", "mlp", "ONNX Runtime Web"].iter().all(|word| text.contains(word));
    page.shows("its backend, runtime and model", told).await;
    fleet.close().await.unwrap();
}
