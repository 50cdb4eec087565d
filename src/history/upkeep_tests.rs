//! Queries, exports, roll-ups and the spool.

use super::{
    Baseline, ExportFormat, History, HistoryError, Merged, Metric, Recorder, RolledUp, RunInfo, Series, SeriesFilter,
    database::{Access, Database},
    schema,
    series_tests::{file_with, run},
    spool,
    tests::{failed, info, model, query, ready, succeeded},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Midnight of that day of January 2026.
fn january(day: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(86_400 * (20_454 + day - 1))
}

fn record(recorder: Recorder) {
    recorder.record(ready(1, info(false)));
    recorder.record(succeeded(1, 1, &model()));
    recorder.record(failed(2));
    recorder.close().unwrap();
}

fn series(path: &Path) -> Vec<Series> {
    History::open(path).unwrap().series(&SeriesFilter::default()).unwrap()
}

#[test]
fn a_query_answers_in_values_that_json_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    file_with(&path, "");
    let history = History::open(&path).unwrap();
    let answer = history
        .query(
            "SELECT 1 AS one, 0.5 AS half, 'nan'::DOUBLE AS nan, NULL AS nothing, 'é' AS word, true AS yes, \
             TIMESTAMP '2026-01-02 03:04:05.5' AS at, DATE '2026-01-02' AS day, TIME '03:04:05' AS time, \
             sum(2) AS sum, [1.5, NULL] AS list, {'a': 1, 'b': ['x']} AS record, '\\xAB'::BLOB AS bytes, \
             170141183460469231731687303715884105727::HUGEINT AS huge, 'x'::ENUM ('x', 'y') AS kind",
        )
        .unwrap();
    let values = answer.columns.iter().cloned().zip(answer.rows[0].clone());
    assert_eq!(
        values.collect::<serde_json::Map<_, _>>(),
        *json!({
            "one": 1, "half": 0.5, "nan": null, "nothing": null, "word": "é", "yes": true,
            "at": "2026-01-02T03:04:05.5Z", "day": "2026-01-02", "time": "3:04:05.0", "sum": 2, "list": [1.5, null],
            "record": {"a": 1, "b": ["x"]}, "bytes": "ab", "huge": "170141183460469231731687303715884105727", "kind": "x"
        })
        .as_object()
        .unwrap()
    );
    let none = history.query("SELECT run_id, command FROM runs").unwrap();
    assert_eq!((none.columns, none.rows), (vec!["run_id".to_owned(), "command".to_owned()], vec![]));
}

#[test]
fn a_query_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    file_with(&path, &run(1, "2026-01-01", "(1.0, true)"));
    let history = History::open(&path).unwrap();
    for sql in ["DELETE FROM runs", "DROP TABLE runs", "CREATE TABLE more (x INTEGER)", "UPDATE runs SET cores = 3"] {
        let error = history.query(sql).unwrap_err();
        assert!(matches!(error, HistoryError::ReadOnly { .. }), "{sql}: {error:?}");
    }
    for sql in ["SELEKT 1", "SELECT * FROM nothing_like_it", "SELECT 'x'::INTEGER", ""] {
        let error = history.query(sql).unwrap_err();
        assert!(matches!(error, HistoryError::Query { .. }), "{sql}: {error:?}");
    }
    assert_eq!(history.query("SELECT count(*) FROM runs").unwrap().rows, [[json!(1)]]);
}

#[test]
fn every_table_is_exported_and_read_back_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    record(Recorder::open(&path, RunInfo::detect("run")).unwrap());
    let history = History::open(&path).unwrap();
    for format in [ExportFormat::Parquet, ExportFormat::Csv, ExportFormat::Json] {
        assert_eq!(ExportFormat::from_name(format.name()), Some(format));
        let to = folder.path().join("it's exported").join(format.name());
        let all = SeriesFilter::default();
        history.export(&to, format, &all).unwrap();
        let files = history.export(&to, format, &all).unwrap();
        let tables = history.query("SELECT count(*) FROM duckdb_tables()").unwrap().rows;
        assert_eq!((json!(files.len()), fs::read_dir(&to).unwrap().count()), (tables[0][0].clone(), files.len()));
        let read = to.join(format!("performance_results.{}", format.name())).display().to_string().replace('\'', "''");
        let rows = format!("SELECT count(*), count(*) FILTER (success), max(message) FROM '{read}'");
        assert_eq!(
            history.query(&rows).unwrap().rows,
            [[json!(2), json!(1), json!("the device's \"gone\"; \u{1F4A5}")]]
        );
    }
    let (none, to) = (SeriesFilter { until: Some(UNIX_EPOCH), ..SeriesFilter::default() }, folder.path().join("none"));
    history.export(&to, ExportFormat::Parquet, &none).unwrap();
    let counts = ["runs", "performance_results", "schema_version"].map(|table| {
        let count = format!("SELECT count(*) FROM '{}'", to.join(format!("{table}.parquet")).display());
        history.query(&count).unwrap().rows[0][0].clone()
    });
    assert_eq!(counts, [json!(0), json!(0), json!(schema::VERSION)], "of no run, and what is of none");
    let refused = history.export(&path, ExportFormat::Csv, &none).unwrap_err();
    assert!(matches!(refused, HistoryError::File { .. }), "a file is no folder: {refused:?}");
}

#[test]
fn old_results_are_rolled_up_by_day_and_stay_points() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let many = "(1.0, true)".to_owned() + &(2..=100).map(|n| format!(", ({n}.0, true)")).collect::<String>();
    let few = "(8.0, true), (6.0, true), ('nan'::DOUBLE, true), (0.5, false)";
    let runs = [
        run(1, "2026-01-01 05:00:00", &many),
        run(2, "2026-01-02 05:00:00", few),
        run(3, "2026-01-02 06:00:00", "(7.0, true)"),
        run(4, "2026-01-03 05:00:00", "(0.25, false)"),
        run(5, "2026-01-05 23:59:59", "(9.0, true)"),
    ];
    file_with(&path, &runs.concat());
    let before = History::open(&path).unwrap().runs().unwrap();
    // By days: what is of the fifth stays, as late as it is.
    let rolled = History::roll_up(&path, january(5) + Duration::from_secs(80_000)).unwrap();
    assert_eq!((rolled.runs, rolled.results), (4, 106));
    assert_eq!(query(&path, "SELECT count(*) FROM performance_results"), "1");
    assert_eq!(History::roll_up(&path, january(5)).unwrap(), RolledUp::default(), "nothing is left to roll up");
    assert_eq!(History::open(&path).unwrap().runs().unwrap(), before, "attempts are still known");

    let all = series(&path);
    assert_eq!(all.iter().map(|it| it.key.metric).collect::<Vec<_>>(), [Metric::RunMs, Metric::FailureRate]);
    let points = &all[0].points;
    let known: Vec<_> = points.iter().map(|it| (it.run_id, it.median, it.measured, it.attempts, it.failures)).collect();
    assert_eq!(known, [(1, 50.5, 100, 100, 0), (3, 7.0, 3, 5, 1), (5, 9.0, 1, 1, 0)]);
    assert_eq!(points[0].at, january(1) + Duration::from_secs(5 * 3600));
    assert_eq!(points[1].samples, [6.0, 7.0, 8.0], "few samples stay as they are");
    // numpy.quantile(range(1, 101), [1/64, 3/64, 63/64])
    assert_eq!((points[0].samples.len(), points[0].samples[0], points[0].samples[1]), (32, 2.546875, 5.640625));
    assert_eq!(points[0].samples[31], 98.453125);
    let rates: Vec<_> = all[1].points.iter().map(|point| (point.run_id, point.median)).collect();
    assert_eq!(rates, [(1, 0.0), (3, 0.2), (4, 1.0), (5, 0.0)]);
}

#[test]
fn the_runs_of_a_baseline_are_not_rolled_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let nights: String = (1..=3).map(|id| run(id, &format!("2026-01-01 0{id}:00:00"), "(1.0, true)")).collect();
    file_with(&path, &nights);
    let pinned = Baseline::set(&path, "v1", 2).unwrap().runs;
    Baseline::set(&path, "v1.1", 1).unwrap();
    assert_eq!(pinned, [2, 3]);
    let rolled = History::roll_up(&path, january(5)).unwrap();
    assert_eq!((rolled.runs, rolled.results), (1, 1));
    let points: Vec<_> = series(&path)[0].points.iter().map(|point| point.run_id).collect();
    assert_eq!(points, [1, 2, 3], "each is still compared with by its number");
    Baseline::remove(&path, "v1").unwrap();
    assert_eq!(History::roll_up(&path, january(5)).unwrap().runs, 1, "the third has a name still");
}

#[test]
fn a_day_is_rolled_up_apart_for_each_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let target = |run_id: i64, version: &str| {
        format!(
            "INSERT INTO targets (run_id, target_id, target, available, product, version) \
             VALUES ({run_id}, 0, 'chrome/wasm', true, 'Chrome', '{version}');"
        )
    };
    let runs: String = (1..=4).map(|id| run(id, "2026-01-01 05:00:00", &format!("({id}.0, true)"))).collect();
    let targets: String = [(1, "156"), (2, "156"), (3, "157")].map(|(id, version)| target(id, version)).concat();
    // The first run's results do not say which description is theirs; there is only one.
    let ids = "UPDATE performance_results SET target_id = 0 WHERE run_id IN (2, 3); \
               UPDATE runs SET git_branch = 'main', git_commit = 'c' || run_id;";
    file_with(&path, &format!("{runs}{targets}{ids}"));
    let environments = |path: &Path| -> Vec<(Option<String>, f64)> {
        let points = series(path).remove(0).points;
        points.iter().map(|point| (point.environment.version.clone(), point.median)).collect()
    };
    let version = |version: &str| Some(version.to_owned());
    let raw = environments(&path);
    assert_eq!(raw, [(version("156"), 1.0), (version("156"), 2.0), (version("157"), 3.0), (None, 4.0)]);
    assert_eq!(History::roll_up(&path, january(2)).unwrap().results, 4);
    assert_eq!(environments(&path), [(version("156"), 1.5), (version("157"), 3.0), (None, 4.0)]);
    assert_eq!(series(&path)[0].points[0].git_commit.as_deref(), Some("c2"));
}

#[test]
fn a_model_that_was_exported_again_is_told_with_what_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let files = "UPDATE performance_results SET model_sha256 = repeat(CASE run_id WHEN 1 THEN 'a0' ELSE 'b1' END, 32);";
    let runs: String = (1..=3).map(|id| run(id, &format!("2026-01-0{id}"), &format!("({id}.0, true)"))).collect();
    file_with(&path, &format!("{runs}{files}"));
    let changes = |path: &Path| -> Vec<Vec<String>> {
        let points = series(path).remove(0).points;
        points.windows(2).map(|two| two[0].environment.changes(&two[1].environment)).collect()
    };
    let expected = [vec!["model a0a0a0a0a -> b1b1b1b1b".to_owned()], vec![]];
    assert_eq!(changes(&path), expected);
    assert_eq!(History::roll_up(&path, january(3)).unwrap().results, 2);
    assert_eq!(changes(&path), expected, "rolled up");
}

#[test]
fn a_run_is_spooled_while_the_file_is_in_use_and_merged_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let holder = Recorder::open_or_spool(&path, RunInfo::detect("holder")).unwrap();
    assert_eq!(holder.run_id(), Some(1));
    let (one, two) = (RunInfo::detect("one"), RunInfo::detect("two"));
    let open = |run: &RunInfo| Recorder::open_or_spool(&path, run.clone()).unwrap();
    let (first, second) = (open(&one), open(&two));
    assert_eq!((first.run_id(), second.run_id()), (None, None));
    record(first);
    assert!(matches!(History::merge(&path), Err(HistoryError::InUse { .. })), "the history is still held");
    record(holder);

    let merged = History::merge(&path).unwrap();
    assert_eq!(merged, Merged { runs: vec![2], already: 0, still_recording: 1 });
    record(second);
    assert_eq!(History::merge(&path).unwrap(), Merged { runs: vec![3], ..Merged::default() });
    assert!(!spool::folder(&path).exists());
    assert_eq!(History::merge(&path).unwrap(), Merged::default());

    let runs = History::open(&path).unwrap().runs().unwrap();
    let known: Vec<_> = runs.iter().map(|run| (run.run_id, &*run.info.command, run.attempts, run.failures)).collect();
    assert_eq!(known, [(1, "holder", 2, 1), (2, "one", 2, 1), (3, "two", 2, 1)]);
    assert_eq!(query(&path, "SELECT run_id, origin FROM runs ORDER BY 1"), "1,recorded\n2,merged\n3,merged");
    assert_eq!(
        query(&path, "SELECT run_id, event FROM browser_events ORDER BY 1"),
        "1,tab-ready\n2,tab-ready\n3,tab-ready"
    );
    let points: Vec<_> = series(&path)[0].points.iter().map(|point| point.run_id).collect();
    assert_eq!(points, [1, 2, 3]);
}

#[test]
fn a_baseline_is_set_replaced_read_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    drop(Recorder::open(&path, RunInfo::detect("bench")).unwrap());
    let refused = Baseline::set(&path, "v1", 1).unwrap_err();
    assert!(matches!(refused, HistoryError::NothingMeasured { .. }), "{refused:?}");
    fs::remove_file(&path).unwrap();
    file_with(&path, &(run(1, "2026-01-01", "(1.0, true)") + &run(2, "2026-01-02", "(1.0, true)")));
    let baseline = |name: &str| History::open(&path).unwrap().baseline(name);
    assert_eq!(Baseline::set(&path, "v1", 1).unwrap().runs, [2]);
    assert_eq!(Baseline::set(&path, "it's all", 9).unwrap().runs, [1, 2]);
    assert_eq!(baseline("v1").unwrap(), [2]);
    Baseline::set(&path, "v1", 2).unwrap();
    assert_eq!((baseline("v1").unwrap(), baseline("it's all").unwrap()), (vec![1, 2], vec![1, 2]));
    Baseline::remove(&path, "v1").unwrap();
    let unknown = baseline("v1").unwrap_err();
    assert!(matches!(&unknown, HistoryError::NoBaseline { known, .. } if *known == ["it's all"]), "{unknown:?}");
}

/// The only thing with that extension in the spool.
fn only(path: &Path, extension: &str) -> PathBuf {
    let entries = fs::read_dir(spool::folder(path)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_merge_that_was_killed_is_completed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let holder = Recorder::open(&path, RunInfo::detect("holder")).unwrap();
    record(Recorder::open_or_spool(&path, RunInfo::detect("spooled")).unwrap());
    holder.close().unwrap();
    let sealed = only(&path, "parquet");
    let kept = folder.path().join("kept");
    copy_folder(&sealed, &kept);
    assert_eq!(History::merge(&path).unwrap().runs, [2]);

    // Killed after it was taken in, and before all of it was removed.
    fs::create_dir_all(&sealed).unwrap();
    fs::copy(kept.join("runs.parquet"), sealed.join("runs.parquet")).unwrap();
    assert_eq!(History::merge(&path).unwrap(), Merged { already: 1, ..Merged::default() });
    assert_eq!(query(&path, "SELECT count(*) FROM runs"), "2");
    assert!(!sealed.exists());

    // One that a newer tabfleet spooled is refused, and left.
    let newer = spool::folder(&path).join("RUN-newer.parquet");
    copy_folder(&kept, &newer);
    let versions = newer.join("schema_version.parquet").display().to_string();
    let write = format!("COPY (SELECT 99 AS version) TO '{versions}' (FORMAT parquet)");
    History::open(&path).unwrap().connection().execute_batch(&write).unwrap();
    assert!(matches!(History::merge(&path), Err(HistoryError::Newer { version: 99, .. })));
    assert!(newer.exists());
}

#[test]
fn a_run_that_was_killed_while_it_was_spooled_is_merged_as_far_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    file_with(&path, "");
    // What a kill leaves: a recording that nobody has open, and a folder that was being written.
    let left = spool::new_run(&path).unwrap();
    file_with(&left, &run(1, "2026-01-01", "(1.0, true)"));
    fs::create_dir(left.with_extension("tmp")).unwrap();
    fs::write(left.with_extension("tmp").join("runs.parquet.tmp"), "PAR1").unwrap();
    assert_eq!(History::merge(&path).unwrap().runs, [1]);
    assert!(!spool::folder(&path).exists());

    // Or both the recording and what became of it.
    let left = spool::new_run(&path).unwrap();
    file_with(&left, &run(1, "2026-01-02", "(2.0, true)"));
    let kept = folder.path().join("kept.duckdb");
    fs::copy(&left, &kept).unwrap();
    spool::seal(&left).unwrap();
    fs::copy(&kept, &left).unwrap();
    assert_eq!(History::merge(&path).unwrap().runs, [2]);
    assert_eq!(query(&path, "SELECT run_id, run_ms FROM performance_results ORDER BY 1"), "1,1\n2,2");
    let database = Database::open(&path, Access::Read).unwrap();
    assert_eq!(schema::version(&database).unwrap(), schema::VERSION);
}
