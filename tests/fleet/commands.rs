//! The commands as a person uses them: what they print, what they write, and with which code they exit.

use crate::{
    command::{ended, run, tabfleet},
    fleets::are_here,
    models::{self, ENDLESS, count, counting},
    schema_check::departures,
};
use serde_json::Value;
use std::path::Path;
use tabfleet::{
    onnx::{Suite, read_tensor_file, write_npy},
    types::{Dtype, Tensor},
};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_typed_wrong_is_told_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    models::save(folder.path(), "counting.onnx", &counting());
    std::fs::write(folder.path().join("cut.npy"), b"\x93NUMPY\x01").unwrap();
    std::fs::write(folder.path().join("typo.toml"), "retires = 2").unwrap();
    std::fs::write(folder.path().join("not.toml"), "this is no table").unwrap();
    let typed: &[(&[&str], &str)] = &[
        (&[], "Usage: tabfleet"),
        (&["matricks"], "unrecognized subcommand 'matricks'"),
        (&["matrix", "--quiet", "--verbose"], "cannot be used with"),
        (
            &["matrix", "--targets", "netscape/wasm"],
            "`targets` (flag) cannot be `netscape/wasm`: it takes targets such as",
        ),
        (&["matrix", "--shard", "4/3"], "`4/3` is no share of the cases: write I/N with I from 1 to N, such as 2/5"),
        (&["matrix", "--filter", "("], "unclosed group"),
        (&["matrix", "--filter", "no-such-case"], "no case is left: the suite has"),
        (&["matrix", "nowhere"], "nowhere is not a folder; give a folder of cases"),
        (&["matrix", "."], "holds no case; a case is a folder with model.onnx"),
        (&["matrix", "--case-timeout", "soon"], "`case-timeout` (flag) cannot be `soon`"),
        (&["run", "missing.onnx"], "missing.onnx does not exist"),
        (&["run", "cut.npy"], "cut.npy is not an ONNX model"),
        (&["run", "counting.onnx"], "missing: `trips`, `x`"),
        (&["run", "counting.onnx", "--input", "x"], "`x` is not NAME=FILE"),
        (&["run", "counting.onnx", "--input", "x=none.npy"], "none.npy"),
        (&["run", "counting.onnx", "--input", "x=cut.npy"], "cut.npy"),
        (&["bench", "counting.onnx", "--concurrency", "0"], "0 is not in 1..=1024"),
        (&["bench", "counting.onnx", "--shape", "trips"], "trips"),
        (&["shard", "missing.onnx"], "missing.onnx does not exist"),
        (&["shard", "counting.onnx"], "the model cannot be cut: all its work is one node"),
        (&["shard", "counting.onnx", "--shards", "0"], "ask for at least one"),
        (&["shard", "counting.onnx", "--strategy", "best"], "it takes layers, optimal or browser"),
        (&["shard", "counting.onnx", "--memory-limit", "much"], "a number of bytes or a size such as 512MiB"),
        (&["shard", "counting.onnx", "--mapping", "typo.toml"], "typo.toml cannot be read: unknown field `retires`"),
        (&["shard", "typo.toml"], "typo.toml cannot be read"),
        (&["shard", "typo.toml", "--shards", "2"], "--shards is for a single model"),
        (&["config", "--tabs", "0"], "`tabs` (flag) cannot be `0`: it takes a number from 1 to 64"),
        (&["matrix", "--tabs", "4-1"], "or a range of such numbers written 1-4"),
        (&["bench", "counting.onnx", "--tabs", "1-4"], "--tabs is not for `bench`: what is compared is measured"),
        (&["run", "counting.onnx", "--tabs", "2"], "--tabs is not for `run`: it runs the model once, in one tab"),
        (&["doctor", "--tabs", "2"], "--tabs is not for `doctor`"),
        (
            &["bench", "--concurrency", "4", "--model-concurrency", "2"],
            "--concurrency 4 cannot be: no more than 2 jobs",
        ),
        (&["config", "--config", "typo.toml"], "there is no setting `retires` (typo.toml): is `retries` meant?"),
        (&["config", "--config", "not.toml"], "not.toml is not TOML"),
        (&["config", "--config", "nowhere.toml"], "the settings in nowhere.toml could not be read"),
    ];
    // Of values that are good but not together, too, nothing is started: there is no such browser.
    let nowhere = &["--targets", "chrome/wasm", "--binary", "chrome=/nowhere/chrome"][..];
    let policies: &[(&[&str], &str)] = &[
        (
            &["matrix", "--tab-memory-soft", "3GiB", "--tab-memory-hard", "1GiB"],
            "tab_memory.soft is 3221225472, but must be at most tab_memory.hard, 1073741824 bytes\nhint: --tab-memory-soft and --tab-memory-hard set this",
        ),
        (
            &["bench", "--heartbeat-interval", "1m"],
            "health_check_interval is 30s, but must be at least heartbeat_interval, 60s",
        ),
        (&["doctor", "--retry-pause", "9s"], "retry_pause_cap is 2s, but must be at least retry_pause, 9s"),
    ];
    let together: Vec<_> = policies.iter().map(|(args, words)| ([*args, nowhere].concat(), *words)).collect();
    let together = together.iter().map(|(args, words)| (&args[..], *words));
    for (args, words) in typed.iter().copied().chain(together) {
        let ended = run(folder.path(), args).await;
        assert!(ended.code == Some(2) && ended.err.contains(words), "{args:?}: {ended:?}");
        assert_eq!(ended.out, "", "{args:?}");
    }
    let mut command = tabfleet(folder.path(), &["config"]);
    command.env("TABFLEET_TAB", "2");
    let ended = ended(command).await;
    assert!(ended.code == Some(2) && ended.err.contains("is `TABFLEET_TABS` meant?"), "{ended:?}");
}

#[tokio::test]
async fn config_tells_where_each_value_came_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tabfleet.toml"), "tabs = 3\nretries = 2\nrtol = 0.5").unwrap();
    let mut command = tabfleet(folder.path(), &["config", "--rtol", "0.25"]);
    command.env("TABFLEET_RETRIES", "4").env("TABFLEET_RTOL", "0.125");
    let ended = ended(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let row = |name: &str| {
        let row = ended.out.lines().find(|line| line.split_whitespace().next() == Some(name)).expect(name);
        row.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("tabs"), "3 tabfleet.toml");
    assert_eq!(row("retries"), "4 TABFLEET_RETRIES");
    assert_eq!(row("rtol"), "0.25 flag");
    assert_eq!(row("atol"), "0.00001 default");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_exits_with_4_and_says_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    models::save(folder.path(), "counting.onnx", &counting());
    for command in [&["matrix", "--filter", "mlp$"][..], &["bench"], &["doctor"]] {
        let nowhere = ["--targets", "chrome/wasm", "--binary", "chrome=/nowhere/chrome"];
        let ended = run(folder.path(), &[command, &nowhere].concat()).await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let said = ended.out + &ended.err;
        let whole = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(whole.contains("/nowhere/chrome was named as the chrome to use"), "{said}");
    }
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(folder.path(), &["matrix", "--filter", "mlp$", "--targets", "chrome/wasm", "--port", &port]).await;
    assert!(ended.code == Some(4) && ended.err.contains(&port), "{ended:?}");
    // Where results are to go is tried before anything is launched.
    let ended = run(folder.path(), &["matrix", "--filter", "mlp$", "--json", "/proc/none/matrix.json"]).await;
    assert!(ended.code == Some(4) && ended.err.contains("/proc/none/matrix.json"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_reads_and_writes_npy() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    models::save(folder.path(), "counting.onnx", &counting());
    models::save(folder.path(), "unknown.onnx", &models::unary("NoSuchOperator", Dtype::Float32, 1));
    write_npy(&folder.path().join("trips.npy"), &Tensor::scalar(7_i64)).unwrap();
    let x = Tensor::from_values([1], &[0.5_f32]).unwrap();
    std::fs::write(folder.path().join("x.pb"), tabfleet::onnx::tensor_to_proto("any name", &x)).unwrap();
    write_npy(&folder.path().join("x.npy"), &x).unwrap();
    let inputs = ["run", "counting.onnx", "-i", "trips=trips.npy", "--input", "x=x.pb"];
    let written = ["--targets", "chrome/wasm", "--output-dir", "out/put"];
    let mut command = tabfleet(folder.path(), &[&inputs[..], &written].concat());
    command.env("RUST_LOG", "tabfleet::placement=debug");
    let ended = ended(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The terms of the choice, and nothing else.
    let placements: Vec<&str> = ended.err.lines().collect();
    let [placement] = placements[..] else { panic!("{placements:?}") };
    assert!(placement.contains(" = prior ") && placement.contains("× load 1.00 ×"), "{placement}");
    assert!(placement.ends_with("best of 1 tabs") || placement.contains("best of 1 tabs "), "{placement}");
    assert!(ended.out.contains("y: float32 [1] = [3.500000]"), "{}", ended.out);
    assert!(ended.out.contains("ran on chrome/wasm ("), "{}", ended.out);
    let y = read_tensor_file(&folder.path().join("out/put/y.npy")).unwrap();
    assert_eq!(y, Tensor::from_values([1], &[3.5_f32]).unwrap());

    let logged = ["-vv", "--log-format", "json", "--targets", "chrome/wasm"];
    let ended = run(folder.path(), &[&inputs[..], &logged].concat()).await;
    let lines: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let said = |message: &str| lines.iter().find(|line| line["fields"]["message"] == message).expect(&ended.err);
    said("browser started");
    let job = serde_json::json!({ "name": "job", "job": "job-1", "model": "counting" });
    assert_eq!(said("answered")["spans"][0], job, "{}", ended.err);
    let attempt = &said("answered")["spans"][1];
    assert_eq!((&attempt["name"], &attempt["attempt"]), (&"attempt".into(), &1.into()), "{attempt}");
    assert_eq!((&attempt["browser"], &attempt["target"]), (&"browser-1".into(), &"chrome/wasm".into()), "{attempt}");

    let ended = run(folder.path(), &["run", "unknown.onnx", "-i", "x=x.npy", "--targets", "chrome/wasm"]).await;
    assert!(ended.code == Some(1) && ended.err.contains("NoSuchOperator"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_loads_with_a_runtime_of_ones_own() {
    if !are_here(&["chrome/webgpu"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("double.json"), r#"{"op": "scale", "factor": 2}"#).unwrap();
    write_npy(&folder.path().join("x.npy"), &Tensor::from_values([3], &[1.0_f32, 2.0, -3.0]).unwrap()).unwrap();
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/harness-pages/examples/webgpu-scale.js");
    let args = ["run", "double.json", "-i", "x=x.npy", "--targets", "chrome/webgpu", "--runtime", module];
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("y: float32 [3] = [2.000000, 4.000000, -6.000000]"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_prints_a_table_and_writes_what_is_documented() {
    if !are_here(&["chrome/wasm", "edge/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let suite = Suite::builtin().unwrap();
    let mlp = suite.cases.iter().find(|case| case.name == "mlp").unwrap().model.to_str().unwrap();
    let args = ["bench", mlp, "--targets", "chrome/wasm,edge/wasm", "--time-limit", "3s", "--json", "bench.json"];
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.contains("mlp") && ended.out.contains("chrome/wasm") && ended.out.contains("ms"),
        "{}",
        ended.out
    );
    let report = json(&folder.path().join("bench.json"));
    let schema = serde_json::from_str(include_str!("../../docs/bench.schema.json")).unwrap();
    assert_eq!(departures(&schema, &report), Vec::<String>::new());
    let series = report["series"].as_array().unwrap();
    assert_eq!(series.len(), 2);
    for series in series {
        let [low, high] = [0, 1].map(|end| series["median_ci"][end].as_f64().unwrap());
        let median = series["median_ms"].as_f64().unwrap();
        assert!(0.0 < low && low <= median && median <= high, "{series}");
        assert!(series["samples"].as_u64().unwrap() >= 20 && series["load_ms"].as_f64().unwrap() > 0.0, "{series}");
    }
    assert_eq!(report["comparisons"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_measures_everything_once_however_little_time_there_is() {
    if !are_here(&["chrome/wasm", "edge/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let suite = Suite::builtin().unwrap();
    let mlp = suite.cases.iter().find(|case| case.name == "mlp").unwrap().model.to_str().unwrap();
    let args = ["bench", mlp, "--targets", "chrome/wasm,edge/wasm", "--time-limit", "0s", "--json", "bench.json"];
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = json(&folder.path().join("bench.json"));
    let schema = serde_json::from_str(include_str!("../../docs/bench.schema.json")).unwrap();
    assert_eq!(departures(&schema, &report), Vec::<String>::new());
    let samples: Vec<_> = report["series"].as_array().unwrap().iter().map(|series| &series["samples"]).collect();
    assert_eq!(samples, [1, 1]);
    let imported = run(folder.path(), &["history", "import", "bench.json", "--history", "h.duckdb"]).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_tells_that_a_model_ran_in_stages_and_where() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let suite = Suite::builtin().unwrap();
    let mlp = suite.cases.iter().find(|case| case.name == "mlp").unwrap().model.to_str().unwrap();
    let limit = ["--time-limit", "2s", "--json", "bench.json"];
    let args = [&["bench", mlp, "--shards", "2", "--targets", "chrome/wasm"][..], &limit].concat();
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("in stages") && ended.out.contains("2 of 2"), "{}", ended.out);
    let report = json(&folder.path().join("bench.json"));
    let schema = serde_json::from_str(include_str!("../../docs/bench.schema.json")).unwrap();
    assert_eq!(departures(&schema, &report), Vec::<String>::new());
    let stages = report["series"][0]["stages"].as_array().unwrap();
    assert!(stages.len() == 2 && stages[0]["tab"] != stages[1]["tab"], "{report}");
}

#[tokio::test]
async fn shard_writes_what_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    for (name, op_type) in [("negate.onnx", "Neg"), ("root.onnx", "Sqrt")] {
        models::save(folder.path(), name, &models::unary(op_type, Dtype::Float32, 1));
    }
    let pipeline = "components = [
        { name = 'negate', model = 'negate.onnx' },
        { name = 'root', model = 'root.onnx', inputs = { x = 'negate.y' } },
    ]
    outputs = { root = 'root.y' }";
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
    let suite = Suite::builtin().unwrap();
    let bert = suite.cases.iter().find(|case| case.name == "bert-encoder").unwrap().model.to_str().unwrap();
    let schema = serde_json::from_str(include_str!("../../docs/shard.schema.json")).unwrap();
    for args in [&[bert, "--shards", "3", "--output-dir", "stages"][..], &["pipeline.toml"]] {
        let ended = run(folder.path(), &[&["shard", "--json", "plan.json"], args].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report = json(&folder.path().join("plan.json"));
        assert_eq!(departures(&schema, &report), Vec::<String>::new());
        assert!(report["stages"].as_array().unwrap().len() > 1, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_fails_when_a_model_does() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    models::save(folder.path(), "unknown.onnx", &models::unary("NoSuchOperator", Dtype::Float32, 1));
    let args = ["bench", "unknown.onnx", "--shape", "a=3", "--targets", "chrome/wasm", "--json", "bench.json"];
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report = json(&folder.path().join("bench.json"));
    assert!(report["failures"][0]["message"].as_str().unwrap().contains("NoSuchOperator"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_what_works_and_why_the_rest_does_not() {
    if !are_here(&["chrome/wasm", "webkit/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A WebKit has no WebGPU here, and there is no Edge where there is none.
    let targets = "chrome/wasm,webkit/webgpu,webkit/wasm,edge/wasm";
    let args = ["doctor", "--targets", targets, "--binary", "edge=/nowhere/edge", "--json", "doctor.json"];
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = json(&folder.path().join("doctor.json"));
    let row = |target: &str| {
        let rows = report["targets"].as_array().unwrap();
        rows.iter().find(|row| row["target"] == target).unwrap_or_else(|| panic!("{target}: {report}"))
    };
    for works in ["chrome/wasm", "webkit/wasm"] {
        assert_eq!(row(works)["available"], true, "{}", row(works));
        assert!(row(works)["version"].as_str().unwrap().contains('.') && ended.out.contains(works), "{}", ended.out);
    }
    assert_eq!(row("webkit/webgpu")["available"], false);
    assert!(!row("webkit/webgpu")["reason"].as_str().unwrap().is_empty());
    assert_eq!(row("edge/wasm")["available"], false);
    assert!(row("edge/wasm")["reason"].as_str().unwrap().contains("/nowhere/edge"), "{}", row("edge/wasm"));
    assert_eq!(report["missing"][0]["browser"], "edge");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_case_makes_matrix_exit_with_1_unless_told_otherwise() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let y = |sum: f32| vec![("y".to_owned(), Tensor::from_values([1], &[sum]).unwrap())];
    models::save_case(&folder.path().join("suite"), "hangs", &counting(), &count(ENDLESS, 1.0), &y(0.0));
    for number in 1..=6 {
        models::save_case(
            &folder.path().join("suite"),
            &format!("good-{number}"),
            &counting(),
            &count(number, 1.0),
            &y(number as f32),
        );
    }
    let args =
        ["matrix", "suite", "--targets", "chrome/wasm", "--case-timeout", "2s", "--retries", "0", "--json", "m.json"];
    let ended = run(folder.path(), &args).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("timeout suite/hangs on chrome/wasm"), "{}", ended.err);
    let report = json(&folder.path().join("m.json"));
    assert_eq!(report["totals"]["chrome/wasm"], serde_json::json!({ "pass": 6, "timeout": 1 }), "{report}");
    assert_eq!(run(folder.path(), &[&args[..], &["--no-fail"]].concat()).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_share_the_selected_cases() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let y = |sum: f32| vec![("y".to_owned(), Tensor::from_values([1], &[sum]).unwrap())];
    for number in 1..=9 {
        models::save_case(
            &folder.path().join("suite"),
            &format!("case-{number}"),
            &counting(),
            &count(number, 1.0),
            &y(number as f32),
        );
    }
    let mut seen = Vec::new();
    for shard in ["1/2", "2/2"] {
        let select = ["--filter", "suite/case-[1-5]$", "--shard", shard, "--json", "m.json"];
        let ended = run(folder.path(), &[&["matrix", "suite", "--targets", "chrome/wasm"], &select[..]].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report = json(&folder.path().join("m.json"));
        seen.extend(
            report["results"].as_array().unwrap().iter().map(|result| result["case"].as_str().unwrap().to_owned()),
        );
    }
    seen.sort();
    assert_eq!(seen, ["case-1", "case-2", "case-3", "case-4", "case-5"]);
}
