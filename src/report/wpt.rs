//! Results in the format of web-platform-tests' wptreport, which wpt.fyi and its tools read: a file for each target,
//! since there a report is of one product.

use super::{CaseResult, MatrixReport, ReportError, TargetBuild, TargetRow, file};
use crate::types::Verdict;
use serde_json::{Map, Value, json};
use std::path::Path;
use time::OffsetDateTime;

/// Writes a wptreport for each target into the folder: `chrome-wasm.json`. A case is a test without subtests; its verdict
/// begins its message. Each file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] names the first file that cannot be written; an old one is then left as it was.
pub fn write_wptreports(report: &MatrixReport, folder: &Path) -> Result<(), ReportError> {
    report.columns().into_iter().try_for_each(|(column, row)| {
        file::write_json(&folder.join(format!("{}.json", file::name_of(column))), &wptreport(report, column, row))
    })
}

fn wptreport(report: &MatrixReport, column: TargetBuild<'_>, row: Option<&TargetRow>) -> Value {
    let cases = report.by_case();
    let results = cases.values().filter_map(|results| results.get(&column)).map(|result| test(result));
    json!({
        "run_info": run_info(report, column, row),
        "time_start": unix_ms(report.started),
        "time_end": report.finished.map(unix_ms),
        "results": results.collect::<Vec<_>>(),
    })
}

fn run_info(report: &MatrixReport, column: TargetBuild<'_>, row: Option<&TargetRow>) -> Value {
    let ci = report.ci.as_ref();
    json!({
        "product": column.target.browser,
        "browser_channel": column.build,
        "browser_version": row.and_then(|row| row.version.as_ref()),
        "os": report.host.os,
        "os_version": report.host.os_version,
        "processor": report.host.arch,
        "revision": ci.and_then(|ci| ci.commit.as_ref()),
        "headless": row.and_then(|row| row.headless),
        "backend": column.target.backend,
        "tabfleet": report.tabfleet,
    })
}

fn test(result: &CaseResult) -> Value {
    let mut test = Map::new();
    test.insert("test".into(), format!("/{}/{}", result.suite, result.case).into());
    test.insert("status".into(), status(result.verdict).into());
    let message = result.error.as_ref().map(|error| format!("{}: {}", result.verdict, error.message));
    test.insert("message".into(), message.into());
    test.insert("subtests".into(), json!([]));
    test.insert("duration".into(), result.run_ms.map(f64::round).into());
    // As wptrunner does it: said only where it is another, and what else may happen is intermittent.
    let mut expected: Vec<&str> = Vec::new();
    for verdict in result.expected.iter().flat_map(|expected| &expected.verdicts) {
        let status = status(*verdict);
        if !expected.contains(&status) {
            expected.push(status);
        }
    }
    let (first, others) = match expected.split_first() {
        Some((first, others)) => (*first, others),
        None => ("PASS", &[][..]),
    };
    if first != status(result.verdict) && result.expected.is_some() {
        test.insert("expected".into(), first.into());
    } else if result.unexpected == Some(true) {
        test.insert("expected".into(), "PASS".into());
    }
    let mut intermittent: Vec<&str> = others.to_vec();
    for attempt in &result.failed_attempts {
        let status = status(attempt.verdict);
        if result.flaky && !intermittent.contains(&status) {
            intermittent.push(status);
        }
    }
    if !intermittent.is_empty() {
        test.insert("known_intermittent".into(), intermittent.into());
    }
    test.into()
}

const fn status(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Wrong => "FAIL",
        Verdict::LoadError | Verdict::RunError | Verdict::DeviceLost => "ERROR",
        Verdict::Crash => "CRASH",
        Verdict::Timeout => "TIMEOUT",
        Verdict::Skipped | Verdict::Unavailable => "SKIP",
    }
}

fn unix_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_report_for_each_target() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::next_matrix();
        write_wptreports(&report, folder.path()).unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, report.targets.len());
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.path().join(name)).unwrap()).unwrap()
        };
        let webnn = read("edge-webnn.json");
        insta::assert_json_snapshot!(webnn["run_info"]);
        let test = |report: &Value, case: &str| -> Value {
            let name = format!("/sample/{case}");
            report["results"].as_array().unwrap().iter().find(|test| test["test"] == *name).unwrap().clone()
        };
        insta::assert_json_snapshot!([
            test(&webnn, "add"),
            test(&webnn, "lstm"),
            test(&read("webkit-wasm.json"), "softmax"),
            test(&read("chrome-webgpu.json"), "conv_2d"),
        ]);
    }
}
