//! `tabfleet history`: questions to a file with a known past, asked as a user asks them; and a file that real runs fill.

use crate::{
    command::{Ended, run},
    fleets::{are_here, builder, target},
    models::{self, count, counting},
    schema_check::departures,
};
use duckdb::Connection;
use serde_json::{Value, json};
use std::{
    fs::write,
    ops::Range,
    path::Path,
    time::{Duration, SystemTime},
};
use tabfleet::{
    Basis, Family, FleetError, ModelSpec, Tensor,
    history::{Recorder, RunInfo},
    stats::regression::Severity,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Nights in the past that the file knows of.
const NIGHTS: usize = 30;

/// Repeatable noise, in -1..1.
fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Thirty nights of three benchmarks, as Google Benchmark writes them: one that gets half as slow again ten nights ago,
/// one that only wavers, and one that gets faster tonight.
async fn past(folder: &Path) {
    nights(folder, 0..NIGHTS).await;
    let again = run(folder, &["history", "import", "night-3.json"]).await;
    assert!(again.code == Some(0) && again.out.contains("is there already"), "{again:?}");
}

async fn nights(folder: &Path, nights: Range<usize>) {
    let now = SystemTime::now();
    let mut args = vec!["history".to_owned(), "import".to_owned()];
    for night in nights {
        let ago = Duration::from_secs(86_400 * (NIGHTS - night) as u64 - 80_000);
        let date = OffsetDateTime::from(now - ago).format(&Rfc3339).unwrap();
        let level = |name: &str| match name {
            "slower" if night >= NIGHTS - 10 => 15.0,
            "faster" if night == NIGHTS - 1 => 7.0,
            _ => 10.0,
        };
        let mut benchmarks = Vec::new();
        for (which, name) in ["slower", "wavering", "faster"].into_iter().enumerate() {
            for sample in 0..12 {
                let time = level(name) * (1.0 + 0.03 * noise(night * 1000 + which * 100 + sample));
                let time = time * (1.0 + 0.01 * noise(night * 10 + which));
                benchmarks.push(json!({ "name": name, "real_time": time, "time_unit": "ms" }));
            }
        }
        let report = json!({ "context": { "date": date, "num_cpus": 2 }, "benchmarks": benchmarks });
        let name = format!("night-{night}.json");
        write(folder.join(&name), report.to_string()).unwrap();
        args.push(name);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let imported = run(folder, &args).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
}

async fn ask(folder: &Path, args: &[&str]) -> (Ended, Value) {
    let answer = folder.join("answer.json");
    let ended = run(folder, &[&["history"], args, &["--json", "answer.json"]].concat()).await;
    let Ok(bytes) = std::fs::read(&answer) else { return (ended, Value::Null) };
    let json = serde_json::from_slice(&bytes).unwrap();
    let schema = serde_json::from_str(include_str!("../../docs/history.schema.json")).unwrap();
    assert_eq!(departures(&schema, &json), Vec::<String>::new(), "{args:?}");
    (ended, json)
}

fn query(path: &Path, sql: &str) -> String {
    Connection::open(path)
        .unwrap()
        .query_row(&format!("SELECT CAST(({sql}) AS VARCHAR)"), [], |row| row.get(0))
        .unwrap()
}

fn models_of(answer: &Value, list: &str) -> Vec<String> {
    let rows = answer[list].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["model"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_past_is_told_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    past(folder).await;

    let (ended, answer) = ask(folder, &["show"]).await;
    assert!(ended.code == Some(0) && ended.out.contains("3 series of 30 runs"), "{ended:?}");
    assert_eq!(answer["series"][0]["points"].as_array().unwrap().len(), NIGHTS);

    // Of the last night, compared with the ten before.
    let (ended, answer) = ask(folder, &["regressions", "--fail-on", "minor"]).await;
    assert_eq!(ended.code, Some(0), "an improvement is no regression: {ended:?}");
    assert_eq!(models_of(&answer, "regressions"), ["faster"]);
    assert_eq!(answer["regressions"][0]["severity"], "improvement");

    // The night in which it came.
    let at = ["--until", "9d"];
    let (ended, answer) = ask(folder, &[&["regressions", "--fail-on", "severe"], &at[..]].concat()).await;
    assert_eq!((ended.code, &*models_of(&answer, "regressions")), (Some(3), &["slower".to_owned()][..]), "{ended:?}");
    let row = &answer["regressions"][0];
    assert!((0.4..0.6).contains(&row["relative"].as_f64().unwrap()), "{row}");
    assert!(row["p_adjusted"].as_f64().unwrap() < 0.05, "{row}");

    let (ended, answer) = ask(folder, &["change-points"]).await;
    assert_eq!((ended.code, &*models_of(&answer, "change_points")), (Some(0), &["slower".to_owned()][..]));
    assert_eq!(
        (&answer["change_points"][0]["index"], &answer["change_points"][0]["worse"]),
        (&20.into(), &true.into())
    );

    let (ended, answer) = ask(folder, &["forecast", "--model", "wavering", "--budget", "9", "--html", "page"]).await;
    assert!(ended.code == Some(0) && ended.out.contains("beyond it already"), "{ended:?}");
    assert_eq!(answer["forecasts"][0]["points"].as_array().unwrap().len(), 14);
    assert!(std::fs::read_to_string(folder.join("page/index.html")).unwrap().contains("wavering"));

    let (ended, answer) = ask(folder, &["anomalies"]).await;
    // Two nights stand out before the third shows that the level has moved.
    assert_eq!((ended.code, models_of(&answer, "anomalies").join(" ")), (Some(0), "faster slower slower".to_owned()));
    for question in ["trends", "correlations", "recommend"] {
        let (ended, _) = ask(folder, &[question]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let (ended, answer) = ask(folder, &["health", "--last", "3", "--html", "health"]).await;
    assert!(ended.code == Some(0) && ended.out.contains("breakers opened"), "{ended:?}");
    assert_eq!((&answer["health"][0]["target"], &answer["health"][0]["attempts"]), (&"native".into(), &108.into()));
    assert!(std::fs::read_to_string(folder.join("health/index.html")).unwrap().contains("failed_checks"));
    // What was found is kept, whatever the number of times it was asked for.
    for _ in 0..2 {
        let kept = "SELECT model, direction, severity FROM regression_history ORDER BY ALL";
        let kept = run(folder, &["history", "query", kept, "--json"]).await;
        let found =
            |model, direction, severity| json!({ "model": model, "direction": direction, "severity": severity });
        let expected = [found("faster", "improvement", "critical"), found("slower", "regression", "critical")];
        assert_eq!(serde_json::from_str::<Value>(&kept.out).unwrap(), json!(expected), "{kept:?}");
        assert_eq!(ask(folder, &["regressions"]).await.0.code, Some(0));
    }
    let told = run(folder, &["history", "query", "SELECT count(*) AS n FROM performance_results"]).await;
    assert!(told.code == Some(0) && told.out.contains("1080"), "{told:?}");
    let exported = run(folder, &["history", "export", "csv", "--format", "csv"]).await;
    assert!(exported.code == Some(0) && folder.join("csv/performance_results.csv").exists(), "{exported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_is_compared_with_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    nights(folder, 0..NIGHTS - 1).await;
    let set = run(folder, &["history", "baseline", "set", "release", "--runs", "5"]).await;
    assert!(set.code == Some(0) && set.out.contains("25, 26, 27, 28, 29"), "{set:?}");
    let listed = run(folder, &["history", "baseline", "list"]).await;
    assert!(listed.out.contains("release: runs 25"), "{listed:?}");
    let (ended, answer) = ask(folder, &["regressions", "--baseline", "release"]).await;
    assert!(ended.code == Some(0) && ended.out.contains("it was not measured since the baseline"), "{ended:?}");
    assert_eq!(models_of(&answer, "regressions"), Vec::<String>::new());
    nights(folder, NIGHTS - 1..NIGHTS).await;
    let (ended, answer) = ask(folder, &["regressions", "--baseline", "release", "--all"]).await;
    let row = &answer["regressions"][0];
    assert_eq!((ended.code, &row["baseline"]["runs"]), (Some(0), &json!([25, 26, 27, 28, 29])), "{ended:?}");
    assert_eq!(row["candidate"]["runs"], json!([30]));
    let unknown = run(folder, &["history", "regressions", "--baseline", "relaese"]).await;
    assert!(unknown.code == Some(2) && unknown.err.contains("there are release"), "{unknown:?}");
    let elsewhere = ["history", "regressions", "--baseline", "release", "--fail-on", "severe", "--last", "1"];
    let elsewhere = run(folder, &elsewhere).await;
    assert!(elsewhere.code == Some(2) && elsewhere.err.contains("baseline set release"), "{elsewhere:?}");
    let removed = run(folder, &["history", "baseline", "remove", "release"]).await;
    assert_eq!(removed.code, Some(0), "{removed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = run(folder, &["history", "show"]).await;
    assert!(missing.code == Some(4) && missing.err.contains("record one first"), "{missing:?}");
    write(folder.join("tabfleet.duckdb"), "no database").unwrap();
    let foreign = run(folder, &["history", "show"]).await;
    assert!(foreign.code == Some(4) && foreign.err.contains("left as it is"), "{foreign:?}");
    std::fs::remove_file(folder.join("tabfleet.duckdb")).unwrap();
    past(folder).await;
    let cases: [(&[&str], &str); 6] = [
        (&["show", "--since", "yesterday"], "how long ago (7d)"),
        (&["show", "--metric", "speed"], "run_ms"),
        (&["regressions", "--fail-on", "awful"], "minor moderate severe critical"),
        (&["query", "DROP TABLE runs"], "queries only read"),
        (&["query", "SELEC 1"], "syntax error"),
        (&["forecast", "--level", "100"], "from 50 to 99.5"),
    ];
    for (args, said) in cases {
        let refused = run(folder, &[&["history"], args].concat()).await;
        assert!(refused.code == Some(2) && refused.err.contains(said), "{args:?}: {refused:?}");
    }
    write(folder.join("torn.json"), "{\"context\": ").unwrap();
    let torn = run(folder, &["history", "import", "torn.json"]).await;
    assert!(torn.code == Some(4) && torn.err.contains("torn.json cannot be imported"), "{torn:?}");
    let alone = run(folder, &["bench", "--fail-on", "severe"]).await;
    assert!(alone.code == Some(2) && alone.err.contains("--history FILE"), "{alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn change_points_of_any_series_are_written_as_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let step: Vec<f64> = (0..60).map(|at| if at < 35 { 5.0 } else { 8.0 } + 0.1 * noise(at)).collect();
    let lines = [json!({ "id": "step", "values": step, "annotations": {} }), json!({ "id": "none", "values": [] })];
    write(folder.join("series.jsonl"), lines.map(|line| line.to_string()).join("\n")).unwrap();
    let found = run(folder, &["history", "change-points", "--input", "series.jsonl", "--output", "found.jsonl"]).await;
    assert_eq!(found.code, Some(0), "{found:?}");
    let found = std::fs::read_to_string(folder.join("found.jsonl")).unwrap();
    assert_eq!(found, "{\"id\":\"step\",\"change_points\":[35]}\n{\"id\":\"none\",\"change_points\":[]}\n");
    // The same as a table, with a cell that was not measured and one that is no number.
    let cells = step.iter().enumerate().map(|(at, value)| match at {
        10 => "10,".to_owned(),
        11 => "11,nan".to_owned(),
        _ => format!("{at},{value}"),
    });
    let table = [vec!["night,value".to_owned()], cells.collect()].concat().join("\n");
    write(folder.join("series.csv"), table).unwrap();
    let found = run(folder, &["history", "change-points", "--input", "series.csv", "--output", "found.jsonl"]).await;
    assert_eq!(found.code, Some(0), "{found:?}");
    let found = std::fs::read_to_string(folder.join("found.jsonl")).unwrap();
    assert_eq!(found, "{\"id\":\"series.csv\",\"change_points\":[35]}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_real_runs_measured_is_compared() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    models::save(folder, "counting.onnx", &counting());
    let bench = ["bench", "counting.onnx", "--targets", "chrome/wasm", "--time-limit", "2s", "--shape", "x=1"];
    let recorded = [&bench[..], &["--history", "h.duckdb"]].concat();
    let first = run(folder, &[&recorded[..], &["--json", "b.json", "--warmup", "5"]].concat()).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    // What warmed up is no sample.
    let report: Value = serde_json::from_slice(&std::fs::read(folder.join("b.json")).unwrap()).unwrap();
    let (_, answer) = ask(folder, &["show", "--history", "h.duckdb", "--metric", "run_ms"]).await;
    assert_eq!(answer["series"][0]["points"][0]["samples"], report["series"][0]["samples"], "{answer}");
    // Compared with one run, a second one of the same says nothing that is critical, and says on what it compared.
    let second = run(folder, &[&recorded[..], &["--fail-on", "critical"]].concat()).await;
    assert!(second.out.contains("in h.duckdb"), "{second:?}");
    let shown = run(folder, &["history", "show", "--history", "h.duckdb", "--metric", "run_ms"]).await;
    assert!(shown.out.contains("counting") && shown.out.contains("1 series of 2 runs"), "{shown:?}");
    let best = run(folder, &["history", "recommend", "--history", "h.duckdb"]).await;
    assert!(best.out.contains("chrome/wasm") && best.out.contains("the only one"), "{best:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_tells_of_its_own_run_and_of_those_before() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let builder = || builder(&["chrome/wasm"]).expect("it is here");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.duckdb");
    let counting = models::save(folder.path(), "counting.onnx", &counting());
    for run in 1..=2 {
        let fleet = builder().history(&path).launch().await.unwrap();
        let model = fleet.get_model(ModelSpec::onnx(&counting)).await.unwrap();
        for _ in 0..8 {
            model.run(count(1000, 0.5)).await.unwrap();
        }
        let report = fleet.performance_report().await.unwrap();
        let times =
            report.series.iter().find(|row| row.name.metric == "run_ms" && row.name.model == "counting").unwrap();
        let samples: Vec<usize> = times.points.iter().map(|point| point.samples).collect();
        // The first run of a session, which is slower, is a metric of its own.
        assert_eq!(samples, vec![7; run], "{:?}", times.points);
        let best = fleet.recommendations().await.unwrap();
        assert_eq!(best[0].targets[0].target, "chrome/wasm", "{best:?}");
        let critical = fleet.detect_regressions(Severity::Critical).await.unwrap();
        assert!(critical.iter().all(|row| row.severity() == Some(Severity::Critical)), "{critical:?}");
        fleet.close().await.unwrap();
    }
    // What was found is kept, and each attempt has what is known of it: of an input [n] its rows, of a model without
    // weights its inputs' type.
    let kept = "SELECT count(*) > 0 FROM browser_recommendations WHERE model = 'counting' AND target = 'chrome/wasm'";
    assert_eq!(query(&path, kept), "true");
    let known = "SELECT DISTINCT batch || ' ' || precision FROM performance_results WHERE model = 'counting'";
    assert_eq!(query(&path, known), "1 float32");
    let fleet = builder().launch().await.unwrap();
    assert!(matches!(fleet.performance_report().await, Err(FleetError::NoHistory)));
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_where_their_model_was_measured_to_run_best() {
    let targets = ["chrome/wasm", "firefox/wasm"];
    if !are_here(&targets) {
        return;
    }
    let builder = || builder(&targets).expect("they are here");
    let folder = tempfile::tempdir().unwrap();
    let counting = models::save(folder.path(), "counting.onnx", &counting());
    // Of vision, which prefers Chrome; and a past in which Firefox took a third of the time.
    let spec = || ModelSpec::onnx(&counting).family(Family::Vision);
    let path = folder.path().join("history.duckdb");
    Recorder::open(&path, RunInfo::detect("bench")).unwrap().close().unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO performance_results (run_id, happened_at, job, attempt, tab, target, model, family, success, run_ms)
             SELECT 1, now()::TIMESTAMP, s, 1, 1, t, 'counting', 'vision', true,
                 CASE t WHEN 'firefox/wasm' THEN 10 ELSE 30 END + s % 7 / 10
             FROM range(40) s(s), (VALUES ('chrome/wasm'), ('firefox/wasm')) t(t)",
        )
        .unwrap();

    let fleet = builder().history(&path).launch().await.unwrap();
    let model = fleet.get_model(spec()).await.unwrap();
    assert_eq!(model.measured_best(), [target("firefox/wasm")]);
    for _ in 0..4 {
        let ran = model.run(count(1000, 0.5)).await.unwrap();
        let run = ran.provenance.browser().unwrap();
        assert_eq!(run.target, target("firefox/wasm"));
        assert_eq!(run.placement.basis, Basis::History, "until it is measured well enough");
    }
    fleet.close().await.unwrap();

    // Without that past the family decides.
    let fleet = builder().launch().await.unwrap();
    let model = fleet.get_model(spec()).await.unwrap();
    assert_eq!(model.measured_best(), []);
    let ran = model.run(count(1000, 0.5)).await.unwrap();
    let run = ran.provenance.browser().unwrap();
    assert_eq!((run.target, run.placement.basis), (target("chrome/wasm"), Basis::Family));
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_file_is_in_use_runs_are_kept_beside_it_and_merged() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    models::save(folder, "counting.onnx", &counting());
    let holder = Recorder::open(&folder.join("h.duckdb"), RunInfo::detect("library")).unwrap();
    let bench = ["bench", "counting.onnx", "--targets", "chrome/wasm", "--time-limit", "1s", "--shape", "x=1"];
    let bench = [&bench[..], &["--history", "h.duckdb"]].concat();
    let refused = run(folder, &bench).await;
    assert!(refused.code == Some(4) && refused.err.contains("is in use by process"), "{refused:?}");
    let spool = ["--history-mode", "spool", "--fail-on", "minor"];
    let spooled = run(folder, &[&bench[..], &spool].concat()).await;
    assert!(spooled.code == Some(0) && spooled.err.contains("not judged: h.duckdb was in use"), "{spooled:?}");
    // Nor does it keep a matrix from its verdicts.
    models::save_case(
        &folder.join("suite"),
        "good",
        &counting(),
        &count(3, 1.0),
        &[("y".to_owned(), Tensor::from_values([1], &[3.0_f32]).unwrap())],
    );
    let matrix = ["matrix", "suite", "--targets", "chrome/wasm", "--json", "m.json", "--html", "site"];
    let matrix = [&matrix[..], &["--history", "h.duckdb", "--history-mode", "spool"]].concat();
    let passed = run(folder, &matrix).await;
    assert!(passed.code == Some(0) && passed.err.contains("has no page of run times"), "{passed:?}");
    let merge = ["matrix", "merge", "m.json", "--json", "merged.json", "--history", "h.duckdb"];
    let busy = run(folder, &merge).await;
    assert!(busy.code == Some(4) && busy.out.contains("chrome/wasm") && busy.err.contains("is in use by"), "{busy:?}");
    assert!(folder.join("merged.json").is_file());
    holder.close().unwrap();
    let merged = run(folder, &["history", "merge", "--history", "h.duckdb"]).await;
    assert!(merged.code == Some(0) && merged.out.contains("2 taken in"), "{merged:?}");
    let shown = run(folder, &["history", "show", "--history", "h.duckdb", "--metric", "run_ms"]).await;
    assert!(shown.out.contains("counting") && shown.out.contains("1 series of 1 run "), "{shown:?}");
}
