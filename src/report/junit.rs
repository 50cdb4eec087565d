//! JUnit XML, for what shows test results: one test suite a target, one test case a case.

use super::{CaseResult, Expected, FailedAttempt, MatrixReport, ReportError, TargetRow, file, gist::gist, quantity};
use crate::types::{Target, Verdict, names};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use std::{io, path::Path, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Writes the report as JUnit XML. A target is a test suite; a case is a test case, its class name is its suite, its
/// time is the run's. A wrong output is a failure, whatever kept the model from running is an error, and what was not
/// tried is skipped, with the reason. So is what fails as expected; an unexpected pass is a failure. The file is whole at
/// every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old file is then left as it was.
pub fn write_junit(report: &MatrixReport, flaky: JunitFlaky, path: &Path) -> Result<(), ReportError> {
    file::replace(path, |out| junit(report, flaky).serialize(out).map_err(io::Error::other))
}

/// How JUnit tells of attempts that failed before the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JunitFlaky {
    /// As Maven Surefire does: within the test case, as `flakyFailure` and `flakyError` when it passed in the end, else as
    /// `rerunFailure` and `rerunError`.
    #[default]
    Elements,
    /// As a test case of the same name for each attempt, for consumers that do not know those elements and take a test
    /// that both failed and passed for flaky.
    Duplicate,
}
names!(JunitFlaky { Elements = "elements", Duplicate = "duplicate" });

fn junit(report: &MatrixReport, flaky: JunitFlaky) -> Report {
    let mut xml = Report::new(format!("tabfleet {}", report.tabfleet));
    // The type of the field is of a crate that is not ours to name; its text form is RFC 3339.
    xml.timestamp = rfc3339(report.started).and_then(|at| at.parse().ok());
    if let Some(took) = report.finished.and_then(|finished| Duration::try_from(finished - report.started).ok()) {
        xml.set_time(took);
    }
    let cases = report.by_case();
    for (column, row) in report.columns() {
        let mut suite = TestSuite::new(column.to_string());
        suite.timestamp = xml.timestamp;
        for property in row.map(properties).unwrap_or_default() {
            suite.add_property(property);
        }
        for ((suite_name, case), results) in &cases {
            let result = results.get(&column).copied();
            let attempts = result.map(|result| earlier_attempts(case, result, flaky)).unwrap_or_default();
            for mut test in attempts.into_iter().chain(test_case(case, result, row, flaky)) {
                test.set_classname(*suite_name);
                suite.add_test_case(test);
            }
        }
        xml.add_test_suite(suite);
    }
    xml
}

fn rfc3339(at: OffsetDateTime) -> Option<String> {
    at.format(&Rfc3339).ok()
}

/// A case without a result is left out, unless it has none because the target does not work here.
fn test_case(case: &str, result: Option<&CaseResult>, row: Option<&TargetRow>, flaky: JunitFlaky) -> Option<TestCase> {
    let Some(result) = result else {
        let unavailable = row.filter(|row| !row.available)?;
        return Some(TestCase::new(case, skipped(Verdict::Unavailable, unavailable.reason.as_deref())));
    };
    let mut status = status(result, row);
    if flaky == JunitFlaky::Elements && !is_skipped(result) {
        result.failed_attempts.iter().for_each(|attempt| {
            status.add_rerun(rerun(attempt));
        });
    }
    let mut test = TestCase::new(case, status);
    if let Some(run) = result.run_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok()) {
        test.set_time(run);
    }
    // JUnit's times end at the millisecond, where many runs have not begun yet.
    let measured = [("run_ms", result.run_ms), ("load_ms", result.load_ms), ("max_abs_error", result.max_abs_error)];
    for (name, value) in measured {
        if let Some(value) = value {
            test.add_property(Property::new(name, value.to_string()));
        }
    }
    if let Some(cpu_fallback) = result.cpu_fallback {
        test.add_property(Property::new("cpu_fallback", cpu_fallback.to_string()));
    }
    Some(test)
}

/// Whether a test that fails as it is expected to, or that was not tried.
fn is_skipped(result: &CaseResult) -> bool {
    !result.verdict.is_tried() || (result.verdict.is_failure() && !result.has_failed())
}

fn status(result: &CaseResult, row: Option<&TargetRow>) -> TestCaseStatus {
    let message = result.error.as_ref().map(|error| &*error.message);
    let kind = match result.verdict {
        Verdict::Pass if result.has_failed() => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("unexpected-pass").set_message(expectation(result));
            return status;
        }
        Verdict::Pass => return TestCaseStatus::success(),
        verdict if verdict.is_failure() && is_skipped(result) => return skipped(verdict, Some(&expectation(result))),
        Verdict::Skipped => return skipped(result.verdict, message),
        Verdict::Unavailable => {
            return skipped(result.verdict, message.or_else(|| row.and_then(|row| row.reason.as_deref())));
        }
        verdict => kind(verdict),
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(result.verdict.name());
    if let Some(error) = &result.error {
        status.set_message(gist(&error.message, 200));
        status.set_description(format!("{}: {}", error.category, error.message));
    }
    status
}

/// What was expected of the case, and why: `expected wrong: rounding`.
fn expectation(result: &CaseResult) -> String {
    let Some(Expected { verdicts, reason, .. }) = &result.expected else { return "expected pass".to_owned() };
    let verdicts = verdicts.iter().map(|verdict| verdict.name()).collect::<Vec<_>>().join(" or ");
    reason.iter().fold(format!("expected {verdicts}"), |said, reason| format!("{said}: {reason}"))
}

fn kind(verdict: Verdict) -> NonSuccessKind {
    if verdict == Verdict::Wrong { NonSuccessKind::Failure } else { NonSuccessKind::Error }
}

fn elapsed(attempt: &FailedAttempt) -> Option<Duration> {
    Duration::try_from_secs_f64(attempt.elapsed_ms / 1000.0).ok()
}

fn rerun(attempt: &FailedAttempt) -> TestRerun {
    let mut rerun = TestRerun::new(kind(attempt.verdict));
    rerun.set_type(attempt.verdict.name()).set_message(gist(&attempt.message, 200));
    rerun.set_description(format!("{}: {}", attempt.category, attempt.message));
    elapsed(attempt).map(|elapsed| rerun.set_time(elapsed));
    rerun
}

/// The attempts that failed before the last one, as test cases of their own, where that is how they are told.
fn earlier_attempts(case: &str, result: &CaseResult, flaky: JunitFlaky) -> Vec<TestCase> {
    if flaky == JunitFlaky::Elements || is_skipped(result) {
        return Vec::new();
    }
    let attempt = |attempt: &FailedAttempt| {
        let mut status = TestCaseStatus::non_success(kind(attempt.verdict));
        status.set_type(attempt.verdict.name()).set_message(gist(&attempt.message, 200));
        status.set_description(format!("{}: {}", attempt.category, attempt.message));
        let mut test = TestCase::new(case, status);
        elapsed(attempt).map(|elapsed| test.set_time(elapsed));
        test
    };
    result.failed_attempts.iter().map(attempt).collect()
}

fn skipped(verdict: Verdict, reason: Option<&str>) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_type(verdict.name());
    if let Some(reason) = reason {
        status.set_message(reason);
    }
    status
}

fn properties(row: &TargetRow) -> Vec<Property> {
    let Target { browser, backend } = row.target;
    let said = [
        ("browser", Some(browser.to_string())),
        ("backend", Some(backend.to_string())),
        ("build", row.build.clone()),
        ("product", quantity::product(row)),
        ("stand_in", row.product.as_ref().map(|_| row.stand_in.to_string())),
        ("driver", row.driver.clone()),
        ("adapter", row.adapter.as_ref().map(quantity::adapter)),
        ("webnn_device", row.webnn_device.clone()),
        ("runtime", row.runtime.as_ref().map(|runtime| format!("{} {}", runtime.name, runtime.version))),
        ("threads", row.threads.map(|threads| threads.to_string())),
    ];
    said.into_iter().filter_map(|(name, value)| Some(Property::new(name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use std::fs;

    #[test]
    fn a_matrix_as_junit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/junit.xml");
        let mut report = sample::matrix();
        report.results.retain(|result| ["attention", "string_split", "top_k"].contains(&&*result.case));
        report.targets.retain(|row| row.target.browser != crate::types::Browser::Webkit);
        write_junit(&report, JunitFlaky::Elements, &path).unwrap();
        insta::assert_snapshot!(fs::read_to_string(&path).unwrap());
    }

    #[test]
    fn attempts_that_failed_are_within_the_test_or_tests_of_their_own() {
        let mut report = sample::next_matrix();
        report.results.retain(|result| result.case == "softmax" && result.target == sample::target("webkit/wasm"));
        report.targets.clear();
        let told = |flaky| junit(&report, flaky).to_string().unwrap();
        let elements = told(JunitFlaky::Elements);
        assert!(elements.contains("<flakyError") && elements.matches("<testcase").count() == 1, "{elements}");
        let duplicate = told(JunitFlaky::Duplicate);
        assert!(!duplicate.contains("<flaky") && duplicate.matches("<testcase").count() == 2, "{duplicate}");
        assert!(duplicate.contains(r#"errors="1""#), "{duplicate}");
        report.results[0].verdict = Verdict::Crash;
        (report.results[0].flaky, report.results[0].unexpected) = (false, Some(true));
        let elements = junit(&report, JunitFlaky::Elements).to_string().unwrap();
        assert!(elements.contains("<rerunError"), "{elements}");
    }

    #[test]
    fn what_fails_as_expected_is_skipped_and_an_unexpected_pass_is_a_failure() {
        let mut report = sample::next_matrix();
        let retried = report.results.iter().flat_map(|result| result.failed_attempts.clone()).collect::<Vec<_>>();
        report.targets.clear();
        report.results.retain(|result| result.target == sample::target("edge/webnn"));
        report.results.retain(|result| ["gelu", "lstm"].contains(&&*result.case));
        let [gelu, lstm] = &mut report.results[..] else { panic!("{:?}", report.results) };
        gelu.expected = Some(Expected { verdicts: vec![Verdict::Wrong], reason: None, link: None });
        gelu.unexpected = Some(true);
        lstm.failed_attempts = retried;
        let told = |flaky| junit(&report, flaky).to_string().unwrap();
        insta::assert_snapshot!(told(JunitFlaky::Elements), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="tabfleet 0.0.0-sample" tests="2" skipped="1" failures="1" errors="0" timestamp="2026-01-03T03:04:05.000+00:00" time="61.000">
            <testsuite name="edge/webnn" tests="2" skipped="1" errors="0" failures="1" timestamp="2026-01-03T03:04:05.000+00:00">
                <testcase name="gelu" classname="sample">
                    <failure message="expected wrong" type="unexpected-pass"/>
                </testcase>
                <testcase name="lstm" classname="sample">
                    <skipped message="expected timeout or load-error: the sample&apos;s LSTM never ends" type="load-error"/>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
        assert_eq!(told(JunitFlaky::Duplicate), told(JunitFlaky::Elements), "what is expected failed no attempt");
    }

    #[test]
    fn control_characters_do_not_break_the_xml() {
        let mut report = sample::matrix();
        for result in &mut report.results {
            if let Some(error) = &mut result.error {
                error.message = "\u{0}\u{1b}[1m<&\"'>]]>\u{fffe}".into();
            }
        }
        let xml = junit(&report, JunitFlaky::Elements).to_string().unwrap();
        assert!(Report::deserialize_from_str(&xml).is_ok(), "{xml}");
    }
}
