//! Series as they are read back from what was recorded.

use super::{
    History, Metric, Recorder, RunInfo, Series, SeriesFilter,
    database::{Access, Database},
    schema,
    tests::{failed, info, model, ready, succeeded},
};
use crate::stats::Direction;
use crate::types::{EventKind, TargetInfo, Timings};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A file of this version in which `sql` was executed.
pub(super) fn file_with(path: &Path, sql: &str) {
    let database = Database::open(path, Access::Write).unwrap();
    schema::migrate(&database).unwrap();
    database.connection().execute_batch(sql).unwrap();
}

/// SQL that adds a run, and the results of one model in it as `(run_ms, success)`.
pub(super) fn run(run_id: i64, started: &str, results: &str) -> String {
    format!(
        "INSERT INTO runs (run_id, command, tabfleet, started_at, os, arch, cores) \
         VALUES ({run_id}, 'bench', '0.1.0', '{started}', 'linux', 'x86_64', 2); \
         INSERT INTO performance_results (run_id, happened_at, job, attempt, tab, target, model, success, run_ms) \
         SELECT {run_id}, '{started}', 1, 1, 1, 'chrome/wasm', 'add', col1, col0 FROM (VALUES {results}) AS t(col0, col1);"
    )
}

fn all(path: &Path) -> Vec<Series> {
    History::open(path).unwrap().series(&SeriesFilter::default()).unwrap()
}

fn only(path: &Path, metric: Metric) -> Series {
    let filter = SeriesFilter { metrics: vec![metric], ..SeriesFilter::default() };
    let mut series = History::open(path).unwrap().series(&filter).unwrap();
    assert_eq!(series.len(), 1, "{series:?}");
    series.remove(0)
}

fn run_ids(series: &Series) -> Vec<i64> {
    series.points.iter().map(|point| point.run_id).collect()
}

fn timed(job: u64, timings: Timings) -> crate::types::Event {
    let mut event = succeeded(job, 1, &model());
    if let EventKind::AttemptSucceeded { timings: measured, .. } = &mut event.kind {
        *measured = timings;
    }
    event
}

#[test]
fn a_recorded_run_is_a_point_of_each_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("bench")).unwrap();
    recorder.record(ready(1, info(false)));
    let cold =
        Timings { create_ms: Some(80.0), download_ms: Some(20.0), run_ms: 9.0, total_ms: 110.0, ..Timings::default() };
    recorder.record(timed(0, cold));
    for (job, run_ms) in [3.0, 1.0, 2.0].into_iter().enumerate() {
        let timings = Timings { run_ms, readback_ms: Some(0.5), total_ms: run_ms + 1.0, ..Timings::default() };
        recorder.record(timed(1 + job as u64, timings));
    }
    recorder.record(failed(9));
    recorder.close().unwrap();

    let series = all(&path);
    let summary: Vec<_> = series.iter().map(|it| (it.key.metric.name(), it.points[0].samples.clone())).collect();
    assert_eq!(
        summary,
        [
            ("run_ms", vec![3.5, 1.5, 2.5]),
            ("first_run_ms", vec![9.0]),
            ("total_ms", vec![4.0, 2.0, 3.0]),
            ("wire_ms", vec![0.0; 3]),
            ("queue_ms", vec![0.0; 3]),
            ("readback_ms", vec![0.5; 3]),
            ("create_ms", vec![80.0]),
            ("download_ms", vec![20.0]),
            ("memory_bytes", vec![1_048_576.0; 4]),
            ("failure_rate", vec![0.2]),
        ]
    );
    let (key, point) = (&series[0].key, &series[0].points[0]);
    assert_eq!((&*key.model, &*key.operation, &*key.target), ("add", "infer", "chrome/webgpu"));
    assert_eq!(key.adapter.as_deref(), Some("google swiftshader"));
    assert_eq!((key.batch, key.precision.as_deref()), (Some(4), Some("float32")));
    assert_eq!((point.run_id, point.median, point.measured, point.attempts, point.failures), (1, 2.5, 3, 5, 1));
    assert_eq!(point.environment.version.as_deref(), Some("156.0.1"));
    assert_eq!(point.environment.runtime_version.as_deref(), Some("1.30.0"));
}

#[test]
fn what_was_run_to_warm_up_is_no_sample_but_what_loading_took_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("bench")).unwrap();
    recorder.record(ready(1, info(false)));
    for (job, create_ms, run_ms) in [(0, Some(80.0), 9.0), (1, None, 5.0), (2, None, 4.0)] {
        let mut event = timed(job, Timings { create_ms, run_ms, ..Timings::default() });
        if let EventKind::AttemptSucceeded { warm_up, .. } = &mut event.kind {
            *warm_up = true;
        }
        recorder.record(event);
    }
    recorder.record(timed(3, Timings { run_ms: 1.0, ..Timings::default() }));
    recorder.close().unwrap();
    let samples = |metric: Metric| only(&path, metric).points.remove(0).samples;
    assert_eq!([Metric::RunMs, Metric::FirstRunMs, Metric::CreateMs].map(samples), [[1.0], [9.0], [80.0]]);
    let kept = "SELECT operation, count(*) FROM performance_results GROUP BY ALL ORDER BY ALL";
    assert_eq!(super::tests::query(&path, kept), "infer,2\nwarm-up,2");
    History::roll_up(&path, SystemTime::now() + Duration::from_secs(2 * 86_400)).unwrap();
    assert_eq!(only(&path, Metric::RunMs).points[0].samples, [1.0], "rolled up");
}

#[test]
fn a_browser_that_is_updated_midway_splits_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let updated = {
        let mut updated = TargetInfo::clone(&info(false));
        updated.identity.as_mut().unwrap().version = "157.0.2".to_owned();
        Arc::new(updated)
    };
    let recorder = Recorder::open(&path, RunInfo::detect("bench")).unwrap();
    for (tab, info) in [(1, info(false)), (2, updated)] {
        recorder.record(ready(tab, info));
        recorder.record(succeeded(tab, tab, &model()));
    }
    recorder.record(succeeded(3, 1, &model()));
    recorder.close().unwrap();
    let series = only(&path, Metric::RunMs);
    let counts: Vec<_> = series.points.iter().map(|point| (point.run_id, point.samples.len())).collect();
    assert_eq!(counts, [(1, 2), (1, 1)]);
    let [before, after] = [0, 1].map(|number: usize| &series.points[number].environment);
    assert_eq!(before.changes(after), ["Chrome 156.0.1 -> 157.0.2"]);
}

#[test]
fn recorded_runs_keep_their_order_when_the_clock_goes_back_and_imported_ones_come_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let runs = [(1, "2026-01-03"), (2, "2026-01-09"), (3, "2026-01-05"), (4, "2026-01-10"), (5, "2026-01-04")];
    let sql: String = runs.iter().map(|(run_id, started)| run(*run_id, started, "(1.0, true)")).collect();
    file_with(&path, &format!("{sql} UPDATE runs SET origin = 'imported' WHERE run_id = 5"));
    assert_eq!(run_ids(&only(&path, Metric::RunMs)), [1, 5, 2, 3, 4]);
}

#[test]
fn failures_and_what_is_no_number_are_no_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let results = "(1.0, true), ('nan'::DOUBLE, true), ('inf'::DOUBLE, true), (NULL, true), (0.1, false), (4.0, true)";
    file_with(&path, &(run(1, "2026-01-01", results) + &run(2, "2026-01-02", "(0.1, false)")));
    let series = only(&path, Metric::RunMs);
    assert_eq!(run_ids(&series), [1], "a run without a sample is no point");
    let point = &series.points[0];
    assert_eq!((&*point.samples, point.median, point.attempts, point.failures), (&[1.0, 4.0][..], 2.5, 6, 1));
    let rates: Vec<_> = only(&path, Metric::FailureRate).points.iter().map(|point| point.median).collect();
    assert_eq!(rates, [1.0 / 6.0, 1.0], "but it failed");
}

#[test]
fn a_filter_chooses_runs_and_series() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let sql: String = (1..=9).map(|run_id| run(run_id, &format!("2026-01-0{run_id}"), "(1.0, true)")).collect();
    let changes = "UPDATE runs SET git_branch = 'main' WHERE run_id % 2 = 1; \
                   UPDATE performance_results SET model = 'mul' WHERE run_id > 7; \
                   UPDATE performance_results SET operation = 'train', batch = 8, precision = 'float16' WHERE run_id = 1;";
    file_with(&path, &(sql + changes));
    let history = History::open(&path).unwrap();
    let read = |filter: SeriesFilter| {
        let filter = SeriesFilter { metrics: vec![Metric::RunMs], ..filter };
        history.series(&filter).unwrap().iter().map(run_ids).collect::<Vec<_>>()
    };
    let day = |day: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * (20_454 + day - 1)));
    let text = |text: &str| Some(text.to_owned());
    let all = SeriesFilter::default;
    assert_eq!(read(all()), [vec![2, 3, 4, 5, 6, 7], vec![1], vec![8, 9]]);
    assert_eq!(read(SeriesFilter { since: day(3), until: day(6), ..all() }), [[3, 4, 5]]);
    assert_eq!(read(SeriesFilter { last: Some(3), ..all() }), [vec![7], vec![8, 9]]);
    assert_eq!(read(SeriesFilter { last: Some(2), model: text("add"), ..all() }), [[6, 7]]);
    assert_eq!(read(SeriesFilter { last: Some(2), branch: text("main"), ..all() }), [vec![7], vec![9]]);
    assert_eq!(read(SeriesFilter { operation: text("train"), ..all() }), [[1]]);
    assert_eq!(read(SeriesFilter { last: Some(0), ..all() }), Vec::<Vec<i64>>::new());
    assert_eq!(read(SeriesFilter { target: text("firefox/wasm"), ..all() }), Vec::<Vec<i64>>::new());
    let trained = history.series(&SeriesFilter { operation: text("train"), ..all() }).unwrap();
    assert_eq!((trained[0].key.batch, trained[0].key.precision.as_deref()), (Some(8), Some("float16")));
}

#[test]
fn an_empty_history_has_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    file_with(&path, "");
    assert_eq!(all(&path), []);
}

#[test]
fn series_come_in_the_order_of_their_keys_with_every_sample_of_a_large_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    // More than two reads' worth of rows; each series of 500 runs with two samples each.
    file_with(
        &path,
        "INSERT INTO runs (run_id, command, started_at) SELECT i, 'bench', TIMESTAMP '2026-01-01' + to_hours(i::INT) FROM range(1, 501) t(i); \
         INSERT INTO performance_results (run_id, happened_at, job, attempt, target, model, success, run_ms) \
         SELECT i, '2026-01-01', s, 1, 'chrome/wasm', 'm' || m, true, i * 1000 + m + s / 10 \
         FROM range(1, 501) r(i), range(100, 400) m(m), range(2) s(s)",
    );
    let filter = SeriesFilter { metrics: vec![Metric::RunMs], ..SeriesFilter::default() };
    let series = History::open(&path).unwrap().series(&filter).unwrap();
    assert_eq!(series.len(), 300);
    for (number, series) in series.iter().enumerate() {
        let model = number as f64 + 100.0;
        assert_eq!(series.key.model, format!("m{model}"));
        assert_eq!(run_ids(series), (1..=500).collect::<Vec<_>>());
        for point in &series.points {
            let first = point.run_id as f64 * 1000.0 + model;
            let mut samples = point.samples.clone();
            samples.sort_by(f64::total_cmp);
            assert_eq!(samples, [first, first + 0.1]);
        }
    }
}

#[test]
fn metrics_are_named_and_know_their_direction() {
    for metric in Metric::ALL {
        assert_eq!(Metric::from_name(metric.name()), Some(metric));
        assert_eq!(metric.better() == Direction::HigherIsBetter, metric == Metric::Throughput);
        assert_eq!(metric.unit() == "ms", metric.name().ends_with("_ms"));
        assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
    }
    assert_eq!(Metric::from_name("speed"), None);
}
