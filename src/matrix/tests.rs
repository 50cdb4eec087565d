//! What plans say, and what the past says to them. Made up; the running itself is tested with browsers.

use super::{expectations::tests::target, *};
use crate::{
    onnx::Case,
    report::{CaseRow, ErrorRow, MatrixReport},
    types::{Category, Verdict},
};
use std::path::PathBuf;
use time::OffsetDateTime;

pub(super) fn planned(name: &str, operators: &[&str]) -> Planned {
    let operators = operators.iter().map(|operator| (*operator).to_owned()).collect();
    let (suite, case) = ("s".to_owned(), name.to_owned());
    Planned {
        case: Case { suite: suite.clone(), name: case.clone(), model: PathBuf::new(), data_sets: Vec::new() },
        row: CaseRow { suite, case, operators, opset: Some(21), types: Vec::new() },
    }
}

pub(super) fn result(case: &str, target: &str, verdict: Verdict) -> CaseResult {
    let error = || ErrorRow { category: Category::Inference, message: "it broke (sample)\nat length".into() };
    CaseResult {
        attempts: 1,
        error: verdict.is_failure().then(error),
        ..CaseResult::new("s", case, target.parse::<crate::types::Target>().unwrap().into(), verdict)
    }
}

pub(super) fn report(results: Vec<CaseResult>) -> MatrixReport {
    let mut report = MatrixReport::new(OffsetDateTime::UNIX_EPOCH);
    report.targets = vec![target("chrome/wasm", "156.0"), target("edge/webnn", "147.0")];
    report.results = results;
    report
}

fn names<'a>(plan: &'a Plan, numbers: &[usize]) -> Vec<&'a str> {
    numbers.iter().map(|number| &*plan.cases[*number].row.case).collect()
}

#[test]
fn what_ends_browsers_comes_last_and_what_is_done_does_not_come() {
    let cases = ["a", "b", "c", "d"].map(|name| planned(name, &[])).to_vec();
    let targets = [target("chrome/wasm", "156.0"), target("edge/webnn", "147.0")];
    let mut retried = result("c", "edge/webnn", Verdict::Pass);
    retried.failed_attempts.push(crate::report::FailedAttempt {
        verdict: Verdict::Crash,
        category: Category::Connection,
        message: String::new(),
        elapsed_ms: 1.0,
    });
    let past = Past::of(vec![report(vec![result("a", "edge/webnn", Verdict::Timeout), retried])]);
    let text = "[[expect]]\ncase = 's/b'\ntarget = 'edge'\nverdict = ['pass', 'crash']\nreason = 'r'\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.toml"), text).unwrap();
    let expectations = Expectations::read(&folder.path().join("e.toml")).unwrap();
    let done = [result("d", "chrome/wasm", Verdict::Wrong)].iter().collect();
    let options = PlanOptions { done, ..PlanOptions::default() };
    let plan = Plan::new(cases.clone(), &targets, past, Some(&expectations), &options);
    assert_eq!(names(&plan, &plan.first[0]), ["a", "b", "c"]);
    assert_eq!(names(&plan, &plan.first[1]), ["d"]);
    assert_eq!(names(&plan, &plan.last[1]), ["a", "b", "c"]);
    assert!(plan.last[0].is_empty() && plan.len() == 7);

    let only = Some([result("b", "chrome/wasm", Verdict::Wrong)].iter().collect());
    let options = PlanOptions { only, ..PlanOptions::default() };
    let plan = Plan::new(cases, &targets, Past::default(), None, &options);
    assert_eq!((names(&plan, &plan.first[0]), plan.first[1].len()), (vec!["b"], 0));
}

#[test]
fn the_most_informative_cases_come_first_when_time_is_short() {
    let cases = [
        planned("steady", &["Relu"]),
        planned("fails", &["Gemm"]),
        planned("never-run", &["Gemm"]),
        planned("never-run-either", &["Relu"]),
        planned("changed", &["Erf"]),
        planned("another", &["Relu", "Gemm"]),
    ];
    let targets = [target("chrome/wasm", "156.0")];
    let earlier = report(vec![result("changed", "chrome/wasm", Verdict::Pass)]);
    let mut later = report(vec![
        result("steady", "chrome/wasm", Verdict::Pass),
        result("fails", "chrome/wasm", Verdict::Wrong),
        result("changed", "chrome/wasm", Verdict::Wrong),
        result("another", "chrome/wasm", Verdict::Pass),
    ]);
    later.started = OffsetDateTime::UNIX_EPOCH + time::Duration::DAY;
    // The order in which they are given is not the order in which they ran.
    let past = Past::of(vec![later.clone(), earlier]);
    let options = PlanOptions { informative_first: true, ..PlanOptions::default() };
    let plan = Plan::new(cases.to_vec(), &targets, past.clone(), None, &options);
    assert_eq!(
        names(&plan, &plan.first[0]),
        ["changed", "never-run", "never-run-either", "fails", "steady", "another"]
    );
    // In another version of the browser, all but what changed was never run.
    let newer = [target("chrome/wasm", "157.0")];
    let plan = Plan::new(cases.to_vec(), &newer, past, None, &options);
    assert_eq!(names(&plan, &plan.first[0])[0], "changed");
    assert_eq!(names(&plan, &plan.first[0])[1], "steady", "then by how much an operator is used, then as they come");
}

#[test]
fn what_no_report_tells_is_told_by_the_history() {
    let recorded = |model: &str, spent_ms, failed, flaky_runs| crate::history::RecordedCase {
        model: model.to_owned(),
        target: "chrome/wasm".to_owned(),
        spent_ms: Some(spent_ms),
        failed,
        flaky_runs,
        version: Some("156.0".to_owned()),
    };
    let cases = ["steady", "reported", "never-run", "fails", "flaky"].map(|name| planned(name, &[])).to_vec();
    let reported = CaseResult { spent_ms: Some(3.0), ..result("reported", "chrome/wasm", Verdict::Pass) };
    let past = Past::of(vec![report(vec![reported])]).with_recorded([
        recorded("steady", 1.0, false, 0),
        recorded("reported", 1000.0, false, 0),
        recorded("s/fails", 2.0, true, 0),
        recorded("flaky", 2.0, false, 3),
    ]);
    let spent: Vec<Option<f64>> = cases.iter().map(|planned| past.spent_ms(&planned.row)).collect();
    assert_eq!(spent, [Some(1.0), Some(3.0), None, Some(2.0), Some(2.0)], "a report knows better");
    let options = PlanOptions { informative_first: true, ..PlanOptions::default() };
    let plan = Plan::new(cases, &[target("chrome/wasm", "156.0")], past, None, &options);
    assert_eq!(names(&plan, &plan.first[0]), ["flaky", "never-run", "fails", "steady", "reported"]);
}
