//! The night after: the sample matrix once more, and what has changed since.

use super::{matrix, target};
use crate::{
    report::{CaseRow, CiRun, EarlierRuns, ErrorRow, Expected, FailedAttempt, MatrixReport},
    types::{Category, Verdict},
};

/// The sample matrix a day later, with a change of each kind, a newer Firefox at half its speed, results held against
/// expectations, and all that is known of its cases.
pub(in crate::report) fn next_matrix() -> MatrixReport {
    let mut report = matrix();
    let day = time::Duration::DAY;
    report.run = Some("00000000feedface".into());
    report.started += day;
    report.finished = report.finished.map(|finished| finished + day);
    report.expectations = Some("expectations.toml".into());
    report.tolerance = Some(crate::onnx::Tolerance::default());
    report.ci = Some(CiRun {
        system: Some("github-actions".into()),
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        branch: Some("main".into()),
        job: Some("nightly".into()),
        url: Some("https://ci.example/runs/7".into()),
    });
    for row in report.targets.iter_mut().filter(|row| row.target.browser.name() == "firefox") {
        row.version = Some("154.0.0".into());
    }
    let fail = |category, message: &str| Some(ErrorRow { category, message: message.into() });
    for result in &mut report.results {
        result.unexpected = Some(false);
        if result.target == target("firefox/wasm") {
            result.run_ms = result.run_ms.map(|ms| ms * 2.0);
        }
        match (&*result.case, &*result.target.to_string()) {
            ("conv_2d", "chrome/webgpu") => {
                (result.verdict, result.unexpected) = (Verdict::Wrong, Some(true));
                (result.max_abs_error, result.max_rel_error) = (Some(0.02), Some(0.4));
                result.error = fail(Category::Inference, "output `y`: 3 of 96 elements outside tolerance (sample)");
            }
            ("gelu", "edge/webnn") => (result.verdict, result.error) = (Verdict::Pass, None),
            ("lstm", "edge/webnn") => {
                result.verdict = Verdict::LoadError;
                result.expected = Some(Expected {
                    verdicts: vec![Verdict::Timeout, Verdict::LoadError],
                    reason: Some("the sample's LSTM never ends".into()),
                    link: Some("https://example/issues/1".into()),
                });
            }
            ("softmax", "webkit/wasm") => {
                (result.flaky, result.attempts) = (true, 2);
                result.failed_attempts.push(FailedAttempt {
                    verdict: Verdict::Crash,
                    category: Category::Connection,
                    message: "the tab's renderer died (sample)".into(),
                    elapsed_ms: 41.5,
                });
            }
            ("add", "chrome/webgpu") => result.cpu_fallback = Some(true),
            ("resize_linear", "firefox/webgpu") => result.cpu_fallback = Some(false),
            ("max_pool", "edge/wasm") => (result.verdict, result.run_ms) = (Verdict::Skipped, None),
            _ => {}
        }
    }
    report.cases = cases(&report);
    report
}

/// As many nights before a report: its own results, in which one in ninety cases once had another verdict on a target, and
/// in which Firefox was older in the first half.
pub(in crate::report) fn nights(report: &MatrixReport, count: i32) -> EarlierRuns {
    let mut past = EarlierRuns::default();
    for night in 0..count {
        let mut before = report.clone();
        before.started -= (count - night) * time::Duration::DAY;
        before.run = Some(format!("{night:016x}"));
        for row in before.targets.iter_mut().filter(|row| night < count / 2 && row.target.browser.name() == "firefox") {
            row.version = Some("152.0.1".into());
        }
        for (number, result) in before.results.iter_mut().enumerate() {
            // For some nights each, ending before the last but for a few.
            let since = number as i32 % (count + 2);
            if number % 90 == 7 && (since..since + 9).contains(&night) && result.verdict != Verdict::Skipped {
                result.verdict = if result.verdict == Verdict::Pass { Verdict::Crash } else { Verdict::Pass };
            }
        }
        past.add(format!("night-{night}.json"), before);
    }
    past
}

/// What there is to say of each case of a sample.
pub(in crate::report) fn cases(report: &MatrixReport) -> Vec<CaseRow> {
    let names: std::collections::BTreeSet<&String> = report.results.iter().map(|result| &result.case).collect();
    let operators = |case: &str| -> Vec<String> {
        let known = [
            ("attention", "Attention"),
            ("conv_2d", "Conv"),
            ("layer_norm", "LayerNormalization"),
            ("max_pool", "MaxPool"),
            ("resize_linear", "Resize"),
            ("string_split", "StringSplit"),
            ("top_k", "TopK"),
            ("softmax", "Softmax"),
            ("gelu", "Gelu"),
            ("gemm", "Gemm"),
            ("lstm", "LSTM"),
            ("add", "Add"),
        ];
        let named = known.iter().filter(|(part, _)| case.contains(part)).map(|(_, operator)| (*operator).to_owned());
        // The larger sample's expanded cases are of several.
        named.chain(case.ends_with("0_expanded").then(|| "Cast".to_owned())).collect()
    };
    let row = |case: &String| CaseRow {
        suite: "sample".into(),
        case: case.clone(),
        operators: operators(case),
        opset: Some(if case.len().is_multiple_of(2) { 13 } else { 21 }),
        types: vec!["float32".into()],
    };
    names.into_iter().map(row).collect()
}
