//! Tabs that load models in advance, and that are replaced because they have done enough; and what is left of browsers
//! that are ended before they are up.

use crate::{
    fleets::{Events, PATIENCE, builder, with_tabs},
    models::{self, count, counting},
    processes::{Remains, descendants, kill, stop, until, within},
};
use std::{path::Path, sync::Mutex, time::Duration};
use tabfleet::{
    fleet::{MetricName, ModelSpec},
    types::{Browser, EventKind},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_model_is_not_loaded_by_the_first_jobs() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    assert_eq!(fleet.warm(&model, 1).await.unwrap(), 1);
    assert_eq!(fleet.warm(&model, 5).await.unwrap(), 2, "there are no more");
    let outputs = futures::future::join_all((0..4).map(|_| model.run(count(100_000, 1.0)))).await;
    for output in outputs {
        let timings = output.unwrap().timings;
        assert_eq!((timings.download_ms, timings.create_ms), (None, None), "it was there already");
    }
    let broken = folder.path().join("broken.bin");
    std::fs::write(&broken, "no model").unwrap();
    let broken = fleet.get_model(ModelSpec::opaque(broken)).await.unwrap();
    assert_eq!(fleet.warm(&broken, 2).await.unwrap(), 0, "it cannot be loaded");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_are_opened_for_a_warm_model_and_one_whose_worker_is_replaced_has_it_again() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.tabs(1..=3).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    assert_eq!(fleet.tabs().await.unwrap().len(), 1);
    assert_eq!(fleet.warm(&model, 3).await.unwrap(), 3);
    let tabs = fleet.tabs().await.unwrap();
    assert_eq!(tabs.len(), 3);
    let mut events = Events::of(&fleet);
    assert!(fleet.cut_socket(tabs[0].0).await.unwrap());
    let is_back = |kind: &EventKind| matches!(kind, EventKind::TabReady { tab, .. } if *tab == tabs[0].0).then_some(());
    events.next("the tab to be ready again", is_back).await;
    let outputs = futures::future::join_all((0..6).map(|_| model.run(count(100_000, 1.0)))).await;
    for output in outputs {
        assert_eq!(output.unwrap().timings.create_ms, None, "it was there already");
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_run_once_when_it_is_warmed_and_that_counts_nowhere() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/counter.js");
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.custom_runtime(module).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let mut events = Events::of(&fleet);
    assert_eq!(fleet.warm(&model, 1).await.unwrap(), 1);
    assert!(!events.so_far().iter().any(|kind| matches!(kind, EventKind::AttemptStarted { .. })));
    let output = model.run(count(10, 1.0)).await.unwrap();
    assert_eq!(output.get("module").unwrap().to_vec::<i32>().unwrap(), [1], "runs before it");
    let metrics = fleet.metrics().await.unwrap();
    assert_eq!(metrics.get(MetricName::AttemptsSucceeded, &["chrome/wasm"]), Some(1.0));
    assert_eq!(metrics.get(MetricName::Run, &["chrome/wasm"]), Some(1.0));
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_has_done_enough_is_replaced_without_a_job_noticing() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let builder = builder.configure(|config| {
        (config.policy.retirement.jobs, config.policy.retirement.jobs_not_before) = (20, Duration::ZERO);
    });
    let fleet = builder.launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let first = fleet.tabs().await.unwrap()[0].0;
    let mut events = Events::of(&fleet);
    let until_it_is_gone = async {
        let mut tabs = Vec::new();
        let closed = |kind: &EventKind| matches!(kind, EventKind::TabClosed { tab, .. } if *tab == first);
        while !events.so_far().iter().any(closed) {
            let output = model.run(count(10, 1.0)).await.unwrap();
            assert_eq!(output.failed_attempts, []);
            if output.provenance.browser().unwrap().tab != first {
                assert_eq!(output.timings.create_ms, None, "its successor has loaded the model before");
            }
            tabs.push(output.provenance.browser().unwrap().tab);
        }
        tabs
    };
    let tabs = within(PATIENCE, "the first tab's end", until_it_is_gone).await;
    assert!(tabs.iter().filter(|tab| **tab == first).count() >= 20, "{tabs:?}");
    fleet.close().await.unwrap();
}

fn browser_ended(kind: &EventKind) -> Option<()> {
    matches!(kind, EventKind::BrowserEnded { .. }).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_fleet_has_left_nothing_of_a_browser_that_had_just_died() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    // Nothing else is under way then that would hold up the end.
    let pause = |config: &mut tabfleet::fleet::FleetConfig| {
        (config.policy.relaunch_pause, config.policy.relaunch_pause_cap) = (2 * PATIENCE, 2 * PATIENCE);
    };
    let fleet = builder.configure(pause).launch().await.unwrap();
    let pid = fleet.processes().await.unwrap()[0].1;
    let remains = Remains::of_process(pid);
    let mut events = Events::of(&fleet);
    kill(pid);
    events.next("the browser's end", browser_ended).await;
    fleet.close().await.unwrap();
    assert!(remains.nothing(), "{remains:?}, {:?}", remains.processes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_closed_while_a_browser_that_hangs_is_being_launched() {
    const MARK: &str = "--of-a-browser-that-hangs";
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder
        .configure(|config| {
            config.launch_timeout = Duration::from_secs(3600);
            config.overrides.args.insert(Browser::Chrome, vec![MARK.to_owned()]);
        })
        .launch()
        .await
        .unwrap();
    let old = fleet.processes().await.unwrap()[0].1;
    kill(old);
    let next = Mutex::new(None);
    let is_next = |(pid, command): &(u32, String)| {
        *pid != old && command.contains(MARK) && !command.contains("--type=") && !command.contains("tabfleet-guard")
    };
    let launches = || {
        *next.lock().unwrap() = descendants(std::process::id()).into_iter().find(is_next);
        next.lock().unwrap().is_some()
    };
    until(PATIENCE, "the next browser", launches).await;
    let (next, _) = next.into_inner().unwrap().unwrap();
    stop(next);
    let remains = Remains::of_process(next);
    within(PATIENCE, "the fleet to be closed", fleet.close()).await.unwrap();
    assert!(remains.nothing(), "{remains:?}, {:?}", remains.processes());
}
