//! Which events become rows.

use super::{
    rows::{Rows, is_recorded},
    tests::{TARGET, event, failed, info, model, ready, succeeded},
};
use crate::types::{
    BreakerState, Browser, BrowserId, Cause, Event, EventKind, Failure, Identity, JobId, SessionEnd, SessionId,
    Strategy, TabId,
};

/// One of each kind.
fn every_kind() -> Vec<Event> {
    let (target, tab, job, browser) = (TARGET, TabId(1), JobId(1), BrowserId(1));
    let failure = || Failure::new(Cause::TabCrashed, "it is gone");
    let identity: Identity = info(false).identity.clone().unwrap();
    let kinds = [
        EventKind::BrowserStarted { browser, identity },
        EventKind::BrowserFailed { browser: Browser::Chrome, failure: failure() },
        EventKind::BrowserEnded { browser, failure: None },
        EventKind::TargetUnavailable { info: info(true) },
        EventKind::TabDisconnected { tab, target, failure: failure() },
        EventKind::TabLost { tab, target, failure: failure() },
        EventKind::TabClosed { tab, target },
        EventKind::Scaled { target, from: 1, to: 2, reason: "by load".to_owned() },
        EventKind::JobQueued { job, model: "add".to_owned() },
        EventKind::AttemptStarted { job, attempt: 1, tab, target },
        EventKind::BatchSplit { tab, target, model: model(), jobs: 2, failure: failure() },
        EventKind::SessionBegun { session: SessionId(1), model: model(), tab, target },
        EventKind::SessionEnded { session: SessionId(1), target, why: SessionEnd::Closed },
        EventKind::SessionRebuilt { session: SessionId(1), model: model(), calls: 3 },
        EventKind::BatchingRefused { model: model(), target, why: "rows differ".to_owned() },
        EventKind::RanNatively { job, model: model(), why: failure(), failure: None, elapsed_ms: 1.0 },
        EventKind::BreakerChanged {
            target,
            model: None,
            from: BreakerState::Closed,
            to: BreakerState::Open,
            reason: "5 of 5 calls failed".to_owned(),
            wait_ms: None,
        },
        EventKind::HealthChecked { tab, target, failure: None },
        EventKind::Recovery {
            browser: Browser::Chrome,
            target: None,
            tab: None,
            job: None,
            failure: failure(),
            strategy: Strategy::Abandon,
            succeeded: false,
            elapsed_ms: 1.0,
        },
        EventKind::JobEnded { job, attempts: 1, failure: None },
        EventKind::FleetClosed,
    ];
    let attempts = [succeeded(1, 1, &model()), failed(1), ready(1, info(false))];
    kinds.map(event).into_iter().chain(attempts).collect()
}

#[test]
fn what_becomes_no_row_is_what_is_never_sent_to_the_writer() {
    for event in every_kind() {
        let mut rows = Rows::new(1, None);
        let (sent, told) = (is_recorded(&event.kind), format!("{:?}", event.kind));
        rows.add(event);
        assert_eq!(rows.len() > 0, sent, "{told}");
    }
}
