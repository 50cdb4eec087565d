//! From injections to rows of the report: pure.

use super::{ledger::Injection, plan::Plan};
use crate::{
    report::{BadJob, Badness, InjectionRow, ModeRow},
    types::{Browser, FailureMode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// One injection as it is reported; times of day count from `started`.
pub(super) fn injection_row(injection: &Injection, started: Instant) -> InjectionRow {
    let after = |at: Instant| ms(injection.at, at);
    InjectionRow {
        mode: injection.mode,
        browser: format!("{} {}", injection.kind, injection.browser),
        what: injection.what.clone(),
        at_ms: ms(started, injection.at),
        detected_ms: injection.detected.as_ref().map(|(at, _)| after(*at)),
        told_as: injection.detected.as_ref().map(|(_, told_as)| told_as.clone()),
        recovered_ms: injection.recovered.map(after),
    }
}

pub(super) fn ms(from: Instant, to: Instant) -> f64 {
    // A thousandth of a millisecond is far below what any of this can be measured to.
    (to.saturating_duration_since(from).as_secs_f64() * 1e6).round() / 1e3
}

/// A row for each mode that was asked for.
pub(super) fn mode_rows(
    modes: &BTreeSet<FailureMode>,
    injections: &[InjectionRow],
    bad_jobs: &[BadJob],
    plan: &Plan,
    browsers: &[Browser],
) -> Vec<ModeRow> {
    let row = |mode: &FailureMode| {
        let of_mode: Vec<&InjectionRow> = injections.iter().filter(|injection| injection.mode == *mode).collect();
        let detection: Vec<f64> = of_mode.iter().filter_map(|injection| injection.detected_ms).collect();
        let recovery: Vec<f64> = of_mode.iter().filter_map(|injection| injection.recovered_ms).collect();
        let bad = |badness| bad_jobs.iter().filter(|bad| bad.mode == Some(*mode) && bad.badness == badness).count();
        let mut told_as = BTreeMap::new();
        for told in of_mode.iter().filter_map(|injection| injection.told_as.clone()) {
            *told_as.entry(told).or_default() += 1;
        }
        ModeRow {
            mode: *mode,
            skipped: of_mode.is_empty().then(|| skipped(*mode, plan, browsers)),
            injected: of_mode.len() as u64,
            detected: detection.len() as u64,
            detection_p50_ms: percentile(&detection, 50),
            detection_p99_ms: percentile(&detection, 99),
            recovered: recovery.len() as u64,
            recovery_p50_ms: percentile(&recovery, 50),
            recovery_p99_ms: percentile(&recovery, 99),
            lost: bad(Badness::Lost) as u64,
            wrong: bad(Badness::Wrong) as u64,
            doubled: bad(Badness::Doubled) as u64,
            told_as,
        }
    };
    modes.iter().map(row).collect()
}

/// Why a mode was never injected.
fn skipped(mode: FailureMode, plan: &Plan, browsers: &[Browser]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (browser, reason) in plan.refusals(mode) {
        by_reason.entry(reason).or_default().push(browser.name());
    }
    let refused = plan.refusals(mode).filter(|(browser, _)| browsers.contains(browser)).count();
    let mut reasons: Vec<String> =
        by_reason.into_iter().map(|(reason, browsers)| format!("{}: {reason}", browsers.join(", "))).collect();
    if refused < browsers.len() {
        reasons.push("its turn did not come; a longer --duration or a higher --rate helps".to_owned());
    }
    reasons.join("; ")
}

/// The nearest-rank percentile: a value that was measured.
fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (Some(100.0), Some(198.0)));
        assert_eq!((percentile(&[3.0], 50), percentile(&[3.0, 7.0], 99)), (Some(3.0), Some(7.0)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_mode_is_skipped_with_every_reason_or_because_its_turn_did_not_come() {
        let modes: BTreeSet<FailureMode> = [FailureMode::DriverKill].into();
        let mut plan = Plan::new(0, 0.0, &modes, None);
        let both = [Browser::Chrome, Browser::Edge];
        let reason = |plan: &Plan| mode_rows(&modes, &[], &[], plan, &both)[0].skipped.clone().unwrap();
        assert!(reason(&plan).contains("its turn did not come"), "{}", reason(&plan));
        plan.refuse(FailureMode::DriverKill, Browser::Chrome, "no driver".to_owned());
        plan.refuse(FailureMode::DriverKill, Browser::Edge, "no driver".to_owned());
        assert_eq!(reason(&plan), "chrome, edge: no driver");
    }
}
