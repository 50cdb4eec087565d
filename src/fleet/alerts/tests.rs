//! Thresholds and cool-downs with time as an argument; and a real server that at first does not take what it is sent.

use super::*;
use crate::{
    fleet::events::Events,
    types::{
        BreakerState, Cause, Failure, Family, JobId, ModelTag, RuntimeInfo, Severity, TabId, Target, TargetInfo,
        Timings,
    },
};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
    time::SystemTime,
};
use tokio::sync::mpsc;

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

fn tag() -> Arc<ModelTag> {
    Arc::new(ModelTag { name: "a model".into(), sha256: "00".into(), family: Family::Other, precision: None })
}

fn failed() -> EventKind {
    failed_by(Cause::ModelRun)
}

fn failed_by(cause: Cause) -> EventKind {
    EventKind::AttemptFailed {
        job: JobId(1),
        attempt: 1,
        tab: TabId(1),
        target: target("chrome/wasm"),
        model: tag(),
        failure: Failure::new(cause, "no kernel"),
        severity: Severity::Minor,
        elapsed_ms: 1.0,
        batch: None,
    }
}

fn succeeded() -> EventKind {
    let timings = Timings {
        queue_ms: 0.1,
        download_ms: None,
        create_ms: None,
        run_ms: 1.0,
        readback_ms: None,
        wire_ms: 0.1,
        total_ms: 1.2,
    };
    EventKind::AttemptSucceeded {
        job: JobId(1),
        attempt: 1,
        tab: TabId(1),
        target: target("chrome/wasm"),
        model: tag(),
        timings,
        cpu_fallback: None,
        batch: None,
        memory_bytes: None,
        share: None,
        warm_up: false,
    }
}

fn breaker(name: &str, model: Option<Arc<ModelTag>>, to: BreakerState) -> EventKind {
    EventKind::BreakerChanged {
        target: target(name),
        model,
        from: BreakerState::Closed,
        to,
        reason: "5 of 5 calls failed".into(),
        wait_ms: Some(30e3),
    }
}

fn info(name: &str, available: bool) -> Arc<TargetInfo> {
    Arc::new(TargetInfo {
        target: target(name),
        identity: None,
        available,
        reason: (!available).then(|| "three launches in a row failed".to_owned()),
        adapter: None,
        webnn_device: None,
        runtime: Some(RuntimeInfo { name: "a runtime".into(), version: "1".into() }),
        threads: None,
    })
}

/// Alerts, and a clock that is moved by hand.
struct Observed {
    alerts: Alerts,
    now: Instant,
}

impl Observed {
    fn new(config: AlertConfig) -> Self {
        Self { alerts: Alerts::new(config), now: Instant::now() }
    }

    fn at(&mut self, after: Duration) -> &mut Self {
        self.now += after;
        self
    }

    fn see(&mut self, kind: EventKind) -> Option<AlertKind> {
        self.alerts.observe(&Event { at: SystemTime::now(), kind }, self.now).map(|alert| alert.kind)
    }

    fn see_many(&mut self, count: usize, kind: fn() -> EventKind) -> usize {
        (0..count).filter(|_| self.see(kind()).is_some()).count()
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn failures_are_told_above_the_threshold_and_not_before_there_are_enough() {
    let mut observed = Observed::new(AlertConfig { minimum_attempts: 10, ..AlertConfig::default() });
    assert_eq!(observed.see_many(9, failed), 0, "nine are too few");
    let Some(AlertKind::ErrorRate { failed: 10, attempts: 10, window_ms, failure, .. }) = observed.see(failed()) else {
        panic!("ten are enough")
    };
    assert_eq!((window_ms, failure.cause), (60e3, Cause::ModelRun));
    assert_eq!(observed.see_many(100, failed), 0, "it is told once in a cool-down");
    assert_eq!(observed.at(secs(299)).see_many(100, failed), 0);
    assert_eq!(observed.at(secs(1)).see_many(100, failed), 1);
}

#[test]
fn half_is_not_above_half_and_nothing_is_above_all() {
    let mut observed = Observed::new(AlertConfig { minimum_attempts: 1, ..AlertConfig::default() });
    assert_eq!(observed.see_many(50, succeeded) + observed.see_many(50, failed), 0);
    assert_eq!(observed.see_many(1, failed), 1);
    let mut observed = Observed::new(AlertConfig { minimum_attempts: 1, error_rate: 1.0, ..AlertConfig::default() });
    assert_eq!(observed.see_many(1000, failed), 0);
}

#[test]
fn what_callers_did_wrong_counts_neither_as_a_failure_nor_as_an_answer() {
    let mut observed = Observed::new(AlertConfig { minimum_attempts: 10, ..AlertConfig::default() });
    for cause in [Cause::BadInput, Cause::Cancelled, Cause::QueueFull, Cause::FleetClosed, Cause::NoTarget] {
        (0..100).for_each(|_| assert_eq!(observed.see(failed_by(cause)), None, "{cause}"));
    }
    assert_eq!(observed.alerts.window_total(), (0, 0));
    assert_eq!(observed.see_many(10, failed), 1, "the fleet's own failures still count");
}

#[test]
fn what_is_older_than_the_window_no_longer_counts() {
    let config = AlertConfig { minimum_attempts: 10, ..AlertConfig::default() };
    let mut observed = Observed::new(config.clone());
    observed.see_many(9, failed);
    assert_eq!(observed.at(secs(60)).see_many(9, failed), 0, "the first nine are forgotten");
    assert_eq!(observed.at(secs(30)).see_many(1, failed), 1, "the second nine are not");

    let mut observed = Observed::new(config);
    for _ in 0..100_000 {
        observed.at(Duration::from_millis(7)).see(succeeded());
    }
    let (failed, attempts) = observed.alerts.window_total();
    assert!(failed == 0 && (8_100..=8_572).contains(&attempts), "95 to 100 percent of a minute's: {attempts}");
}

#[test]
fn each_open_circuit_is_told_and_nothing_else_of_breakers() {
    let mut observed = Observed::new(AlertConfig::default());
    for state in [BreakerState::Closed, BreakerState::HalfOpen] {
        assert_eq!(observed.see(breaker("chrome/wasm", None, state)), None);
    }
    let open = |name, model| breaker(name, model, BreakerState::Open);
    let told = [open("chrome/wasm", None), open("chrome/wasm", Some(tag())), open("edge/wasm", None)];
    for kind in &told {
        assert!(matches!(observed.see(kind.clone()), Some(AlertKind::CircuitOpen { .. })));
    }
    assert!(told.iter().all(|kind| observed.see(kind.clone()).is_none()));
    assert!(told.iter().all(|kind| observed.at(secs(300)).see(kind.clone()).is_some()));
}

#[test]
fn a_target_that_never_worked_was_not_lost() {
    let mut observed = Observed::new(AlertConfig::default());
    let unavailable = || EventKind::TargetUnavailable { info: info("edge/webnn", false) };
    assert_eq!(observed.see(unavailable()), None);
    let ready =
        EventKind::TabReady { tab: TabId(1), browser: crate::types::BrowserId(1), info: info("edge/webnn", true) };
    observed.see(ready);
    let Some(AlertKind::TargetGivenUp { target: lost, reason }) = observed.see(unavailable()) else { panic!() };
    assert_eq!((lost, &*reason), (target("edge/webnn"), "three launches in a row failed"));
}

#[test]
fn what_cannot_be_is_refused_with_its_range() {
    let refused = |change: fn(&mut AlertConfig)| {
        let mut config = AlertConfig::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            refused(|config| config.error_rate = 1.1),
            refused(|config| config.error_rate = f64::NAN),
            refused(|config| config.minimum_attempts = 0),
            refused(|config| config.window = Duration::from_millis(999)),
            refused(|config| config.cooldown = secs(24 * 3600 + 1)),
            refused(|config| config.webhook_tries = 0),
            refused(|config| config.webhook = Url::parse("https://example.org/hooks/secret").ok()),
            refused(|config| config.webhook = Url::parse("http://me:secret@example.org/").ok()),
            refused(|config| config.webhook = Url::parse("mailto:me@example.org").ok()),
        ]
        .join("\n"),
        @"
        the alerts' `error_rate` cannot be 1.1: it takes a number from 0 to 1
        the alerts' `error_rate` cannot be NaN: it takes a number from 0 to 1
        the alerts' `minimum_attempts` cannot be 0: it takes a number from 1
        the alerts' `window` cannot be 999ms: it takes a duration from 1s to 24h
        the alerts' `cooldown` cannot be 86401s: it takes a duration from 1s to 24h
        the alerts' `webhook_tries` cannot be 0: it takes a number from 1 to 20
        nothing can be posted to https://example.org: this build speaks no TLS; give the http:// address of something on this machine that forwards them
        nothing can be posted to http://example.org: a name or a password in the address is not sent; put a token into its path or query
        nothing can be posted to mailto://: an http:// address is needed
        "
    );
}

/// A server that answers each POST with the next status, then with 200, and tells what it was sent.
async fn server(statuses: &[u16]) -> (Url, mpsc::UnboundedReceiver<(u16, Value)>) {
    type Shared = Arc<(Mutex<VecDeque<u16>>, mpsc::UnboundedSender<(u16, Value)>)>;
    let take = |State(shared): State<Shared>, body: Bytes| async move {
        let status = shared.0.lock().unwrap().pop_front().unwrap_or(200);
        shared.1.send((status, serde_json::from_slice(&body).unwrap())).unwrap();
        StatusCode::from_u16(status).unwrap()
    };
    let (sender, taken) = mpsc::unbounded_channel();
    let shared: Shared = Arc::new((Mutex::new(statuses.iter().copied().collect()), sender));
    let router = Router::new().route("/hook", post(take)).with_state(shared);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/hook?key=secret", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

/// What a server is sent when two circuits open and the fleet is closed.
async fn sent(statuses: &[u16], tries: u32) -> Vec<(u16, String)> {
    let (url, mut taken) = server(statuses).await;
    let events = Events::new();
    let config = AlertConfig { webhook: Some(url), webhook_tries: tries, ..AlertConfig::default() };
    let watch = Watch::start(config, "bench", events.subscribe()).unwrap();
    for kind in [
        breaker("chrome/wasm", None, BreakerState::Open),
        breaker("edge/wasm", Some(tag()), BreakerState::Open),
        EventKind::FleetClosed,
    ] {
        events.emit(|| kind);
    }
    watch.finish().await;
    let taken = std::iter::from_fn(|| taken.try_recv().ok());
    taken.map(|(status, body)| (status, body["target"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a_webhook_is_tried_again_until_it_takes_the_alert() {
    let (chrome, edge) = ("chrome/wasm".to_owned(), "edge/wasm".to_owned());
    let taken = sent(&[503, 429], 5).await;
    assert_eq!(taken, [(503, chrome.clone()), (429, chrome.clone()), (200, chrome.clone()), (200, edge.clone())]);
    // Tried as often as was said, then the next one's turn.
    assert_eq!(sent(&[503, 500], 2).await, [(503, chrome.clone()), (500, chrome.clone()), (200, edge.clone())]);
    // What is refused for good is not tried again.
    assert_eq!(sent(&[404], 5).await, [(404, chrome), (200, edge)]);
}

#[tokio::test]
async fn the_alert_is_json_with_its_numbers_and_who_tells() {
    let (url, mut taken) = server(&[]).await;
    let webhook = Webhook::start(url, 1, "bench");
    let mut observed = Observed::new(AlertConfig::default());
    let event = Event { at: SystemTime::UNIX_EPOCH, kind: breaker("edge/wasm", Some(tag()), BreakerState::Open) };
    let alert = observed.alerts.observe(&event, observed.now).unwrap();
    webhook.send(&alert);
    webhook.finish().await;
    let (_, body) = taken.recv().await.unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "at": "1970-01-01T00:00:00Z",
            "alert": "circuit-open",
            "target": "edge/wasm",
            "model": "a model",
            "reason": "5 of 5 calls failed",
            "wait_ms": 30e3,
            "message": "edge/wasm gets no jobs of a model: 5 of 5 calls failed",
            "fleet": { "command": "bench", "pid": std::process::id(), "tabfleet": env!("CARGO_PKG_VERSION") },
        })
    );
    assert_eq!(serde_json::from_value::<Alert>(body).unwrap(), alert);
}

#[tokio::test]
async fn a_server_that_never_answers_holds_up_nobody() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            TAKEN.fetch_add(1, Ordering::Relaxed);
            open.push(socket);
        }
    });
    let webhook = Webhook::start(url, 5, "bench");
    let mut observed = Observed::new(AlertConfig::default());
    let event = Event { at: SystemTime::now(), kind: breaker("edge/wasm", None, BreakerState::Open) };
    let alert = observed.alerts.observe(&event, observed.now).unwrap();
    let before = Instant::now();
    (0..10_000).for_each(|_| webhook.send(&alert));
    assert!(before.elapsed() < secs(5), "{:?}", before.elapsed());
    webhook.finish().await;
    assert!(before.elapsed() < secs(10), "{:?}", before.elapsed());
    assert_eq!(TAKEN.load(Ordering::Relaxed), 1);
}
