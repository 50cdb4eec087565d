//! How well targets were, of the runs and models that are asked for.

use super::{
    History, SeriesFilter,
    series_tests::{file_with, run},
};
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Two runs: in the first a health check failed and a breaker opened; in the second a tab was replaced.
fn past(path: &Path) {
    let sql = [
        run(1, "2026-01-01", "(10, true), (11, true), (12, true)"),
        run(2, "2026-01-02", "(10, true), (NULL, false), (NULL, false)"),
        "INSERT INTO breaker_events VALUES (1, '2026-01-01', 'chrome/wasm', NULL, NULL, 'closed', 'open', 'it failed', 30), \
             (1, '2026-01-01', 'chrome/wasm', NULL, NULL, 'open', 'half-open', 'its time is over', NULL); \
         INSERT INTO recoveries VALUES \
             (2, '2026-01-02', 'chrome', 'chrome/wasm', 1, 1, 'connection', 'tab-crashed', '', 'replace-tab', true, 250), \
             (2, '2026-01-02', 'chrome', 'chrome/wasm', 1, 1, 'connection', 'tab-crashed', '', 'failover', false, 10); \
         INSERT INTO health_checks VALUES (1, '2026-01-01', 1, 'chrome/wasm', false, 'health-check', 'wrong-output', ''), \
             (2, '2026-01-02', 1, 'firefox/wasm', true, NULL, NULL, NULL);"
            .to_owned(),
    ];
    file_with(path, &sql.concat());
}

fn health(path: &Path, filter: &SeriesFilter) -> Vec<(String, [u64; 7], Option<f64>)> {
    let rows = History::open(path).unwrap().target_health(filter).unwrap();
    let counts = |row: &crate::report::HealthRow| {
        [
            row.attempts,
            row.failures,
            row.circuit_opened,
            row.recoveries,
            row.helped,
            row.health_checks,
            row.failed_checks,
        ]
    };
    rows.into_iter().map(|row| (row.target.clone(), counts(&row), row.recovery_ms)).collect()
}

#[test]
fn each_targets_attempts_breakers_recoveries_and_checks_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    past(&path);
    let chrome = |counts, ms| ("chrome/wasm".to_owned(), counts, ms);
    let firefox = ("firefox/wasm".to_owned(), [0, 0, 0, 0, 0, 1, 0], None);
    let all = SeriesFilter::default();
    assert_eq!(health(&path, &all), [chrome([6, 2, 1, 2, 1, 1, 1], Some(250.0)), firefox.clone()]);
    let newest = SeriesFilter { last: Some(1), ..all.clone() };
    assert_eq!(health(&path, &newest), [chrome([3, 2, 0, 2, 1, 0, 0], Some(250.0)), firefox]);
    let first = SeriesFilter { until: Some(day(2)), ..all.clone() };
    assert_eq!(health(&path, &first), [chrome([3, 0, 1, 0, 0, 1, 1], None)]);
    let chromes = SeriesFilter { target: Some("chrome/wasm".to_owned()), since: Some(day(2)), ..all.clone() };
    assert_eq!(health(&path, &chromes), [chrome([3, 2, 0, 2, 1, 0, 0], Some(250.0))]);
    assert_eq!(health(&path, &SeriesFilter { since: Some(day(9)), ..all.clone() }), []);

    // What is rolled up still counts.
    History::roll_up(&path, day(9)).unwrap();
    assert_eq!(health(&path, &all)[0], chrome([6, 2, 1, 2, 1, 1, 1], Some(250.0)));
}

/// Midnight of that day of January 2026.
fn day(day: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(86_400 * (20_454 + day - 1))
}
