use super::*;
use crate::types::{Failure, ModelTag, Severity, TargetInfo, Timings};
use std::sync::Arc;

const BROWSER: BrowserId = BrowserId(1);

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A fleet of one Chrome with two tabs, as it is when something is to be broken at the returned moment.
fn fleet() -> (Ledger, Instant) {
    let mut ledger = Ledger::default();
    let began = Instant::now();
    for tab in [1, 2] {
        ledger.know(TabId(tab), BROWSER, target("chrome/wasm"), began);
    }
    (ledger, began + ms(1000))
}

fn inject(ledger: &mut Ledger, mode: FailureMode, at: Instant, limit: Option<Duration>) {
    let what = String::new();
    ledger.inject(Injected { mode, browser: BROWSER, kind: Browser::Chrome, what, at, limit });
}

fn model() -> Arc<ModelTag> {
    Arc::new(ModelTag {
        name: "m".to_owned(),
        sha256: String::new(),
        family: crate::types::Family::Other,
        precision: None,
    })
}

fn lost(tab: u64, cause: Cause) -> EventKind {
    EventKind::TabLost { tab: TabId(tab), target: target("chrome/wasm"), failure: Failure::new(cause, "") }
}

fn failed(tab: u64, cause: Cause, elapsed_ms: f64) -> EventKind {
    EventKind::AttemptFailed {
        job: crate::types::JobId(1),
        attempt: 1,
        tab: TabId(tab),
        target: target("chrome/wasm"),
        model: model(),
        failure: Failure::new(cause, ""),
        severity: Severity::Major,
        elapsed_ms,
        batch: None,
    }
}

fn answered(tab: u64) -> EventKind {
    EventKind::AttemptSucceeded {
        job: crate::types::JobId(2),
        attempt: 1,
        tab: TabId(tab),
        target: target("chrome/wasm"),
        model: model(),
        timings: Timings::default(),
        cpu_fallback: None,
        batch: None,
        memory_bytes: None,
        share: None,
        warm_up: false,
    }
}

fn ready(tab: u64, browser: u64) -> EventKind {
    let info = TargetInfo {
        target: target("chrome/wasm"),
        identity: None,
        available: true,
        reason: None,
        adapter: None,
        webnn_device: None,
        runtime: None,
        threads: None,
    };
    EventKind::TabReady { tab: TabId(tab), browser: BrowserId(browser), info: Arc::new(info) }
}

fn ended(browser: u64, failure: Option<Failure>) -> EventKind {
    EventKind::BrowserEnded { browser: BrowserId(browser), failure }
}

#[test]
fn a_lost_tab_is_got_over_when_the_one_in_its_place_answers() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::TabCrash, at, None);
    assert!(ledger.hear(at + ms(30), &lost(1, Cause::TabCrashed)).is_none());
    assert!(ledger.hear(at + ms(31), &failed(1, Cause::TabCrashed, 5.0)).is_none());
    assert!(ledger.hear(at + ms(40), &answered(2)).is_none(), "the other tab was never broken");
    assert!(ledger.hear(at + ms(500), &ready(3, 1)).is_none());
    assert_eq!(ledger.free(at + ms(600)), [], "one thing at a time");
    let over = ledger.hear(at + ms(700), &answered(3)).unwrap();
    assert_eq!(over.detected, Some((at + ms(30), "tab-crashed".to_owned())));
    assert_eq!(over.recovered, Some(at + ms(700)));
    assert_eq!(ledger.free(at + ms(800)), [], "a moment of calm");
    assert_eq!(ledger.free(at + ms(700) + CALM), [Browser::Chrome]);
}

#[test]
fn a_browser_is_got_over_when_its_successor_answers() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::BrowserKill, at, None);
    ledger.hear(at + ms(10), &ended(1, Some(Failure::new(Cause::BrowserExited, ""))));
    assert_eq!(ledger.running(Browser::Chrome), None);
    ledger.hear(at + ms(900), &ready(3, 2));
    let over = ledger.hear(at + ms(950), &answered(3)).unwrap();
    assert_eq!(over.detected, Some((at + ms(10), "browser-exited".to_owned())));
    assert_eq!((ledger.running(Browser::Chrome), ledger.is_open()), (Some(BrowserId(2)), false));
}

#[test]
fn what_a_tab_tells_of_is_the_browsers_when_the_browser_ends() {
    let (mut ledger, at) = fleet();
    ledger.know(TabId(5), BROWSER, target("chrome/webgpu"), at);
    inject(&mut ledger, FailureMode::Hang, at, None);
    ledger.hear(at + ms(6000), &failed(5, Cause::HeartbeatMissed, 1.0));
    ledger.hear(at + ms(6001), &ended(1, Some(Failure::new(Cause::HeartbeatMissed, ""))));
    ledger.hear(at + ms(9000), &ready(7, 2));
    let over =
        ledger.hear(at + ms(9010), &answered(7)).expect("chrome/wasm answers, in place of a tab of chrome/webgpu");
    assert_eq!(over.detected, Some((at + ms(6000), "heartbeat-missed".to_owned())));
}

#[test]
fn a_worker_is_got_over_when_its_tab_answers_again() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::SocketCut, at, None);
    ledger.hear(at + ms(500), &failed(2, Cause::SocketClosed, 1.0));
    ledger.hear(at + ms(600), &answered(1));
    assert!(ledger.is_open(), "the other tab says nothing about it");
    ledger.hear(at + ms(900), &ready(2, 1));
    assert!(ledger.hear(at + ms(950), &answered(2)).unwrap().recovered.is_some());
}

#[test]
fn an_idle_tab_that_is_ready_again_tells_of_its_worker() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::SocketCut, at, None);
    ledger.hear(at + ms(800), &ready(2, 1));
    let over = ledger.hear(at + ms(900), &answered(2)).unwrap();
    assert_eq!(over.detected, Some((at + ms(800), "worker restarted".to_owned())));
}

#[test]
fn what_nobody_noticed_is_got_over_when_it_is_over_and_its_browser_answers() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::Slow, at, None);
    assert!(ledger.hear(at + ms(100), &answered(1)).is_none(), "it is still going on");
    ledger.over(Browser::Chrome, at + ms(5000));
    let over = ledger.hear(at + ms(5010), &answered(1)).unwrap();
    assert_eq!((over.detected, over.recovered), (None, Some(at + ms(5010))));
}

#[test]
fn a_job_that_runs_into_its_limit_is_timed_from_there() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::Endless, at, Some(ms(2000)));
    // It waited behind others for 300 ms, and was stopped 4 ms late.
    ledger.hear(at + ms(2304), &failed(1, Cause::DeadlineExceeded, 2004.0));
    let over = ledger.hear(at + ms(2900), &answered(1)).unwrap();
    assert_eq!(over.at, at + ms(2300));
    assert_eq!(over.detected.unwrap().0 - over.at, ms(4));
}

#[test]
fn what_does_not_come_back_is_not_waited_for_for_ever() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::Hang, at, None);
    assert_eq!(ledger.expire(at + PATIENCE - ms(1)).len(), 0);
    let [late] = &ledger.expire(at + PATIENCE)[..] else { panic!("one is late") };
    assert_eq!((late.detected.clone(), late.recovered), (None, None));
    assert!(!ledger.is_open());
}

#[test]
fn what_another_browser_says_is_not_taken_for_it() {
    let (mut ledger, at) = fleet();
    ledger.know(TabId(9), BrowserId(9), target("firefox/wasm"), at);
    inject(&mut ledger, FailureMode::TabCrash, at, None);
    let of_firefox = EventKind::TabLost {
        tab: TabId(9),
        target: target("firefox/wasm"),
        failure: Failure::new(Cause::TabCrashed, ""),
    };
    ledger.hear(at + ms(5), &of_firefox);
    assert_eq!(ledger.injections[0].detected, None);
}

#[test]
fn a_bad_job_is_put_down_to_the_last_injection_where_it_was_tried() {
    let (mut ledger, at) = fleet();
    inject(&mut ledger, FailureMode::TabCrash, at, None);
    ledger.know(TabId(9), BrowserId(9), target("firefox/wasm"), at);
    let (mode, browser, kind, what) = (FailureMode::DriverKill, BrowserId(9), Browser::Firefox, String::new());
    ledger.inject(Injected { mode, browser, kind, what, at: at + ms(10), limit: None });
    let blame = |after, browsers: &[Browser]| ledger.blame(at + ms(after), browsers);
    assert_eq!(blame(20, &[Browser::Chrome]), Some(FailureMode::TabCrash));
    assert_eq!(blame(20, &[Browser::Webkit]), Some(FailureMode::DriverKill));
    assert_eq!(blame(5, &[]), Some(FailureMode::TabCrash));
    assert_eq!(ledger.blame(at - ms(1), &[]), None);
}
