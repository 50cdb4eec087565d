//! What dies while a model runs is restored, and the job is answered all the same, or ends with a typed error.

use crate::{
    devtools::Page,
    fleets::{Events, PATIENCE, builder, builtin, launched, started, target},
    models::{self, ENDLESS, count, counting},
    processes::{descendants, kill, ticks_of, until},
};
use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::Mutex,
    time::{Duration, Instant},
};
use tabfleet::{
    fleet::{Fleet, Model, ModelSpec, Output},
    matrix::{self, MatrixOptions, Past, Plan, PlanOptions, Planned},
    onnx::{Suite, Tolerance, compare},
    report::{CaseResult, TargetRow},
    types::{Category, Cause, EventKind, Failure, Severity, TabId, Verdict},
};

pub async fn counting_on(fleet: &Fleet, folder: &tempfile::TempDir) -> Model {
    let path = models::save(folder.path(), "counting.onnx", &counting());
    fleet.get_model(ModelSpec::onnx(path)).await.unwrap()
}

/// How many trips take about as long as this, as busy as the machine is now.
pub async fn trips_for(model: &Model, time: Duration) -> i64 {
    let mut tried = 10_000;
    loop {
        let took = model.run(count(tried, 1.0)).await.unwrap().timings.run_ms;
        if took > 500.0 {
            return (tried as f64 * time.as_secs_f64() * 1e3 / took) as i64;
        }
        tried *= 2;
    }
}

pub fn renderers(browser: u32) -> Vec<u32> {
    let processes = descendants(browser).into_iter();
    processes.filter(|(_, command)| command.contains("--type=renderer")).map(|(pid, _)| pid).collect()
}

/// The renderer that computes: it has used half a second more than before. The one that Chromium keeps ready for a next
/// tab uses less, and may come later.
async fn busy_renderer(browser: u32) -> u32 {
    let before: HashMap<u32, u64> = renderers(browser).into_iter().map(|pid| (pid, ticks_of(pid))).collect();
    let busy = Mutex::new(None);
    let found = || {
        let computes = |pid: &u32| before.get(pid).is_some_and(|before| ticks_of(*pid) > before + 50);
        *busy.lock().unwrap() = renderers(browser).into_iter().find(computes);
        busy.lock().unwrap().is_some()
    };
    until(PATIENCE, "a renderer to be busy", found).await;
    busy.into_inner().unwrap().unwrap()
}

fn sum(output: &Output) -> f32 {
    output.get("y").unwrap().to_vec::<f32>().unwrap()[0]
}

/// Whether a failure is told by its cause. A machine too busy to hear of it in time blames the socket that went along.
fn says(failure: &Failure, cause: Cause) -> bool {
    failure.category() == Category::Connection && (failure.cause == cause || failure.cause == Cause::SocketClosed)
}

fn tab_lost(kind: &EventKind) -> Option<(TabId, Cause)> {
    match kind {
        EventKind::TabLost { tab, failure, .. } => Some((*tab, failure.cause)),
        _ => None,
    }
}

fn tab_ready(kind: &EventKind) -> Option<TabId> {
    match kind {
        EventKind::TabReady { tab, .. } => Some(*tab),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_tab_is_killed_is_answered_by_another_tab() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.tabs_per_browser(2).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let trips = trips_for(&model, Duration::from_secs(5)).await;
    let browser = fleet.processes().await.unwrap()[0].1;
    let mut events = Events::of(&fleet);
    let job = model.run(count(trips, 0.0));
    let killing = async {
        let tab = started(&mut events).await;
        kill(busy_renderer(browser).await);
        let (lost, cause) = events.next("the lost tab", tab_lost).await;
        assert_eq!((lost, cause), (tab, Cause::TabCrashed));
        tab
    };
    let (output, killed) = tokio::join!(job, killing);
    let output = output.unwrap();
    assert_eq!(sum(&output), 0.0);
    assert_ne!(output.provenance.browser().unwrap().tab, killed);
    let [attempt] = &output.failed_attempts[..] else { panic!("{:?}", output.failed_attempts) };
    assert_eq!((attempt.target, attempt.tab), (target("chrome/wasm"), killed));
    assert!(says(&attempt.failure, Cause::TabCrashed), "{attempt:?}");
    assert!(attempt.elapsed_ms > 0.0, "{attempt:?}");
    // The browser lives on, and soon has as many tabs as before.
    assert_eq!(fleet.processes().await.unwrap()[0].1, browser);
    assert_ne!(events.next("a tab in its place", tab_ready).await, killed);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_browser_is_killed_are_answered_by_the_next_one() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let trips = trips_for(&model, Duration::from_secs(1)).await;
    let (old, pid) = fleet.processes().await.unwrap()[0];
    let mut events = Events::of(&fleet);
    let jobs = futures::future::join_all((0..4).map(|_| model.run(count(trips, 0.0))));
    let killing = async {
        started(&mut events).await;
        kill(pid);
        let ended = |kind: &EventKind| match kind {
            EventKind::BrowserEnded { browser, failure: Some(failure) } => Some((*browser, failure.clone())),
            _ => None,
        };
        let (browser, failure) = events.next("the browser's end", ended).await;
        assert_eq!((browser, failure.cause, failure.severity()), (old, Cause::BrowserExited, Severity::Critical));
        assert!(failure.message.contains("signal: 9"), "{failure}");
        let noticed = Instant::now();
        let again = |kind: &EventKind| match kind {
            EventKind::BrowserStarted { browser, .. } => Some(*browser),
            _ => None,
        };
        let new = events.next("the next browser", again).await;
        println!("launched again {:?} after its end was noticed", noticed.elapsed());
        new
    };
    let (results, new) = tokio::join!(jobs, killing);
    assert_ne!(new, old);
    let outputs: Vec<Output> = results.into_iter().map(Result::unwrap).collect();
    assert!(outputs.iter().all(|output| sum(output) == 0.0 && output.provenance.browser().unwrap().browser_id == new));
    // Only the job it was at is counted as tried; the others were waiting.
    let tried: Vec<_> = outputs.iter().flat_map(|output| &output.failed_attempts).collect();
    let [attempt] = &tried[..] else { panic!("{tried:?}") };
    assert!(says(&attempt.failure, Cause::BrowserExited), "{attempt:?}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_model_costs_only_itself_and_its_tab_goes_on() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let tab = model.run(count(1, 1.0)).await.unwrap().provenance.browser().unwrap().tab;
    let endless = model.options().attempt_timeout(Duration::from_secs(2)).attempts(1);
    let mut events = Events::of(&fleet);
    let others = async {
        started(&mut events).await;
        futures::future::join_all((1..=5).map(|n| model.run(count(n, 1.0)))).await
    };
    let (stopped, others) = tokio::join!(model.run_with(count(ENDLESS, 1.0), endless), others);
    let stopped = stopped.unwrap_err();
    let failure = &stopped.failure;
    assert_eq!((failure.cause, failure.category()), (Cause::DeadlineExceeded, Category::Timeout));
    assert!(failure.message.contains("its worker was ended"), "{failure}");
    assert_eq!(stopped.attempts.len(), 1);
    for (n, other) in (1..=5).zip(others) {
        let other = other.unwrap();
        assert_eq!((sum(&other), other.provenance.browser().unwrap().tab), (n as f32, tab), "the tab itself was kept");
        assert_eq!(other.failed_attempts, [], "waiting behind it is no attempt");
    }
    assert_eq!(events.so_far().iter().find_map(tab_lost), None);
    fleet.close().await.unwrap();
}

async fn an_endless_model_is_stopped(name: &str) {
    let Some(fleet) = launched(&[name]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let tab = model.run(count(1, 1.0)).await.unwrap().provenance.browser().unwrap().tab;
    let endless = model.options().attempt_timeout(Duration::from_secs(2)).attempts(1);
    let before = Instant::now();
    let stopped = model.run_with(count(ENDLESS, 1.0), endless).await.unwrap_err();
    assert_eq!(stopped.failure.cause, Cause::DeadlineExceeded, "{stopped}");
    println!("{name}: stopped after {:?}", before.elapsed());
    let next = model.run(count(7, 1.0)).await.unwrap();
    println!("{name}: usable again after {:?}", before.elapsed());
    assert_eq!((sum(&next), next.provenance.browser().unwrap().tab), (7.0, tab));
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_model_is_stopped_in_firefox() {
    an_endless_model_is_stopped("firefox/wasm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_model_is_stopped_in_webkit() {
    an_endless_model_is_stopped("webkit/wasm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_goes_elsewhere_is_replaced_and_its_job_answered() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let trips = trips_for(&model, Duration::from_secs(3)).await;
    let browser = fleet.processes().await.unwrap()[0].1;
    let page = Page::of(browser, fleet.origin()).await;
    let mut events = Events::of(&fleet);
    let leaving = async {
        let tab = started(&mut events).await;
        page.navigate("about:blank").await;
        let (lost, cause) = events.next("the lost tab", tab_lost).await;
        assert_eq!((lost, cause), (tab, Cause::TabClosed));
        tab
    };
    let (output, left) = tokio::join!(model.run(count(trips, 0.0)), leaving);
    let output = output.unwrap();
    assert_ne!(output.provenance.browser().unwrap().tab, left);
    let causes: Vec<_> = output.failed_attempts.iter().map(|attempt| attempt.failure.category()).collect();
    assert_eq!(causes, [Category::Connection], "{:?}", output.failed_attempts);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_talks_rubbish_is_cut_off_and_its_job_answered() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    model.run(count(1, 1.0)).await.unwrap();
    let browser = fleet.processes().await.unwrap()[0].1;
    let rubbish = "{ const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function () { send.call(this, new Uint8Array([7, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7])) } }";
    Page::of(browser, fleet.origin()).await.in_worker(rubbish).await;
    let output = model.run(count(6, 1.0)).await.unwrap();
    assert_eq!(sum(&output), 6.0);
    let [attempt] = &output.failed_attempts[..] else { panic!("{:?}", output.failed_attempts) };
    let failure = &attempt.failure;
    assert_eq!((failure.cause, failure.category()), (Cause::BadFrame, Category::Communication), "{failure}");
    assert_eq!(fleet.processes().await.unwrap()[0].1, browser, "the browser had no part in it");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gpu_is_got_back() {
    let Some(fleet) = launched(&["chrome/webgpu"]).await else { return };
    let (mlp, case) = builtin(&fleet, "mlp").await;
    let before = mlp.run(case.sets[0].0.clone()).await.unwrap();
    let browser = fleet.processes().await.unwrap()[0].1;
    let mut events = Events::of(&fleet);
    // The process that holds the device, be it a GPU's or SwiftShader's.
    let gpu = descendants(browser).into_iter().find(|(_, command)| command.contains("--type=gpu-process"));
    kill(gpu.expect("a GPU process").0);
    let tab = events.next("the tab to be ready again", tab_ready).await;
    assert_eq!(tab, before.provenance.browser().unwrap().tab, "a fresh worker is enough");
    let after = mlp.run(case.sets[0].0.clone()).await.unwrap();
    assert_eq!(compare(&case.sets[0].1, &after.tensors, &Tolerance::default()).mismatch, None);
    assert!(after.timings.create_ms.is_some(), "its session was lost with the device");
    assert_eq!(fleet.processes().await.unwrap()[0].1, browser, "the browser lives on");
    fleet.close().await.unwrap();
}

/// Of a suite, one case never ends, one is killed, one has a model of another kind, one wrong numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_hangs_or_crashes_costs_only_itself() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let suite = folder.path().join("faults");
    let y = |sum: f32| vec![("y".to_owned(), tabfleet::types::Tensor::from_values([1], &[sum]).unwrap())];
    for number in 0..8 {
        let inputs = count(number, 1.0);
        models::save_case(&suite, &format!("good-{number}"), &counting(), &inputs, &y(number as f32));
    }
    models::save_case(&suite, "crashes", &counting(), &count(ENDLESS, 1.0), &y(0.0));
    models::save_case(&suite, "hangs", &counting(), &count(ENDLESS, 2.0), &y(0.0));
    models::save_case(&suite, "wrong", &counting(), &count(3, 1.0), &y(4.0));
    let unknown = models::unary("NoSuchOperator", tabfleet::types::Dtype::Float32, 1);
    let x = ("x".to_owned(), y(1.0).remove(0).1);
    models::save_case(&suite, "unknown", &unknown, &[x], &y(1.0));
    std::fs::create_dir_all(suite.join("cut/test_data_set_0")).unwrap();
    std::fs::copy(suite.join("hangs/test_data_set_0/output_0.pb"), suite.join("cut/test_data_set_0/output_0.pb"))
        .unwrap();
    let whole = std::fs::read(suite.join("good-1/model.onnx")).unwrap();
    std::fs::write(suite.join("cut/model.onnx"), &whole[..whole.len() / 2]).unwrap();

    let browser = fleet.processes().await.unwrap()[0].1;
    let mut events = Events::of(&fleet);
    let options = MatrixOptions {
        case_timeout: Duration::from_secs(6),
        retries: 0,
        tolerance: Tolerance::default(),
        // One after the other, so that the busy tab is the one that runs the case to be killed.
        in_hand: 1,
        ..MatrixOptions::default()
    };
    let targets: Vec<TargetRow> = fleet.targets().await.unwrap().iter().map(|info| TargetRow::from(&**info)).collect();
    let cases: Vec<Planned> = Suite::open(&suite).unwrap().cases.into_iter().map(Planned::read).collect();
    assert_eq!(cases[0].case.name, "crashes");
    let count = cases.len();
    let plan = Plan::new(cases, &targets, Past::default(), None, &PlanOptions::default());
    let mut results: Vec<CaseResult> = Vec::new();
    let killing = async {
        started(&mut events).await;
        kill(busy_renderer(browser).await);
    };
    let on_result = |result| {
        results.push(result);
        ControlFlow::Continue(())
    };
    tokio::join!(matrix::run(&fleet, &targets, &plan, &options, on_result), killing);
    let verdict = |name: &str| results.iter().find(|result| result.case == name).unwrap();
    let message = |name: &str| verdict(name).error.as_ref().unwrap().message.clone();
    assert_eq!(results.len(), count);
    assert_eq!(verdict("crashes").verdict, Verdict::Crash, "{}", message("crashes"));
    assert_eq!(verdict("hangs").verdict, Verdict::Timeout, "{}", message("hangs"));
    assert_eq!(verdict("wrong").verdict, Verdict::Wrong);
    assert!(message("wrong").contains("output `y` at [0] is 3, expected 4"), "{}", message("wrong"));
    assert_eq!(verdict("unknown").verdict, Verdict::LoadError);
    assert!(message("unknown").contains("NoSuchOperator"), "{}", message("unknown"));
    assert_eq!(verdict("cut").verdict, Verdict::LoadError);
    assert!(message("cut").contains("is cut off"), "{}", message("cut"));
    for number in 0..8 {
        assert_eq!(verdict(&format!("good-{number}")).verdict, Verdict::Pass, "good-{number}");
    }
    assert_eq!(fleet.processes().await.unwrap()[0].1, browser, "the browser itself was kept");
    fleet.close().await.unwrap();
}

/// A renderer is killed once while it is at a case that is good.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_passes_only_when_it_is_tried_again_is_flaky() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let trips = trips_for(&counting_on(&fleet, &folder).await, Duration::from_secs(3)).await;
    let y = tabfleet::types::Tensor::from_values([1], &[0.0_f32]).unwrap();
    let suite = folder.path().join("suite");
    models::save_case(&suite, "slow", &counting(), &count(trips, 0.0), &[("y".to_owned(), y)]);
    let targets: Vec<TargetRow> = fleet.targets().await.unwrap().iter().map(|info| TargetRow::from(&**info)).collect();
    let cases: Vec<Planned> = Suite::open(&suite).unwrap().cases.into_iter().map(Planned::read).collect();
    let plan = Plan::new(cases, &targets, Past::default(), None, &PlanOptions::default());
    let options = MatrixOptions { case_timeout: PATIENCE, in_hand: 1, ..MatrixOptions::default() };
    let browser = fleet.processes().await.unwrap()[0].1;
    let mut events = Events::of(&fleet);
    let mut results: Vec<CaseResult> = Vec::new();
    let on_result = |result| {
        results.push(result);
        ControlFlow::Continue(())
    };
    let killing = async {
        started(&mut events).await;
        kill(busy_renderer(browser).await);
    };
    tokio::join!(matrix::run(&fleet, &targets, &plan, &options, on_result), killing);
    let [result] = &results[..] else { panic!("{results:?}") };
    assert_eq!((result.verdict, result.flaky, result.attempts), (Verdict::Pass, true, 2), "{result:?}");
    let [failed] = &result.failed_attempts[..] else { panic!("{result:?}") };
    assert_eq!((failed.verdict, failed.category), (Verdict::Crash, Category::Connection), "{failed:?}");
    assert!(result.spent_ms.unwrap() > failed.elapsed_ms && result.error.is_none(), "{result:?}");
    fleet.close().await.unwrap();
}
