//! Series that say little or nothing: every question is answered, and none is answered with what is not known.

use super::{
    History, SeriesFilter,
    analysis::{self, ForecastOptions, Windows},
    series_tests::{file_with, run},
};
use crate::{
    report::{Findings, Question},
    stats::trend::Course,
};
use std::{path::Path, time::SystemTime};

/// All that can be asked of a file, at once.
fn everything(path: &Path) -> Findings {
    let series = History::open(path).unwrap().series(&SeriesFilter::default()).unwrap();
    let mut findings = Findings::new(Question::Report, path).with_series(analysis::series_rows(&series));
    analysis::regressions(&series, &Windows::default(), &mut findings);
    analysis::change_points(&series, &mut findings);
    analysis::trends(&series, &mut findings);
    analysis::anomalies(&series, &mut findings);
    analysis::forecasts(&series, &ForecastOptions { budget: Some(5.0), ..Default::default() }, &mut findings);
    analysis::correlations(&series, &mut findings);
    analysis::recommendations(&series, SystemTime::now(), &mut findings);
    findings
}

/// What is told of nights of which each measured this.
fn of_nights(nights: &[&str]) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let night = |(index, results): (usize, &&str)| {
        let day = index + 1;
        run(day as i64, &format!("2026-01-{day:02}"), results)
    };
    file_with(&path, &nights.iter().enumerate().map(night).collect::<String>());
    everything(&path)
}

fn finds_nothing(findings: &Findings) -> bool {
    findings.regressions.is_empty()
        && findings.change_points.is_empty()
        && findings.trends.iter().all(|row| row.trend == Course::Stable)
        && findings.anomalies.is_empty()
        && findings.correlations.is_empty()
}

fn reasons(findings: &Findings) -> Vec<&str> {
    let of_times = findings.not_judged.iter().filter(|row| row.series.metric == "run_ms");
    of_times.map(|row| row.reason.as_str()).collect()
}

#[test]
fn a_file_without_a_run_has_nothing_to_tell() {
    let findings = of_nights(&[]);
    assert!(finds_nothing(&findings) && findings.series.is_empty() && findings.not_judged.is_empty(), "{findings:?}");
    assert!(findings.recommendations.is_empty() && findings.forecasts.is_empty());
}

#[test]
fn one_or_two_points_are_too_few_and_that_is_said() {
    for nights in [&["(10, true)"][..], &["(10, true)", "(30, true)"]] {
        let findings = of_nights(nights);
        assert!(finds_nothing(&findings) && findings.forecasts.is_empty(), "{findings:?}");
        assert_eq!(reasons(&findings).len(), 3, "neither compared, nor a trend, nor forecast: {findings:?}");
        assert_eq!(findings.recommendations[0].says, "the only one");
    }
}

#[test]
fn what_never_changes_is_stable_and_stays_what_it_is() {
    let findings = of_nights(&["(10, true), (10, true), (10, true)"; 20]);
    assert!(finds_nothing(&findings), "{findings:?}");
    let forecast = findings.forecasts.iter().find(|row| row.series.metric == "run_ms").unwrap();
    assert!(forecast.points.iter().all(|point| *point == [10.0; 3]), "{forecast:?}");
    assert_eq!(forecast.crossing.as_deref(), Some("beyond it already"));
}

#[test]
fn what_is_no_number_is_no_point() {
    let findings = of_nights(&["('nan'::DOUBLE, true), ('inf'::DOUBLE, true), (NULL, true)"; 12]);
    assert!(finds_nothing(&findings), "{findings:?}");
    assert!(findings.series.iter().all(|row| row.name.metric == "failure_rate"), "{findings:?}");
    assert!(serde_json::to_string(&findings).unwrap().contains("failure_rate"));
}

/// Repeatable noise, in -1..1.
fn noise(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[test]
fn of_many_series_that_only_waver_hardly_any_has_a_trend() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let night = |day: u64| {
        let results: Vec<_> = (0..200).map(|model| format!("({}, {model})", 10.0 + noise(model * 100 + day))).collect();
        format!(
            "INSERT INTO runs (run_id, command, started_at) VALUES ({day}, 'bench', '2026-01-{day:02}'); \
             INSERT INTO performance_results (run_id, happened_at, job, attempt, target, model, success, run_ms) \
             SELECT {day}, '2026-01-{day:02}', 1, 1, 'chrome/wasm', 'm' || col1, true, col0 FROM (VALUES {}) AS t(col0, col1);",
            results.join(", ")
        )
    };
    file_with(&path, &(1..=20).map(night).collect::<String>());
    let filter = SeriesFilter { metrics: vec![crate::history::Metric::RunMs], ..SeriesFilter::default() };
    let series = History::open(&path).unwrap().series(&filter).unwrap();
    let mut findings = Findings::new(Question::Trends, &path);
    analysis::trends(&series, &mut findings);
    let by_chance = findings.trends.iter().filter(|row| row.p_value < 0.05).count();
    let told = findings.trends.iter().filter(|row| row.trend != Course::Stable).count();
    assert!(findings.trends.len() == 200 && by_chance >= 4, "each by itself: {by_chance} of 200");
    assert!(told <= 1, "{told} of 200");
    assert!(findings.trends.iter().all(|row| row.p_adjusted >= row.p_value));
}
