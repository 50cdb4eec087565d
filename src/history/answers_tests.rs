//! What was found is kept, once.

use super::{
    History, Recorder, RunInfo, SeriesFilter,
    analysis::{self, Windows},
    series_tests::{file_with, run},
    tests::query,
};
use crate::report::{Findings, Question};
use std::{
    path::Path,
    sync::{Arc, mpsc::channel},
    time::SystemTime,
};

/// Twelve runs of one model, five samples each, of which the last two are twice as slow.
fn slower(path: &Path) {
    let runs: String = (1..=12_u32)
        .map(|day| {
            let level = if day > 10 { 20.0 } else { 10.0 };
            let samples = (0..5).map(|n| format!("({}, true)", level + f64::from((day * 7 + n * 3) % 10) / 10.0));
            run(i64::from(day), &format!("2026-01-{day:02}"), &samples.collect::<Vec<_>>().join(", "))
        })
        .collect();
    file_with(path, &runs);
}

fn found(path: &Path) -> Findings {
    let series = History::open(path).unwrap().series(&SeriesFilter::default()).unwrap();
    let mut findings = Findings::new(Question::Report, path).with_series(analysis::series_rows(&series));
    analysis::regressions(&series, &Windows { candidate_runs: 2, ..Windows::default() }, &mut findings);
    analysis::trends(&series, &mut findings);
    analysis::recommendations(&series, SystemTime::now(), &mut findings);
    findings
}

#[test]
fn what_was_found_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    slower(&path);
    let findings = found(&path);
    // A regression of the run time; trends of the run time and of how often it fails; one recommendation.
    assert_eq!(History::keep(&path, &findings, None).unwrap(), 4);
    assert_eq!(History::keep(&path, &found(&path), None).unwrap(), 0, "found again");
    assert_eq!(History::keep(&path, &findings, Some("v1")).unwrap(), 1, "with another baseline it is another one");
    assert_eq!(
        query(
            &path,
            "SELECT run_id, model, target, metric, baseline, baseline_samples, candidate_samples, direction, severity, \
             shift_percent BETWEEN 80 AND 120 FROM regression_history ORDER BY found_at, baseline NULLS FIRST"
        ),
        "12,add,chrome/wasm,run_ms,-,50,10,regression,critical,true\n12,add,chrome/wasm,run_ms,v1,50,10,regression,critical,true"
    );
    assert_eq!(
        query(
            &path,
            "SELECT metric, points, direction, last_at - first_at = INTERVAL 11 DAY FROM trend_analysis ORDER BY 1"
        ),
        "failure_rate,12,stable,true\nrun_ms,12,stable,true"
    );
    assert_eq!(
        query(
            &path,
            "SELECT model, family, target, runner_up, tie, samples, attempts, failures, reason, date_trunc('minute', last_at + INTERVAL 1 SECOND) = '2026-01-12' \
             FROM browser_recommendations"
        ),
        "add,-,chrome/wasm,-,false,50,50,0,the only one,true"
    );
}

#[test]
fn a_recorder_keeps_what_is_found_while_it_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    slower(&path);
    let findings = Arc::new(found(&path));
    let recorder = Recorder::open(&path, RunInfo::detect("library")).unwrap();
    let keep = || {
        let (reply, kept) = channel();
        recorder.keep(Arc::clone(&findings), move |rows| reply.send(rows).unwrap());
        kept.recv().unwrap().unwrap()
    };
    assert_eq!((keep(), keep()), (4, 0));
    recorder.close().unwrap();
    assert_eq!(query(&path, "SELECT severity FROM regression_history"), "critical");
}

#[test]
fn a_change_of_the_environment_is_kept_as_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    slower(&path);
    let mut findings = found(&path);
    findings.regressions[0].environment_changes = vec!["Chrome 156 -> 157".to_owned(), "threads 1 -> 2".to_owned()];
    History::keep(&path, &findings, None).unwrap();
    let kept = "SELECT len(environment)::INTEGER, environment[1], environment[2] FROM regression_history";
    assert_eq!(query(&path, kept), "2,Chrome 156 -> 157,threads 1 -> 2");
}

#[test]
fn what_another_process_recorded_later_is_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    slower(&path);
    let series = History::open(&path).unwrap().series(&SeriesFilter::default()).unwrap();
    let judged = |runs: &[i64]| {
        let windows = Windows { judged_runs: Some(runs.iter().copied().collect()), all: true, ..Windows::default() };
        let mut findings = Findings::new(Question::Regressions, &path);
        analysis::regressions(&series, &windows, &mut findings);
        let times = findings.regressions.into_iter().find(|row| row.series.metric == "run_ms");
        times.map(|row| row.candidate.runs.last().copied())
    };
    assert_eq!(judged(&[9]), Some(Some(9)), "the runs after it are slower");
    assert_eq!(judged(&[11]), Some(Some(11)));
    assert_eq!((judged(&[13]), judged(&[])), (None, None));
}

#[test]
fn a_target_is_ranked_by_the_adapter_that_it_has_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    // WebGPU takes 1 ms, until the GPU goes and it takes 50 ms in software; WASM takes 10 ms.
    let night = |day: i64| {
        let (adapter, took) = if day <= 8 { ("nvidia", 1.0) } else { ("google swiftshader", 50.0) };
        let samples = |took: f64| {
            let all: Vec<_> = (0..6).map(|n| format!("({}, true)", took + f64::from(n) / 100.0)).collect();
            all.join(", ")
        };
        run(day, &format!("2026-01-{day:02}"), &samples(10.0))
            + &run(day + 100, &format!("2026-01-{day:02} 01:00:00"), &samples(took))
            + &format!(
                "INSERT INTO targets (run_id, target_id, target, available, adapter_vendor) \
                 VALUES ({}, 0, 'chrome/webgpu', true, '{adapter}'); \
                 UPDATE performance_results SET target = 'chrome/webgpu', target_id = 0 WHERE run_id = {};",
                day + 100,
                day + 100
            )
    };
    file_with(&path, &(1..=12).map(night).collect::<String>());
    let findings = found(&path);
    let ranked: Vec<_> = findings.recommendations[0]
        .targets
        .iter()
        .map(|row| (&*row.target, row.adapter.as_deref(), row.samples))
        .collect();
    assert_eq!(ranked, [("chrome/wasm", None, 60), ("chrome/webgpu", Some("google swiftshader"), 24)]);
    History::keep(&path, &findings, None).unwrap();
    assert_eq!(
        query(&path, "SELECT target, adapter, runner_up FROM browser_recommendations"),
        "chrome/wasm,-,chrome/webgpu"
    );
}
