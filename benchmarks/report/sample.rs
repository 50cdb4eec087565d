//! Reports to see how their pages behave: every result in them is made up, none was measured.

use tabfleet::{
    report::{CaseResult, CaseRow, CiRun, ErrorRow, MatrixReport, TargetRow},
    types::{Category, Target, TargetInfo, Verdict},
};
use time::{Duration, OffsetDateTime};

const TARGETS: [&str; 8] = [
    "chrome/webgpu",
    "chrome/wasm",
    "edge/webgpu",
    "edge/webnn",
    "edge/wasm",
    "firefox/webgpu",
    "firefox/wasm",
    "webkit/wasm",
];
const OPERATORS: usize = 180;

/// A run some nights after the first, of as many cases on eight targets: about one result in ten is no pass, and each
/// night some are not what they were the night before.
pub fn run(cases: usize, night: usize) -> MatrixReport {
    let mut report =
        MatrixReport::new(OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::DAY * night as i32);
    report.finished = Some(report.started + Duration::HOUR);
    report.ci = Some(CiRun { commit: Some(format!("{night:040x}")), ..CiRun::default() });
    report.targets = TARGETS.iter().map(|target| row(target, night)).collect();
    report.cases = (0..cases).map(case).collect();
    for number in 0..cases {
        report.results.extend(TARGETS.iter().enumerate().map(|(column, target)| result(number, column, target, night)));
    }
    report
}

fn row(target: &str, night: usize) -> TargetRow {
    let info = TargetInfo {
        target: target.parse().expect("a target"),
        identity: None,
        available: true,
        reason: None,
        adapter: None,
        webnn_device: None,
        runtime: None,
        threads: Some(2),
    };
    let mut row = TargetRow::from(&info);
    row.product = Some(format!("sample {}", row.browser));
    row.version = Some(format!("{}.0.0", 150 + night / 10));
    row
}

fn operator(number: usize) -> String {
    format!("SampleOp{:03}", number % OPERATORS)
}

fn name(number: usize) -> String {
    format!("test_sampleop{:03}_variant_{number:04}", number % OPERATORS)
}

fn case(number: usize) -> CaseRow {
    // Some are of several operators, as expanded functions and whole models are.
    let several = if number.is_multiple_of(9) { vec![operator(number + 1), operator(number + 2)] } else { Vec::new() };
    CaseRow {
        suite: "sample".into(),
        case: name(number),
        operators: [vec![operator(number)], several].concat(),
        opset: Some(13 + (number % 9) as i64),
        types: vec!["float32".into()],
    }
}

fn result(number: usize, column: usize, target: &str, night: usize) -> CaseResult {
    let target: Target = target.parse().expect("a target");
    let unlucky = (number * 31 + column * 17 + number / 7) % 40;
    let changed = (number * 13 + column * 7 + night).is_multiple_of(211);
    let verdict = match (unlucky, changed) {
        (0, false) => Verdict::Wrong,
        (1, false) => Verdict::LoadError,
        (2, false) => Verdict::Timeout,
        (3, _) => Verdict::Skipped,
        (0..=2, true) => Verdict::Pass,
        (_, true) => Verdict::Crash,
        _ => Verdict::Pass,
    };
    let ran = matches!(verdict, Verdict::Pass | Verdict::Wrong);
    let error = (verdict != Verdict::Pass).then(|| ErrorRow {
        category: Category::Inference,
        message: format!("{verdict} of {} (sample)\n{}", name(number), "a frame of the sample's stack\n".repeat(8)),
    });
    CaseResult {
        suite: "sample".into(),
        case: name(number),
        family: None,
        target,
        build: None,
        verdict,
        attempts: 1,
        spent_ms: None,
        failed_attempts: Vec::new(),
        flaky: false,
        repeats: Default::default(),
        expected: None,
        unexpected: None,
        tolerance: None,
        cpu_fallback: ran.then_some(column == 0 && number.is_multiple_of(23)),
        load_ms: ran.then_some(3.0 + (number % 97) as f64 / 7.0),
        run_ms: ran.then_some(0.3 + (number % 331) as f64 / 13.0),
        max_abs_error: ran.then_some(if verdict == Verdict::Wrong { 0.5 } else { 1e-7 * (number % 13) as f64 }),
        max_rel_error: ran.then_some(if verdict == Verdict::Wrong { 0.2 } else { 1e-6 * (number % 11) as f64 }),
        error,
    }
}
