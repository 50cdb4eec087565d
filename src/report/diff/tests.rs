use super::*;
use crate::report::{MatrixReport, TargetBuild, sample};

fn outcome(verdict: Verdict, flaky: bool, cpu: Option<bool>) -> Outcome {
    Outcome { verdict, flaky, cpu_fallback: cpu, run_ms: None, error: None }
}

#[test]
fn every_pair_of_outcomes_has_the_kind_that_its_words_say() {
    use ChangeKind::*;
    let pass = outcome(Verdict::Pass, false, Some(false));
    let cpu = outcome(Verdict::Pass, false, Some(true));
    let flaky = outcome(Verdict::Pass, true, Some(false));
    let wrong = outcome(Verdict::Wrong, false, None);
    let crash = outcome(Verdict::Crash, false, None);
    let skipped = outcome(Verdict::Skipped, false, None);
    let sides = [None, Some(&pass), Some(&cpu), Some(&flaky), Some(&wrong), Some(&crash), Some(&skipped)];
    let table = [
        [None, Some(NewPass), Some(NewPass), Some(NewPass), Some(NewFailure), Some(NewFailure), None],
        [Some(NotTried), None, Some(ToCpu), Some(Flaky), Some(Broke), Some(Broke), Some(NotTried)],
        [Some(NotTried), Some(OffCpu), None, Some(Flaky), Some(Broke), Some(Broke), Some(NotTried)],
        [Some(NotTried), None, None, None, Some(Broke), Some(Broke), Some(NotTried)],
        [Some(NotTried), Some(Fixed), Some(Fixed), Some(Fixed), None, Some(FailsOtherwise), Some(NotTried)],
        [Some(NotTried), Some(Fixed), Some(Fixed), Some(Fixed), Some(FailsOtherwise), None, Some(NotTried)],
        [None, Some(NewPass), Some(NewPass), Some(NewPass), Some(NewFailure), Some(NewFailure), None],
    ];
    for (before, row) in sides.iter().zip(table) {
        for (after, kind) in sides.iter().zip(row) {
            assert_eq!(ChangeKind::between(*before, *after), kind, "{before:?} to {after:?}");
        }
    }
}

#[test]
fn a_run_compared_with_itself_is_the_same_everywhere() {
    let report = sample::matrix();
    let side = Side::run("sample.json", &report);
    let diff = MatrixDiff::of(&side, &side);
    assert_eq!((diff.changes.len(), diff.same), (0, report.results.len()));
    assert!(!diff.is_worse());
    let timed = diff.targets.iter().filter(|target| target.timed > 0).count();
    assert_eq!(timed, 8);
    assert!(diff.targets.iter().all(|target| target.run_time_ratio.is_none_or(|ratio| ratio == 1.0)));
}

#[test]
fn changes_are_told_with_what_wants_attention_first() {
    let (before, after) = (sample::matrix(), sample::next_matrix());
    let diff = MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", &after));
    let told: Vec<_> =
        diff.changes.iter().map(|change| format!("{} {} {}", change.kind, change.case, change.target)).collect();
    insta::assert_snapshot!(told.join("\n"));
    let firefox = diff.targets.iter().find(|target| target.target == "firefox/wasm").unwrap();
    assert_eq!(firefox.versions, [Some("153.1.0".to_owned()), Some("154.0.0".to_owned())]);
    assert_eq!(firefox.run_time_ratio, Some(2.0));
}

#[test]
fn what_a_run_was_not_to_try_is_no_change() {
    let before = sample::matrix();
    let mut after = sample::matrix();
    let kept = |case: &str| case == "gelu";
    after.results.retain(|result| kept(&result.case));
    let compare =
        |after: &MatrixReport| MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", after));
    let all = compare(&after);
    assert!(all.changes.iter().any(|change| change.kind == ChangeKind::NotTried), "nobody said that they were not");
    let row = |suite: &str| crate::report::CaseRow {
        suite: suite.to_owned(),
        case: "gelu".to_owned(),
        operators: Vec::new(),
        opset: None,
        types: Vec::new(),
    };
    let suites: BTreeSet<String> = after.results.iter().map(|result| result.suite.clone()).collect();
    after.cases = suites.iter().map(|suite| row(suite)).collect();
    let filtered = compare(&after);
    assert_eq!(filtered.changes, []);
    after.targets.retain(|row| row.target == sample::target("chrome/wasm"));
    after.results.retain(|result| result.target == sample::target("chrome/wasm"));
    assert_eq!(compare(&after).changes, []);
}

#[test]
fn builds_of_one_browser_are_compared_backend_by_backend() {
    let mut report = sample::matrix();
    let beta: Vec<_> = report
        .results
        .iter()
        .filter(|result| result.target == sample::target("chrome/wasm"))
        .cloned()
        .map(|mut result| {
            result.build = Some("beta".to_owned());
            if result.case == "gelu" {
                result.verdict = Verdict::Wrong;
            }
            result
        })
        .collect();
    report.results.extend(beta);
    let build = |wanted: Option<&'static str>| {
        move |column: TargetBuild<'_>| {
            let is_chrome = column.target == sample::target("chrome/wasm") && column.build == wanted;
            is_chrome.then(|| column.target.backend.to_string())
        }
    };
    let before = Side::of("chrome", &report, build(None));
    let diff = MatrixDiff::of(&before, &Side::of("chrome@beta", &report, build(Some("beta"))));
    let [change] = &diff.changes[..] else { panic!("{:?}", diff.changes) };
    assert_eq!((change.kind, &*change.case, &*change.target), (ChangeKind::Broke, "gelu", "wasm"));
}
