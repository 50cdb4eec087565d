//! Reports that are taken in, and what is refused.

use super::{History, HistoryError, Imported, Metric, SeriesFilter, tests::query};
use std::{fs, path::Path};

const MATRIX: &str = r#"{
  "tabfleet": "0.1.0", "started": "2026-01-02T03:04:05Z", "finished": "2026-01-02T03:05:00Z",
  "host": {"os": "linux", "os_version": "Debian", "arch": "x86_64", "cpu": "A CPU", "cores": 4, "memory_bytes": 1024},
  "targets": [{"target": "chrome/wasm", "browser": "chrome", "backend": "wasm", "product": "Chrome", "version": "156",
    "driver": "cdp 1.3", "headless": true, "stand_in": false, "adapter": null, "software": null, "webnn_device": null,
    "runtime": {"name": "onnxruntime-web", "version": "1.30.0"}, "threads": 1, "available": true, "reason": null}],
  "results": [
    {"suite": "nets", "case": "resnet", "family": "vision", "target": "chrome/wasm", "verdict": "pass", "attempts": 1,
     "cpu_fallback": null, "load_ms": 80.5, "run_ms": 12.5, "max_abs_error": 0, "max_rel_error": 0, "error": null},
    {"suite": "nets", "case": "resnet", "family": "vision", "target": "firefox/wasm", "verdict": "wrong", "attempts": 2,
     "cpu_fallback": null, "load_ms": 90, "run_ms": 3, "max_abs_error": 9, "max_rel_error": 9,
     "error": {"category": "inference", "message": "y[0] is 3, not 2"}},
    {"suite": "nets", "case": "gone", "target": "chrome/wasm", "verdict": "skipped", "attempts": 0, "cpu_fallback": null,
     "load_ms": null, "run_ms": null, "max_abs_error": null, "max_rel_error": null, "error": null}
  ], "totals": {}
}"#;

const BENCH: &str = r#"{
  "tabfleet": "0.1.0", "started": "2026-01-03T03:04:05Z",
  "host": {"os": "linux", "os_version": null, "arch": "x86_64", "cpu": null, "cores": 4, "memory_bytes": null},
  "targets": [],
  "series": [{"model": "add", "family": null, "target": "chrome/wasm", "concurrency": 2, "samples": 3, "warmup": 1,
    "load_ms": 40, "median_ms": 2, "median_ci": null, "p95_ms": null, "p99_ms": null, "mean_ms": 2,
    "throughput_per_s": 450.5, "cpu_fallback": null, "stopped_by": "precision", "samples_ms": [1, 2, 3]}],
  "comparisons": [],
  "failures": [{"model": "mul", "target": "chrome/wasm", "category": "timeout", "message": "too slow"}]
}"#;

const GOOGLE: &str = r#"{
  "context": {"date": "2026-01-04T05:06:07+02:00", "host_name": "box", "num_cpus": 8},
  "benchmarks": [
    {"name": "BM_a/8", "run_name": "BM_a/8", "run_type": "iteration", "iterations": 10, "real_time": 1500000.0,
     "cpu_time": 1.0, "time_unit": "ns", "items_per_second": 12.5},
    {"name": "BM_a/8", "run_name": "BM_a/8", "run_type": "iteration", "real_time": 2.5, "time_unit": "ms"},
    {"name": "BM_a/8_mean", "run_name": "BM_a/8", "run_type": "aggregate", "aggregate_name": "mean", "real_time": 7.0},
    {"name": "BM_b_mean", "run_name": "BM_b", "run_type": "aggregate", "aggregate_name": "mean", "real_time": 3000, "time_unit": "us"},
    {"name": "BM_b_median", "run_name": "BM_b", "run_type": "aggregate", "aggregate_name": "median", "real_time": 4000, "time_unit": "us"},
    {"name": "BM_c", "error_occurred": true, "error_message": "no device", "real_time": 0.0, "time_unit": "ns"}
  ]
}"#;

const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="unit" tests="3" timestamp="2026-01-05T06:07:08.25">
  <testcase classname="pkg.mod" name="quick" time="0.250"/>
  <testcase name="broken" time="1.5"><failure message="1 is not 2" type="assert"/></testcase>
  <testcase name="unmeasured" time="0.000"/>
  <testcase name="later"><skipped/></testcase>
</testsuite>"#;

fn import(history: &Path, name: &str, content: &str) -> Result<Imported, HistoryError> {
    let report = history.with_file_name(name);
    fs::write(&report, content).unwrap();
    History::import(history, &report)
}

#[test]
fn reports_become_runs_of_their_own_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let reports = [("m.json", MATRIX, 2), ("b.json", BENCH, 5), ("g.json", GOOGLE, 4), ("j.xml", JUNIT, 3)];
    for ((name, content, results), run_id) in reports.into_iter().zip(1..) {
        assert_eq!(import(&path, name, content).unwrap(), Imported::New { run_id, results });
    }
    for ((_, content, _), run_id) in reports.into_iter().zip(1..) {
        assert_eq!(import(&path, "another name", content).unwrap(), Imported::AlreadyThere { run_id });
    }
    let runs =
        "SELECT run_id, command, origin, tabfleet, strftime(started_at, '%d %H:%M:%S'), os, cores FROM runs ORDER BY 1";
    insta::assert_snapshot!(query(&path, runs), @"
    1,import,imported,0.1.0,02 03:04:05,Debian,4
    2,import,imported,0.1.0,03 03:04:05,linux,4
    3,import,imported,-,04 03:06:07,-,8
    4,import,imported,-,05 06:07:08,-,-
    ");
    let rows = "SELECT run_id, job, target_id, target, model, operation, success, create_ms, run_ms, throughput_per_s, \
                category, cause, message FROM performance_results ORDER BY run_id, job";
    insta::assert_snapshot!(query(&path, rows), @"
    1,1,0,chrome/wasm,nets/resnet,infer,true,80.5,12.5,-,-,-,-
    1,2,-,firefox/wasm,nets/resnet,infer,false,90,3,-,inference,wrong,y[0] is 3, not 2
    2,1,-,chrome/wasm,add,infer x2,true,40,-,450.5,-,-,-
    2,2,-,chrome/wasm,add,infer x2,true,-,1,-,-,-,-
    2,3,-,chrome/wasm,add,infer x2,true,-,2,-,-,-,-
    2,4,-,chrome/wasm,add,infer x2,true,-,3,-,-,-,-
    2,5,-,chrome/wasm,mul,infer,false,-,-,-,timeout,-,too slow
    3,1,0,native,BM_a/8,benchmark,true,-,1.5,12.5,-,-,-
    3,2,0,native,BM_a/8,benchmark,true,-,2.5,-,-,-,-
    3,3,0,native,BM_b,benchmark,true,-,4,-,-,-,-
    3,4,0,native,BM_c,benchmark,false,-,-,-,-,-,no device
    4,1,0,unit,pkg.mod/quick,test,true,-,250,-,-,-,-
    4,2,0,unit,broken,test,false,-,1500,-,failure,-,1 is not 2
    4,3,0,unit,unmeasured,test,true,-,-,-,-,-,-
    ");
    assert_eq!(
        query(&path, "SELECT kind, source[-4:] FROM imports ORDER BY run_ids"),
        "matrix,json\nbench,json\ngoogle-benchmark,json\njunit,.xml"
    );
    let history = History::open(&path).unwrap();
    let filter = SeriesFilter { metrics: vec![Metric::RunMs, Metric::Throughput], ..SeriesFilter::default() };
    let series = history.series(&filter).unwrap();
    let keys: Vec<_> =
        series.iter().map(|it| format!("{} {} {}", it.key.model, it.key.host, it.key.metric.name())).collect();
    assert_eq!(
        keys,
        [
            "BM_a/8 box, 8 cores run_ms",
            "BM_a/8 box, 8 cores throughput",
            "BM_b box, 8 cores run_ms",
            "add 4 cores, linux, x86_64 run_ms",
            "add 4 cores, linux, x86_64 throughput",
            "pkg.mod/quick  run_ms",
        ]
    );
    assert_eq!(history.runs().unwrap().len(), 4);
}

#[test]
fn a_junit_report_of_ours_says_where_its_numbers_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let xml = r#"<testsuites name="tabfleet 0.1.0" tests="1" timestamp="2026-01-05T06:07:08Z">
      <testsuite name="chrome/webgpu" tests="1">
        <properties><property name="product" value="Chrome 156.0.1"/><property name="adapter" value="google swiftshader"/>
          <property name="runtime" value="onnxruntime-web 1.30.0"/><property name="threads" value="4"/></properties>
        <testcase classname="nets" name="resnet" time="0.012">
          <properties><property name="run_ms" value="12.25"/></properties>
        </testcase>
      </testsuite>
    </testsuites>"#;
    assert_eq!(import(&path, "ours.xml", xml).unwrap(), Imported::New { run_id: 1, results: 1 });
    let series = History::open(&path).unwrap().series(&SeriesFilter::default()).unwrap();
    let (key, point) = (&series[0].key, &series[0].points[0]);
    assert_eq!(
        (&*key.model, &*key.operation, key.adapter.as_deref()),
        ("nets/resnet", "infer", Some("google swiftshader"))
    );
    assert_eq!((point.median, point.environment.runtime_version.as_deref()), (12.25, Some("1.30.0")));
    assert_eq!((point.environment.tabfleet.as_deref(), point.environment.threads), (Some("0.1.0"), Some(4)));
}

#[test]
fn what_is_malformed_is_refused_with_its_place_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let wrong = [
        ("", "line 1, column 0"),
        ("{\n  \"results\": [}", "line 2, "),
        ("{}", "the top level"),
        ("[1, 2]", "the top level"),
        (&MATRIX.replace("\"pass\"", "\"perfect\""), "line 8, "),
        (&BENCH.replace("[1, 2, 3]", "[1, null, 3]"), "line 7, "),
        (&GOOGLE.replace("2026-01-04", "yesterday"), "context.date"),
        (&GOOGLE.replace("\"ms\"", "\"years\""), "line 6, "),
        ("<html></html>", "the top level"),
        (&JUNIT.replace("time=\"1.5\"", "time=\"long\""), "testsuites/"),
        (&JUNIT.replace("</testsuite>", ""), "testsuites"),
        (&JUNIT.replace("timestamp", "when"), "testsuites"),
    ];
    for (content, expected) in wrong {
        let error = import(&path, "report", content).unwrap_err();
        let HistoryError::Import { report, place, .. } = &error else { panic!("{content}: {error:?}") };
        assert!(place.starts_with(expected) && report.ends_with("report"), "{error} instead of {expected}");
    }
    fs::write(folder.path().join("bytes"), b"{\"a\xff").unwrap();
    let error = History::import(&path, &folder.path().join("bytes")).unwrap_err();
    assert!(error.to_string().ends_with("it is not UTF-8 text, at byte 3"), "{error}");
    let missing = History::import(&path, &folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, HistoryError::File { .. }), "{missing:?}");
    assert!(!path.exists(), "no history was made of it");
}

#[test]
fn builds_of_a_browser_are_series_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let mut report: serde_json::Value = serde_json::from_str(MATRIX).unwrap();
    for (list, version, run_ms) in [("targets", Some("157"), None), ("results", None, Some(20.5))] {
        let mut beta = report[list][0].clone();
        beta["build"] = "beta".into();
        version.into_iter().for_each(|version| beta["version"] = version.into());
        run_ms.into_iter().for_each(|run_ms| beta["run_ms"] = run_ms.into());
        report[list].as_array_mut().unwrap().push(beta);
    }
    import(&path, "builds.json", &report.to_string()).unwrap();
    let filter = SeriesFilter { metrics: vec![Metric::FirstRunMs], ..SeriesFilter::default() };
    let series = History::open(&path).unwrap().series(&filter).unwrap();
    let known: Vec<_> = series
        .iter()
        .map(|it| (&*it.key.target, it.points[0].environment.version.as_deref(), &it.points[0].samples[..]))
        .collect();
    assert_eq!(known, [("chrome/wasm", Some("156"), &[12.5][..]), ("chrome@beta/wasm", Some("157"), &[20.5][..])]);
}

#[test]
fn reports_that_tell_little_of_their_machine_are_told_apart_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let named = |name: &str| JUNIT.replace("<testsuite ", &format!("<testsuite hostname=\"{name}\" "));
    for name in ["one", "two"] {
        import(&path, "g.json", &GOOGLE.replace("box", name)).unwrap();
        import(&path, "j.xml", &named(name)).unwrap();
    }
    let hosts = |model: &str| {
        let filter =
            SeriesFilter { metrics: vec![Metric::RunMs], model: Some(model.to_owned()), ..SeriesFilter::default() };
        let series = History::open(&path).unwrap().series(&filter).unwrap();
        series.into_iter().map(|series| series.key.host).collect::<Vec<_>>()
    };
    assert_eq!(hosts("BM_b"), ["one, 8 cores", "two, 8 cores"]);
    assert_eq!(hosts("pkg.mod/quick"), ["one", "two"]);
    History::roll_up(&path, std::time::SystemTime::now()).unwrap();
    assert_eq!(hosts("pkg.mod/quick"), ["one", "two"], "rolled up");
}

#[test]
fn a_run_that_was_killed_is_taken_in_whole_and_replaced_when_it_has_gone_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let mut report: serde_json::Value = serde_json::from_str(MATRIX).unwrap();
    report["run"] = "0123456789abcdef".into();
    let case = |name: &str| {
        let mut result = report["results"][0].clone();
        result["case"] = name.into();
        result
    };
    let state = |cases: &[&str]| {
        let mut state = report.clone();
        state["results"] = cases.iter().map(|name| case(name)).collect();
        state.to_string()
    };
    let note = |number: usize, name: &str| serde_json::json!({ "number": number, "result": case(name) }).to_string();
    let partial = folder.path().join("m.json.partial.jsonl");
    let noted = [serde_json::json!({ "started": report["started"] }).to_string(), note(1, "b")].join("\n");
    fs::write(&partial, &noted).unwrap();
    assert_eq!(import(&path, "m.json", &state(&["a"])).unwrap(), Imported::New { run_id: 1, results: 2 });
    assert_eq!(import(&path, "m.json", &state(&["a"])).unwrap(), Imported::AlreadyThere { run_id: 1 });
    fs::write(&partial, [noted, note(2, "c")].join("\n")).unwrap();
    assert_eq!(import(&path, "m.json", &state(&["a"])).unwrap(), Imported::New { run_id: 1, results: 3 });
    fs::remove_file(&partial).unwrap();
    assert_eq!(
        import(&path, "m.json", &state(&["a", "b", "c", "d"])).unwrap(),
        Imported::New { run_id: 1, results: 4 }
    );
    // An older copy has less to tell.
    assert_eq!(import(&path, "copy.json", &state(&["a", "b"])).unwrap(), Imported::AlreadyThere { run_id: 1 });
    assert_eq!(
        query(&path, "SELECT DISTINCT model FROM performance_results ORDER BY 1"),
        "nets/a\nnets/b\nnets/c\nnets/d"
    );
    let counts = ["runs", "targets", "performance_results", "imports"];
    assert_eq!(counts.map(|table| query(&path, &format!("SELECT count(*) FROM {table}"))), ["1", "1", "4", "1"]);
}
