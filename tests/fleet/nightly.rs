//! What a nightly job does with `matrix`: expectations, runs that survive a kill, shards, what failed again, builds.

use crate::{
    command::{Ended, run, tabfleet},
    fleets::{PATIENCE, are_here},
    models::{self, count, counting, unary},
    processes::{kill, until},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tabfleet::{
    browser::{Catalogue, Overrides},
    report::{CaseResult, MatrixReport, write_json},
    types::{Browser, Dtype, Target, Tensor, Verdict},
};
use time::OffsetDateTime;

const TARGET: [&str; 2] = ["--targets", "chrome/wasm"];

fn y(sum: f32) -> Vec<(String, Tensor<'static>)> {
    vec![("y".to_owned(), Tensor::from_values([1], &[sum]).unwrap())]
}

/// Cases that take this many steps each, one whose expected output is wrong, and one whose operator does not exist.
fn suite(folder: &Path, good: i64, trips: i64) -> PathBuf {
    let suite = folder.join("suite");
    for number in 1..=good {
        let trips = trips + number;
        models::save_case(&suite, &format!("good-{number}"), &counting(), &count(trips, 1.0), &y(trips as f32));
    }
    models::save_case(&suite, "wrong", &counting(), &count(3, 1.0), &y(4.0));
    let x = [("x".to_owned(), Tensor::from_values([1], &[1.0_f32]).unwrap())];
    models::save_case(&suite, "unknown", &unary("NoSuchOperator", Dtype::Float32, 1), &x, &y(1.0));
    suite
}

async fn matrix(folder: &Path, args: &[&str]) -> Ended {
    run(folder, &[&["matrix"], args, &TARGET].concat()).await
}

fn report(folder: &Path, name: &str) -> MatrixReport {
    MatrixReport::read(folder.join(name)).unwrap()
}

/// Each case's verdict on each target; fails when a case has two results on one.
fn verdicts(report: &MatrixReport) -> BTreeMap<(String, String), Verdict> {
    let mut verdicts = BTreeMap::new();
    for result in &report.results {
        let before = verdicts.insert((result.case.clone(), result.column().to_string()), result.verdict);
        assert_eq!(before, None, "{} has two results", result.case);
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_unexpected_fails_a_run_with_expectations() {
    if !are_here(&TARGET[1..]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 2, 1);
    let file = folder.path().join("expectations.toml");
    let with = ["suite", "--json", "m.json", "--expectations", "expectations.toml"];

    let missing = matrix(folder.path(), &with).await;
    assert!(missing.code == Some(2) && missing.err.contains("cannot read the expectations"), "{missing:?}");
    std::fs::write(&file, "[[expect]]\nverdict = 'Wrong'\nreason = 'r'\n").unwrap();
    let bad = matrix(folder.path(), &with).await;
    assert!(bad.code == Some(2) && bad.err.contains("expectations.toml:2:11: `Wrong` is not a verdict"), "{bad:?}");

    std::fs::write(&file, "# Ours.\n").unwrap();
    let new = matrix(folder.path(), &with).await;
    assert!(new.code == Some(1) && new.err.contains("unexpected wrong suite/wrong on chrome/wasm"), "{new:?}");
    let updated = matrix(folder.path(), &[&with[..], &["--update-expectations"]].concat()).await;
    assert!(updated.code == Some(0) && updated.out.contains("2 entries added, 0 changed, 0 removed"), "{updated:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("# Ours.") && text.contains("case = \"suite/unknown\""), "{text}");
    let known = matrix(folder.path(), &with).await;
    assert!(known.code == Some(0) && known.out.contains("; 0 unexpected"), "{known:?}");

    // Mended, it is unexpected that it passes.
    models::save_case(&folder.path().join("suite"), "wrong", &counting(), &count(4, 1.0), &y(4.0));
    let passes = matrix(folder.path(), &with).await;
    assert!(passes.code == Some(1) && passes.err.contains("unexpected pass suite/wrong"), "{passes:?}");
    let row = report(folder.path(), "m.json").results.into_iter().find(|result| result.case == "wrong").unwrap();
    assert_eq!((row.unexpected, row.expected.unwrap().verdicts), (Some(true), vec![Verdict::Wrong]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_that_is_resumed_ends_as_one_that_was_not_killed() {
    if !cfg!(target_os = "linux") || !are_here(&TARGET[1..]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 60, 20_000);
    let whole = matrix(folder.path(), &["suite", "--json", "whole.json", "--no-fail"]).await;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let whole = verdicts(&report(folder.path(), "whole.json"));
    assert_eq!(whole.len(), 62);

    let args = [&["matrix", "suite", "--no-fail", "--json", "killed.json"][..], &TARGET].concat();
    let mut victim = tabfleet(folder.path(), &args).spawn().unwrap();
    let path = folder.path().join("killed.json");
    until(PATIENCE, "some results", || MatrixReport::read(&path).is_ok_and(|report| report.results.len() >= 10)).await;
    kill(victim.id().unwrap());
    victim.wait().await.unwrap();
    let killed = report(folder.path(), "killed.json");
    assert!(killed.results.len() < 62 && killed.finished.is_none(), "{} results", killed.results.len());

    // Not with other cases: what was found of them would be taken for the run's.
    models::save_case(&folder.path().join("other/suite"), "wrong", &counting(), &count(4, 1.0), &y(4.0));
    let other = matrix(folder.path(), &["other/suite", "--no-fail", "--resume", "killed.json"]).await;
    assert!(other.code == Some(2) && other.err.contains("is not among those selected now"), "{other:?}");
    assert_eq!(report(folder.path(), "killed.json"), killed, "and left as it was");

    let resumed = matrix(folder.path(), &["suite", "--no-fail", "--resume", "killed.json"]).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let report = report(folder.path(), "killed.json");
    assert_eq!(verdicts(&report), whole);
    assert_eq!((report.started, &report.run, report.finished.is_some()), (killed.started, &killed.run, true));
    assert_eq!(report.results[..killed.results.len()], killed.results[..], "what was done was not done again");
    println!("{} of 62 results were there when it was killed", killed.results.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_merged_and_what_failed_is_run_again() {
    if !are_here(&TARGET[1..]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 6, 1);
    let whole = matrix(folder.path(), &["suite", "--json", "whole.json", "--repeat-each", "2"]).await;
    assert_eq!(whole.code, Some(1), "{whole:?}");
    let repeated = report(folder.path(), "whole.json");
    assert!(repeated.results.iter().all(|result| result.repeats.values().sum::<u32>() == 2 && !result.flaky));

    for shard in ["1/2", "2/2"] {
        let name = format!("shard-{}.json", &shard[..1]);
        let args = ["suite", "--shard", shard, "--previous", "whole.json", "--json", &name, "--no-fail"];
        assert_eq!(matrix(folder.path(), &args).await.code, Some(0));
    }
    let merge = ["matrix", "merge", "shard-1.json", "shard-2.json", "--json", "merged.json", "--junit", "merged.xml"];
    let merged = run(folder.path(), &merge).await;
    assert!(merged.code == Some(1) && folder.path().join("merged.xml").is_file(), "{merged:?}");
    assert_eq!(verdicts(&report(folder.path(), "merged.json")), verdicts(&repeated));
    let known = ["--expectations", "e.toml", "--update-expectations"];
    let updated = run(folder.path(), &[&merge[..4], &known].concat()).await;
    assert!(updated.code == Some(0) && updated.out.contains("e.toml: 2 entries added"), "{updated:?}");
    assert_eq!(run(folder.path(), &[&merge[..4], &known[..2]].concat()).await.code, Some(0));
    let same = run(folder.path(), &["matrix", "diff", "whole.json", "merged.json"]).await;
    assert!(same.code == Some(0) && same.out.contains(": nothing; 8 results are the same"), "{same:?}");

    let again = matrix(folder.path(), &["suite", "--json", "merged.json", "--last-failed"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    let again = verdicts(&report(folder.path(), "merged.json"));
    assert_eq!(again.into_keys().map(|(case, _)| case).collect::<Vec<_>>(), ["unknown", "wrong"]);

    let stopped = matrix(folder.path(), &["suite", "--json", "s.json", "--max-failures", "1", "--tabs", "1"]).await;
    assert!(stopped.code == Some(1), "{stopped:?}");
    assert_eq!(report(folder.path(), "s.json").failures(), 1);
    let none = matrix(folder.path(), &["suite", "--json", "t.json", "--time-budget", "0s"]).await;
    assert!(none.code == Some(4) && none.err.contains("8 results are missing"), "{none:?}");
}

/// A report of the suite's case `wrong`, written without a run.
fn reported(folder: &Path, name: &str, verdict: Verdict) {
    let mut report = MatrixReport::new(OffsetDateTime::now_utc());
    let column = TARGET[1].parse::<Target>().unwrap().into();
    report.results = vec![CaseResult::new("suite", "wrong", column, verdict)];
    write_json(&report, &folder.join(name)).unwrap();
}

#[tokio::test]
async fn a_target_that_was_lost_fails_what_is_merged() {
    let folder = tempfile::tempdir().unwrap();
    reported(folder.path(), "lost.json", Verdict::Unavailable);
    reported(folder.path(), "good.json", Verdict::Pass);
    let merge = async |args: &[&str]| run(folder.path(), &[&["matrix", "merge"], args].concat()).await;
    let lost = merge(&["lost.json"]).await;
    assert!(lost.code == Some(4) && lost.err.contains("1 cases were not tried on chrome/wasm"), "{lost:?}");
    assert_eq!(merge(&["lost.json", "--no-fail"]).await.code, Some(0));
    assert_eq!(merge(&["good.json"]).await.code, Some(0));
    let never = merge(&["good.json", "--targets", "firefox"]).await;
    assert!(never.code == Some(4) && never.err.contains("firefox was asked for and does not work"), "{never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_asked_for_by_name_that_does_not_work_is_told_by_the_exit_code() {
    if !are_here(&TARGET[1..]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    models::save_case(&folder.path().join("suite"), "good", &counting(), &count(1, 1.0), &y(1.0));
    let args = ["matrix", "suite", "--targets", "chrome/wasm,edge/wasm", "--binary", "edge=/nowhere/edge"];
    let ended = run(folder.path(), &args).await;
    assert!(ended.code == Some(4) && ended.err.contains("edge/wasm was asked for and does not work: "), "{ended:?}");
}

#[tokio::test]
async fn what_failed_is_not_forgotten_before_it_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 1, 1);
    reported(folder.path(), "m.json", Verdict::Wrong);
    let args = ["suite", "--json", "m.json", "--last-failed", "--binary", "chrome=/nowhere/chrome"];
    for _ in 0..2 {
        let ended = matrix(folder.path(), &args).await;
        assert!(ended.code == Some(4) && !ended.out.contains("nothing failed"), "{ended:?}");
    }
    assert_eq!(report(folder.path(), "m.json").still_failing().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_may_be_more_shares_than_cases() {
    if !are_here(&TARGET[1..]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 1, 1);
    let shares = ["1/4", "2/4", "3/4", "4/4"];
    let names = shares.map(|share| format!("{}.json", &share[..1]));
    for (share, name) in shares.into_iter().zip(&names) {
        let args = ["suite", "--filter", "/good-1$", "--shard", share, "--json", name];
        let ended = matrix(folder.path(), &args).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let merge = [&["matrix", "merge", "--json", "whole.json"], &names[..], &TARGET].concat();
    let merged = run(folder.path(), &merge).await;
    assert_eq!(merged.code, Some(0), "{merged:?}");
    assert_eq!(verdicts(&report(folder.path(), "whole.json")).len(), 1);
}

#[tokio::test]
async fn two_suites_of_the_same_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for version in ["1.22", "1.23"] {
        suite(&folder.path().join(version), 1, 1);
    }
    let ended = matrix(folder.path(), &["1.22/suite", "1.23/suite"]).await;
    assert!(ended.code == Some(2) && ended.err.contains("two suites are called `suite`"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_a_browser_run_side_by_side() {
    if !are_here(&TARGET[1..]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 1, 1);
    let found = Catalogue::embedded().unwrap().find(Browser::Chrome, &Overrides::default().from_env()).unwrap();
    let second = format!("chrome@second={}", found.binary.unwrap().display());
    let args = ["suite", "--json", "m.json", "--browser", &second, "--history", "h.duckdb", "--no-fail"];
    let ended = matrix(folder.path(), &[&args[..], &["--fail-on", "critical"]].concat()).await;
    assert!(ended.code == Some(0) && ended.out.contains("chrome@second/wasm"), "{ended:?}");
    // What each build took is compared with what it took before, and not with what the other takes.
    assert!(ended.out.contains("of 2 runs in h.duckdb"), "{ended:?}");
    let known = "SELECT DISTINCT run_id, coalesce(build, '') AS build, target FROM performance_results \
                 JOIN runs USING (run_id) ORDER BY run_id";
    let known = run(folder.path(), &["history", "query", "--json", "--history", "h.duckdb", known]).await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&known.out).unwrap(),
        serde_json::json!([
            { "run_id": 1, "build": "", "target": "chrome/wasm" },
            { "run_id": 2, "build": "second", "target": "chrome@second/wasm" },
        ])
    );
    let report = report(folder.path(), "m.json");
    assert_eq!(report.totals()["chrome@second/wasm"], report.totals()["chrome/wasm"]);
    assert_eq!(verdicts(&report).len(), 6);
    let few = ["suite", "--json", "few.json", "--browser", &second, "--max-failures", "3", "--tabs", "1"];
    assert_eq!(matrix(folder.path(), &few).await.code, Some(1));
    assert_eq!(MatrixReport::read(folder.path().join("few.json")).unwrap().failures(), 3, "of both builds together");
    let same = run(folder.path(), &["matrix", "diff", "chrome", "chrome@second", "--report", "m.json"]).await;
    assert!(same.code == Some(0) && same.out.contains(": nothing; 3 results are the same"), "{same:?}");
    let bad = matrix(folder.path(), &["suite", "--browser", "chrome=x"]).await;
    assert!(bad.code == Some(2) && bad.err.contains("write BROWSER@NAME=PATH"), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_cases_are_written_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let none = run(folder.path(), &["suite", "onnx", "--output", "onnx", "--python", "no-such-python"]).await;
    let known = none.code == Some(0); // The environment may be there from before.
    assert!(known || (none.code == Some(4) && none.err.contains("`no-such-python` cannot be started")), "{none:?}");
    if !known {
        let written = run(folder.path(), &["suite", "onnx", "--output", "onnx"]).await;
        if written.err.contains("installing the onnx package failed") {
            println!("SKIPPED: the onnx package cannot be installed: {}", written.err);
            return;
        }
        assert!(written.code == Some(0) && written.out.contains("2033 cases (1884 node, "), "{written:?}");
    }
    let again = run(folder.path(), &["suite", "onnx", "--output", "onnx"]).await;
    assert!(again.code == Some(2) && again.err.contains("onnx exists already"), "{again:?}");
    let listed = run(folder.path(), &["suite", "list", "onnx", "--by", "opset"]).await;
    assert!(listed.code == Some(0) && listed.out.contains("2033 cases, "), "{listed:?}");
    let cases = run(folder.path(), &["suite", "list", "onnx", "--by", "case"]).await;
    let sequence = cases.out.lines().find(|line| line.contains("node/test_sequence_insert_at_back ")).unwrap();
    assert!(sequence.contains("is a sequence") && cases.out.contains("onnx/light/"), "{sequence}");
}
