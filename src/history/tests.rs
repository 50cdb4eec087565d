//! Through the public interface: what was recorded is read back; what must be refused is, by name.

use super::{History, HistoryError, Recorder, RunInfo, SeriesFilter, database, schema};
use crate::types::{
    Adapter, Backend, BreakerState, Browser, BrowserId, Cause, Dtype, Event, EventKind, Failure, Family, Identity,
    JobId, ModelTag, RuntimeInfo, Severity, Strategy, TabId, Target, TargetInfo, Timings,
};
use duckdb::{Connection, types::Value};
use std::{fs, path::Path, sync::Arc, time::SystemTime};

pub(super) const TARGET: Target = Target::new(Browser::Chrome, Backend::Webgpu);

pub(super) fn model() -> Arc<ModelTag> {
    Arc::new(ModelTag {
        name: "add".to_owned(),
        sha256: "ab".repeat(32),
        family: Family::Vision,
        precision: Some(Dtype::Float32),
    })
}

pub(super) fn event(kind: EventKind) -> Event {
    Event { at: SystemTime::now(), kind }
}

pub(super) fn succeeded(job: u64, tab: u64, model: &Arc<ModelTag>) -> Event {
    let timings = Timings { queue_ms: 0.25, run_ms: 1.5, wire_ms: 0.5, total_ms: 2.25, ..Timings::default() };
    event(EventKind::AttemptSucceeded {
        job: JobId(job),
        attempt: 1,
        tab: TabId(tab),
        target: TARGET,
        model: Arc::clone(model),
        timings,
        cpu_fallback: Some(false),
        batch: Some(4),
        memory_bytes: Some(1 << 20),
        share: None,
        warm_up: false,
    })
}

pub(super) fn failed(job: u64) -> Event {
    event(EventKind::AttemptFailed {
        job: JobId(job),
        attempt: 2,
        tab: TabId(1),
        target: TARGET,
        model: model(),
        failure: Failure::new(Cause::DeviceLost, "the device's \"gone\"; \u{1F4A5}"),
        severity: Severity::Critical,
        elapsed_ms: 12.5,
        batch: Some(4),
    })
}

pub(super) fn info(software: bool) -> Arc<TargetInfo> {
    Arc::new(TargetInfo {
        target: TARGET,
        identity: Some(identity()),
        available: true,
        reason: None,
        adapter: Some(Adapter {
            vendor: "google".to_owned(),
            architecture: "swiftshader".to_owned(),
            device: String::new(),
            description: String::new(),
            software: Some(software),
        }),
        webnn_device: None,
        runtime: Some(RuntimeInfo { name: "onnxruntime-web".to_owned(), version: "1.30.0".to_owned() }),
        threads: Some(1),
    })
}

fn identity() -> Identity {
    Identity {
        browser: Browser::Chrome,
        product: "Chrome".to_owned(),
        version: "156.0.1".to_owned(),
        headless: true,
        driver: "cdp 1.3".to_owned(),
        stand_in: false,
    }
}

pub(super) fn ready(tab: u64, info: Arc<TargetInfo>) -> Event {
    event(EventKind::TabReady { tab: TabId(tab), browser: BrowserId(1), info })
}

fn opened(model: Option<Arc<ModelTag>>) -> Event {
    event(EventKind::BreakerChanged {
        target: TARGET,
        model,
        from: BreakerState::Closed,
        to: BreakerState::Open,
        reason: "5 of 5 calls failed".to_owned(),
        wait_ms: Some(30e3),
    })
}

fn recovery(job: Option<JobId>, strategy: Strategy, elapsed_ms: f64) -> Event {
    event(EventKind::Recovery {
        browser: Browser::Chrome,
        target: Some(TARGET),
        tab: Some(TabId(1)),
        job,
        failure: Failure::new(Cause::TabCrashed, "it is gone"),
        strategy,
        succeeded: true,
        elapsed_ms,
    })
}

fn checked(failure: Option<Failure>) -> Event {
    event(EventKind::HealthChecked { tab: TabId(1), target: TARGET, failure })
}

/// One query's rows as one text, with commas and newlines.
pub(super) fn query(path: &Path, sql: &str) -> String {
    let history = History::open(path).unwrap();
    let mut statement = history.connection().prepare(sql).unwrap();
    let lines = statement.query_map([], |row| {
        let columns = row.as_ref().column_count();
        let shown = (0..columns).map(|column| shown(&row.get_ref_unwrap(column).to_owned()));
        Ok(shown.collect::<Vec<_>>().join(","))
    });
    lines.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) => text.clone(),
        Value::Boolean(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::BigInt(it) => it.to_string(),
        Value::UInt(it) => it.to_string(),
        Value::UBigInt(it) => it.to_string(),
        Value::Double(it) => it.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_is_recorded_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let run = RunInfo::detect("bench --targets chrome");
    let recorder = Recorder::open(&path, run.clone()).unwrap();
    recorder.record(event(EventKind::BrowserStarted { browser: BrowserId(1), identity: identity() }));
    recorder.record(ready(1, info(false)));
    recorder.record(event(EventKind::JobQueued { job: JobId(1), model: "add".to_owned() }));
    recorder.record(succeeded(1, 1, &model()));
    recorder.record(failed(2));
    recorder.record(event(EventKind::BrowserEnded {
        browser: BrowserId(1),
        failure: Some(Failure::new(Cause::BrowserExited, "signal 11")),
    }));
    let recorded = recorder.close().unwrap();
    assert_eq!((recorded.rows, recorded.lost), (6, 0), "a target, two results, three browser events");

    let runs = History::open(&path).unwrap().runs().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].run_id, runs[0].attempts, runs[0].failures, runs[0].rows_lost), (1, 2, 1, Some(0)));
    // DuckDB keeps microseconds.
    assert_eq!(RunInfo { started: run.started, ..runs[0].info.clone() }, run);
    assert!(runs[0].ended.unwrap() >= runs[0].info.started);

    insta::assert_snapshot!(
        query(&path, "SELECT * EXCLUDE (run_id, happened_at) FROM performance_results ORDER BY job"),
        @r#"
        1,1,1,0,chrome/webgpu,add,abababababababababababababababababababababababababababababababab,vision,true,0.25,-,-,1.5,-,0.5,2.25,-,false,-,-,-,-,infer,4,float32,1048576,-
        2,2,1,0,chrome/webgpu,add,abababababababababababababababababababababababababababababababab,vision,false,-,-,-,-,-,-,-,12.5,-,session,device-lost,critical,the device's "gone"; 💥,infer,4,float32,-,-
    "#
    );
    insta::assert_snapshot!(query(&path, "SELECT * FROM targets"), @"1,0,chrome/webgpu,chrome,webgpu,true,-,Chrome,156.0.1,true,cdp 1.3,false,google,swiftshader,-,-,false,-,onnxruntime-web,1.30.0,1");
    insta::assert_snapshot!(query(&path, "SELECT * EXCLUDE (run_id, happened_at) FROM browser_events ORDER BY happened_at"), @"
    started,chrome,1,-,-,Chrome,156.0.1,-,-,-,-
    tab-ready,chrome,1,1,chrome/webgpu,-,-,-,-,-,-
    ended,chrome,1,-,-,-,-,connection,browser-exited,critical,signal 11
    ");
}

#[test]
fn what_the_fleet_did_for_its_health_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("run")).unwrap();
    recorder.record(opened(None));
    recorder.record(opened(Some(model())));
    recorder.record(recovery(Some(JobId(3)), Strategy::OtherTab, 2.5));
    recorder.record(recovery(None, Strategy::ReplaceTab, 480.0));
    recorder.record(checked(None));
    recorder.record(checked(Some(Failure::new(Cause::WrongOutput, "y[0] is 3, not 2"))));
    assert_eq!(recorder.close().unwrap().rows, 6);
    let all = |table: &str| query(&path, &format!("SELECT * EXCLUDE (run_id, happened_at) FROM {table}"));
    let model = format!("chrome/webgpu,add,{},closed,open,5 of 5 calls failed,30000", "ab".repeat(32));
    let target = "chrome/webgpu,-,-,closed,open,5 of 5 calls failed,30000";
    assert_eq!(all("breaker_events"), format!("{target}\n{model}"));
    insta::assert_snapshot!(all("recoveries"), @"
    chrome,chrome/webgpu,1,3,connection,tab-crashed,it is gone,other-tab,true,2.5
    chrome,chrome/webgpu,1,-,connection,tab-crashed,it is gone,replace-tab,true,480
    ");
    insta::assert_snapshot!(all("health_checks"), @"
    1,chrome/webgpu,true,-,-,-
    1,chrome/webgpu,false,health-check,wrong-output,y[0] is 3, not 2
    ");
}

#[test]
fn a_further_build_of_a_browser_is_recorded_as_targets_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let run = RunInfo { build: Some("beta".to_owned()), ..RunInfo::detect("matrix") };
    let recorder = Recorder::open(&path, run.clone()).unwrap();
    recorder.record(ready(1, info(false)));
    recorder.record(succeeded(1, 1, &model()));
    recorder.record(checked(None));
    recorder.close().unwrap();
    let history = History::open(&path).unwrap();
    assert_eq!(history.runs().unwrap()[0].info.build, run.build);
    assert_eq!(history.series(&SeriesFilter::default()).unwrap()[0].key.target, "chrome@beta/webgpu");
    drop(history);
    for table in ["targets", "performance_results", "browser_events", "browser_health"] {
        assert_eq!(query(&path, &format!("SELECT target FROM {table}")), "chrome@beta/webgpu", "{table}");
    }
    assert_eq!(query(&path, "SELECT browser FROM browser_health"), "chrome");
}

#[test]
fn runs_are_added_and_counted_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    for _ in 0..3 {
        Recorder::open(&path, RunInfo::detect("run")).unwrap().close().unwrap();
    }
    let runs = History::open(&path).unwrap().runs().unwrap();
    assert_eq!(runs.iter().map(|run| run.run_id).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn every_result_keeps_the_provenance_of_its_own_tab() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("run")).unwrap();
    for (tab, software) in [(1, false), (2, true), (3, false)] {
        recorder.record(ready(tab, info(software)));
        recorder.record(succeeded(tab, tab, &model()));
    }
    recorder.record(succeeded(4, 9, &model()));
    recorder.close().unwrap();
    let rows = query(
        &path,
        "SELECT job, coalesce(adapter_software::VARCHAR, 'unknown') AS software \
         FROM performance_results LEFT JOIN targets USING (run_id, target_id) ORDER BY job",
    );
    assert_eq!(rows, "1,false\n2,true\n3,false\n4,unknown");
}

#[test]
fn dropping_a_recorder_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("run")).unwrap();
    let model = model();
    (0..20_000).for_each(|job| recorder.record(succeeded(job, 1, &model)));
    drop(recorder);
    let run = &History::open(&path).unwrap().runs().unwrap()[0];
    assert_eq!(run.attempts + run.rows_lost.unwrap(), 20_000);
    assert!(run.ended.is_some());
}

#[test]
fn an_older_file_is_migrated_when_written_and_when_read() {
    for (older, reads) in (1..schema::VERSION).flat_map(|older| [(older, true), (older, false)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.duckdb");
        let database = database::Database::open(&path, database::Access::Write).unwrap();
        schema::migrate_to(&database, older).unwrap();
        database
            .connection()
            .execute_batch(
                "INSERT INTO runs (run_id, command, tabfleet, started_at, os, arch, cores) \
                 VALUES (7, 'old', '0', '2026-01-01', 'o', 'a', 1); \
                 INSERT INTO performance_results (run_id, happened_at, job, attempt, tab, target, model, model_sha256, family, success, run_ms) \
                 VALUES (7, '2026-01-01', 1, 1, 1, 'chrome/wasm', 'add', 'ab', 'vision', true, 2.5)",
            )
            .unwrap();
        drop(database);
        if !reads {
            Recorder::open(&path, RunInfo::detect("new")).unwrap().close().unwrap();
        }
        let history = History::open(&path).unwrap();
        assert_eq!(history.runs().unwrap()[0].info.command, "old");
        let series = history.series(&SeriesFilter::default()).unwrap();
        assert_eq!((&*series[0].key.operation, series[0].points[0].median), ("infer", 2.5));
        drop(history);
        assert_eq!(query(&path, "SELECT max(version) FROM schema_version"), schema::VERSION.to_string());
        for table in ["browser_events", "breaker_events", "recoveries", "health_checks"] {
            assert_eq!(query(&path, &format!("SELECT count(*) FROM {table}")), "0");
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let write = |path: &Path| Recorder::open(path, RunInfo::detect("run")).map(drop).unwrap_err();
    let read = |path: &Path| History::open(path).map(drop).unwrap_err();

    assert!(matches!(read(&path), HistoryError::Missing { .. }));
    assert!(matches!(write(&folder.path().join("none/history.duckdb")), HistoryError::File { .. }));
    assert!(matches!(write(folder.path()), HistoryError::Foreign { what: "a folder", .. }));

    fs::write(&path, "a letter, longer than twelve bytes").unwrap();
    assert!(matches!(write(&path), HistoryError::Foreign { .. }));
    assert!(matches!(read(&path), HistoryError::Foreign { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a letter, longer than twelve bytes", "left as it was");

    let other = folder.path().join("other.duckdb");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE schema_version (version INTEGER)").unwrap();
    assert!(matches!(write(&other), HistoryError::Foreign { what: "another program's database", .. }));

    let newer = folder.path().join("newer.duckdb");
    Recorder::open(&newer, RunInfo::detect("run")).unwrap().close().unwrap();
    Connection::open(&newer)
        .unwrap()
        .execute_batch("INSERT INTO schema_version VALUES (99, '2030-01-01', '9')")
        .unwrap();
    assert!(matches!(write(&newer), HistoryError::Newer { version: 99, .. }));
    assert!(read(&newer).to_string().contains("version 99"));
}

#[test]
fn a_damaged_file_is_told_from_a_foreign_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    Recorder::open(&path, RunInfo::detect("run")).unwrap().close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[16..].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(History::open(&path).map(drop).unwrap_err(), HistoryError::Damaged { .. }));
    assert!(matches!(
        Recorder::open(&path, RunInfo::detect("run")).map(drop).unwrap_err(),
        HistoryError::Damaged { .. }
    ));

    fs::write(&path, "").unwrap();
    Recorder::open(&path, RunInfo::detect("an empty file is a new one")).unwrap().close().unwrap();
}

#[test]
fn a_file_has_one_writer_or_several_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("run")).unwrap();
    assert!(matches!(History::open(&path).map(drop).unwrap_err(), HistoryError::InUse { .. }));
    assert!(matches!(Recorder::open(&path, RunInfo::detect("run")).map(drop).unwrap_err(), HistoryError::InUse { .. }));
    recorder.close().unwrap();
    let (one, two) = (History::open(&path).unwrap(), History::open(&path).unwrap());
    assert!(matches!(Recorder::open(&path, RunInfo::detect("run")).map(drop).unwrap_err(), HistoryError::InUse { .. }));
    assert_eq!(one.runs().unwrap(), two.runs().unwrap());
}

#[test]
fn the_documentation_names_every_column_and_its_queries_work() {
    let documentation = include_str!("../../docs/HISTORY.md");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let recorder = Recorder::open(&path, RunInfo::detect("run")).unwrap();
    recorder.record(ready(1, info(false)));
    recorder.record(succeeded(1, 1, &model()));
    recorder.record(failed(2));
    recorder.record(opened(Some(model())));
    recorder.record(recovery(None, Strategy::ReplaceTab, 450.0));
    recorder.record(recovery(None, Strategy::ReplaceTab, 550.0));
    recorder.record(checked(None));
    recorder.record(checked(Some(Failure::new(Cause::WrongOutput, "y[0] is 3, not 2"))));
    recorder.close().unwrap();

    for column in query(&path, "SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal").lines() {
        assert!(documentation.contains(&format!("`{column}`")), "docs/HISTORY.md does not name {column}");
    }
    let queries: Vec<_> = documentation.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(queries.len(), 10);
    let answers: Vec<_> = queries.iter().map(|sql| query(&path, sql)).collect();
    assert_eq!(answers[1], "Chrome,156.0.1,-,false,1.5", "the median run on each adapter");
    assert_eq!(answers[2], "chrome/webgpu,session,device-lost,1,the device's \"gone\"; \u{1F4A5}");
    assert_eq!(
        answers[5..8],
        [
            "chrome,connection,replace-tab,2,2,500,550",
            "chrome/webgpu,add,1,30000,5 of 5 calls failed",
            "chrome/webgpu,2,1,wrong-output",
        ]
    );
}
