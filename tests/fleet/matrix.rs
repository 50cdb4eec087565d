//! The matrix: the built-in suite on every target this machine has, and the reports written of it.

use crate::{
    command::run,
    fleets::{PATIENCE, are_here, target},
    models::{self, count, counting},
    processes::within,
    schema_check::departures,
};
use quick_junit::TestCaseStatus;
use serde_json::Value;
use std::{path::Path, process::Stdio};
use tabfleet::{
    browser::{Catalogue, Overrides},
    report::MatrixReport,
    types::{Browser, Tensor, Verdict},
};

fn cases() -> usize {
    tabfleet::onnx::Suite::builtin().unwrap().cases.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_builtin_suite_passes_everywhere_and_is_reported_in_every_form() {
    let here: Vec<&str> = ["chrome/wasm", "edge/webnn", "firefox/wasm", "webkit/wasm"]
        .into_iter()
        .filter(|name| are_here(&[name]))
        .collect();
    if here.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files =
        ["--json", "out/matrix.json", "--junit", "out/matrix.xml", "--html", "out/html", "--history", "h.duckdb"];
    let ended =
        run(folder.path(), &[&["matrix", "--targets", &here.join(","), "--case-timeout", "120s"], &files[..]].concat())
            .await;
    println!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(0), "every case passes on every target");
    let (cases, out) = (cases(), folder.path().join("out"));

    let report: Value = serde_json::from_slice(&std::fs::read(out.join("matrix.json")).unwrap()).unwrap();
    let schema = serde_json::from_str(include_str!("../../docs/matrix.schema.json")).unwrap();
    assert_eq!(departures(&schema, &report), Vec::<String>::new());
    assert_eq!(report["results"].as_array().unwrap().len(), cases * here.len());
    for name in &here {
        assert_eq!(report["totals"][name], serde_json::json!({ "pass": cases }), "{name}");
        let row = report["targets"].as_array().unwrap().iter().find(|row| row["target"] == *name).unwrap();
        assert!(row["product"].is_string() && row["version"].is_string() && row["driver"].is_string(), "{row}");
        let is_edge = row["product"].as_str().unwrap().contains("Edg");
        assert_eq!(row["stand_in"], *name == "edge/webnn" && !is_edge, "{row}");
    }
    for result in report["results"].as_array().unwrap() {
        assert!(result["run_ms"].as_f64().unwrap() > 0.0 && result["load_ms"].as_f64().unwrap() > 0.0, "{result}");
        assert!(result["max_abs_error"].as_f64().unwrap() < 0.1 && result["error"].is_null(), "{result}");
    }

    let junit = std::fs::read_to_string(out.join("matrix.xml")).unwrap();
    let junit = quick_junit::Report::deserialize_from_str(&junit).unwrap();
    assert_eq!(junit.test_suites.len(), here.len());
    for suite in &junit.test_suites {
        assert!(here.contains(&suite.name.as_str()) && suite.test_cases.len() == cases, "{}", suite.name.as_str());
        assert!(suite.test_cases.iter().all(|case| matches!(case.status, TestCaseStatus::Success { .. })));
    }

    let runs = tabfleet::history::History::open(&folder.path().join("h.duckdb")).unwrap().runs().unwrap();
    assert_eq!((runs.len(), runs[0].info.command.as_str()), (1, "matrix"));
    assert!(runs[0].attempts >= (cases * here.len()) as u64 && runs[0].ended.is_some(), "{runs:?}");

    if are_here(&["chrome/wasm"]) {
        let page = drawn(&out.join("html/index.html")).await;
        let headline =
            format!("{} results tried: {cases} cases, {n} of {n} targets working", cases * here.len(), n = here.len());
        assert!(page.contains(&headline), "{page}");
        assert!(here.iter().all(|name| page.contains(name)) && page.contains("whisper-encoder"), "{page}");
    }
}

/// A page as Chromium has drawn it, its scripts run.
async fn drawn(page: &Path) -> String {
    let found = Catalogue::embedded().unwrap().find(Browser::Chrome, &Overrides::default().from_env()).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = tokio::process::Command::new(found.binary.unwrap());
    chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    chromium.arg(format!("file://{}", page.display())).stderr(Stdio::null()).kill_on_drop(true);
    let drawn = within(PATIENCE, "the page to be drawn", chromium.output()).await.unwrap();
    assert!(drawn.status.success());
    String::from_utf8(drawn.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn webgpu_computes_what_it_should() {
    let here: Vec<&str> =
        ["chrome/webgpu", "edge/webgpu", "firefox/webgpu"].into_iter().filter(|name| are_here(&[name])).collect();
    if here.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A software adapter takes seconds for the larger ones.
    let select = ["--filter", "/(mlp|mlp-dynamic|lstm)$", "--case-timeout", "120s", "--json", "m.json", "--tabs", "1"];
    let ended = run(folder.path(), &[&["matrix", "--targets", &here.join(",")], &select[..]].concat()).await;
    println!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(0));
    let report = MatrixReport::read(folder.path().join("m.json")).unwrap();
    for name in here {
        let row = report.targets.iter().find(|row| row.target == target(name)).unwrap();
        assert!(row.adapter.is_some() && row.software.is_some(), "{row:?}");
        let results: Vec<_> = report.results.iter().filter(|result| result.target == target(name)).collect();
        assert_eq!(results.len(), 3);
        assert!(
            results.iter().all(|result| result.verdict == Verdict::Pass && result.cpu_fallback.is_some()),
            "{results:?}"
        );
    }
}

/// On a disk of 20 KiB, `--json` has room for the start of a report, and not for all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_run_goes_on() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let y = |sum: f32| vec![("y".to_owned(), Tensor::from_values([1], &[sum]).unwrap())];
    for number in 1..=60 {
        models::save_case(
            &folder.path().join("suite"),
            &format!("case-{number}"),
            &counting(),
            &count(number, 1.0),
            &y(number as f32),
        );
    }
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let inner = crate::command::tabfleet(
        folder.path(),
        &["matrix", "suite", "--targets", "chrome/wasm", "--json", "disk/m.json"],
    );
    let mut command = tokio::process::Command::new("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs -o size=20k none disk && exec \"$@\"",
        "sh",
    ]);
    command
        .arg(inner.as_std().get_program())
        .args(inner.as_std().get_args())
        .current_dir(folder.path())
        .kill_on_drop(true);
    let ended = crate::command::ended(command).await;
    if ["unshare failed", "mount failed", "permission denied"].iter().any(|refusal| ended.err.contains(refusal)) {
        println!("SKIPPED: this machine does not let a process mount a disk of its own: {}", ended.err);
        return;
    }
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("cannot write the report disk/m.json"), "{}", ended.err);
    assert!(ended.err.contains("No space left on device"), "{}", ended.err);
    // What was measured is printed, at least.
    assert!(ended.out.contains("60") && ended.out.contains("chrome/wasm"), "{}", ended.out);
}
