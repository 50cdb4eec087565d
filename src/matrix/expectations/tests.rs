use super::*;
use crate::{report::MatrixReport, types::Adapter};
use proptest::prelude::*;
use time::OffsetDateTime;

fn parse(text: &str) -> Result<Expectations, ExpectationsError> {
    Expectations::parse(Path::new("e.toml"), text.to_owned())
}

fn case(name: &str, operators: &[&str]) -> CaseRow {
    CaseRow {
        suite: "onnx".into(),
        case: name.into(),
        operators: operators.iter().map(|operator| (*operator).to_owned()).collect(),
        opset: Some(21),
        types: vec!["float32".into()],
    }
}

/// A target, and with `@` its build: `chrome@beta/wasm`.
pub(in crate::matrix) fn target(name: &str, version: &str) -> TargetRow {
    let (browser, backend) = name.split_once('/').unwrap();
    let (browser, build) = browser.split_once('@').map_or((browser, None), |(b, build)| (b, Some(build.to_owned())));
    let target: crate::types::Target = format!("{browser}/{backend}").parse().unwrap();
    let adapter = (backend == "webgpu").then(|| Adapter {
        vendor: "google".into(),
        architecture: "swiftshader".into(),
        device: String::new(),
        description: "SwiftShader Device".into(),
        software: Some(true),
    });
    TargetRow {
        target,
        browser: target.browser,
        backend: target.backend,
        build,
        product: Some("Sample".into()),
        version: Some(version.into()),
        driver: None,
        headless: Some(true),
        stand_in: false,
        software: adapter.as_ref().and_then(|adapter| adapter.software),
        adapter,
        webnn_device: None,
        runtime: None,
        threads: None,
        available: true,
        reason: None,
    }
}

fn result(case: &CaseRow, target: &TargetRow, verdict: Verdict) -> CaseResult {
    let made = crate::matrix::tests::result(&case.case, &target.target.to_string(), verdict);
    CaseResult { suite: case.suite.clone(), build: target.build.clone(), ..made }
}

fn report(targets: &[TargetRow], results: &[(&CaseRow, &TargetRow, Verdict)]) -> MatrixReport {
    let mut report = MatrixReport::new(OffsetDateTime::UNIX_EPOCH);
    report.targets = targets.to_vec();
    for (case, target, verdict) in results {
        if !report.cases.contains(case) {
            report.cases.push((*case).clone());
        }
        report.results.push(result(case, target, *verdict));
    }
    report
}

#[test]
fn an_entry_speaks_of_what_it_names_and_of_nothing_else() {
    let softmax = case("test_softmax_axis_1", &["Exp", "Softmax"]);
    let webgpu = target("chrome/webgpu", "156.0.8078.79");
    let beta = target("chrome@beta/webgpu", "157.1");
    for (keys, target, speaks) in [
        ("", &webgpu, true),
        ("case = 'onnx/test_softmax_*'", &webgpu, true),
        ("case = 'onnx/test_softmax'", &webgpu, false),
        ("case = 'test_softmax_axis_1'", &webgpu, false),
        ("case = '*/test_softmax_axis_?'", &webgpu, true),
        ("case = ['other', 'onnx/*axis*']", &webgpu, true),
        ("operator = 'Softmax'", &webgpu, true),
        ("operator = ['Gemm', 'Soft*']", &webgpu, true),
        ("operator = 'Max'", &webgpu, false),
        ("target = 'chrome'", &webgpu, true),
        ("target = 'chrome/webgpu'", &webgpu, true),
        ("target = '*/webgpu'", &webgpu, true),
        ("target = ['firefox', 'chrome/wasm']", &webgpu, false),
        ("target = 'chrome/webgpu'", &beta, true),
        ("target = 'chrome@beta'", &beta, true),
        ("target = 'chrome@beta/webgpu'", &webgpu, false),
        ("browser-version = '156'", &webgpu, true),
        ("browser-version = '156.0.8078'", &webgpu, true),
        ("browser-version = '15'", &webgpu, false),
        ("browser-version = '>=150, <157'", &webgpu, true),
        ("browser-version = '>=150, <157'", &beta, false),
        ("browser-version = '<=156'", &webgpu, true),
        ("browser-version = '>156.0.8078.79'", &webgpu, false),
        ("adapter = 'swiftshader'", &webgpu, true),
        ("adapter = 'nvidia'", &webgpu, false),
        ("case = 'onnx/*'\noperator = 'Softmax'\ntarget = 'firefox'", &webgpu, false),
    ] {
        let text = format!("[[expect]]\nverdict = 'wrong'\nreason = 'r'\n{keys}\n");
        let said = parse(&text).unwrap().expected(Subject { case: &softmax, target });
        assert_eq!(said.is_some(), speaks, "{keys} of {}", target.column());
    }
    let unknown = TargetRow { version: None, adapter: None, ..webgpu };
    for keys in ["browser-version = '>0'", "adapter = ''"] {
        let text = format!("[[expect]]\nverdict = 'wrong'\nreason = 'r'\n{keys}\n");
        assert_eq!(parse(&text).unwrap().expected(Subject { case: &softmax, target: &unknown }), None, "{keys}");
    }
}

#[test]
fn the_last_entry_decides_and_a_pass_is_expected_of_all_others() {
    let text = "[[expect]]\ncase = 'onnx/*'\nverdict = ['load-error', 'crash']\nreason = 'all'\nlink = 'https://x'\n\
                [[expect]]\ncase = 'onnx/b'\nrtol = 0.5\nreason = 'rounding'\n\
                [[expect]]\ncase = 'onnx/c'\nverdict = 'pass'\natol = 1\nreason = 'but this one'\n";
    let expectations = parse(text).unwrap();
    let target = target("edge/webnn", "147.0");
    let judged = |name: &str, verdict| {
        let case = case(name, &[]);
        let mut result = result(&case, &target, verdict);
        expectations.judge(Subject { case: &case, target: &target }, &mut result);
        (result.unexpected.unwrap(), result.expected.unwrap().reason.unwrap())
    };
    assert_eq!(judged("a", Verdict::Crash), (false, "all".into()));
    assert_eq!(judged("a", Verdict::Pass), (true, "all".into()), "an unexpected pass");
    assert_eq!(judged("b", Verdict::LoadError), (false, "all".into()));
    assert_eq!(judged("c", Verdict::Pass), (false, "but this one".into()));
    assert_eq!(judged("c", Verdict::LoadError), (true, "but this one".into()));
    assert_eq!(judged("a", Verdict::Skipped), (false, "all".into()), "what was not tried is not unexpected");

    let subject = |case| Subject { case, target: &target };
    let base = Tolerance::default();
    let (b, c) = (case("b", &[]), case("c", &[]));
    assert_eq!(expectations.tolerance(subject(&b), base), Tolerance { rtol: 0.5, rtol_float16: 0.5, ..base });
    assert_eq!(expectations.tolerance(subject(&c), base), Tolerance { atol: 1.0, atol_float16: 1.0, ..base });
    assert!(expectations.may_crash(subject(&b)) && !expectations.may_crash(subject(&c)));

    let elsewhere = CaseRow { suite: "mine".into(), ..b.clone() };
    let mut result = result(&elsewhere, &target, Verdict::Wrong);
    expectations.judge(subject(&elsewhere), &mut result);
    assert_eq!((result.unexpected, result.expected), (Some(true), None));
}

#[test]
fn every_bad_entry_is_told_with_its_place() {
    let text = "version = 1\n[[expect]]\nverdict = 'skipped'\nreason = ''\n\
                [[expect]]\nreason = 'r'\n\
                [[expect]]\nverdict = ['pass', 'Wrong']\nreason = 'r'\ntarget = ['chrome', 'netscape']\n\
                [[expect]]\nrtol = -1\natol = 'x'\nreason = 'r'\nbrowser-version = '>=x'\ncase = []\nopset = 3\n";
    let Err(ExpectationsError::Entries { path, entries }) = parse(text) else { panic!("it was accepted") };
    assert_eq!(path, Path::new("e.toml"));
    let told: Vec<_> = entries.into_iter().map(|bad| (bad.line, bad.column, bad.error)).collect();
    let key = |key: &str| key.to_owned();
    assert_eq!(
        told,
        [
            (1, 11, EntryError::NotAnEntry(key("version"))),
            (2, 1, EntryError::NoReason),
            (3, 11, EntryError::Verdict(key("skipped"))),
            (5, 1, EntryError::NothingExpected),
            (8, 20, EntryError::Verdict(key("Wrong"))),
            (10, 21, EntryError::Target(key("netscape"))),
            (12, 8, EntryError::Tolerance { key: key("rtol") }),
            (13, 8, EntryError::Tolerance { key: key("atol") }),
            (15, 19, EntryError::Versions(key(">=x"))),
            (16, 8, EntryError::Kind { key: key("case"), expected: "a text, or a list of texts that is not empty" }),
            (17, 9, EntryError::UnknownKey(key("opset"))),
        ]
    );
    let Err(ExpectationsError::Syntax { line, column, .. }) = parse("[[expect]]\ncase = \n") else { panic!() };
    assert_eq!((line, column), (2, 8));
    let missing = Path::new("/nowhere/e.toml");
    assert!(matches!(Expectations::read(missing), Err(ExpectationsError::Read { .. })));
    assert!(Expectations::read_or_begin(missing).unwrap().entries.is_empty());
}

const FILE: &str = "# What is known to fail.

# Softmax, at length.
[[expect]]
case = \"onnx/softmax\" # the one
target = \"chrome/webgpu\"
verdict = \"wrong\" # for now
reason = \"rounding\"
link = \"https://example.org/1\"

[[expect]]
case = \"onnx/gemm\"
target = [\"chrome/webgpu\", \"edge/webnn\"]
verdict = \"load-error\"
reason = \"no f16\"

# All of WebNN.
[[expect]]
case = \"onnx/loop*\"
target = \"*/webnn\"
verdict = \"timeout\"
reason = \"hangs\"
";

#[test]
fn updating_changes_what_has_to_change_and_nothing_else() {
    let expectations = parse(FILE).unwrap();
    let (gpu, webnn) = (target("chrome/webgpu", "156.0"), target("edge/webnn", "147.0"));
    let (softmax, gemm, looping, new) =
        (case("softmax", &[]), case("gemm", &[]), case("loop_1", &[]), case("new", &["New"]));
    let targets = [gpu.clone(), webnn.clone()];
    let updated = |results: &[(&CaseRow, &TargetRow, Verdict)]| expectations.update(&report(&targets, results));

    let same = updated(&[(&softmax, &gpu, Verdict::Wrong), (&looping, &webnn, Verdict::Timeout)]);
    assert_eq!((same.text.as_str(), same.added, same.changed, same.removed), (FILE, 0, 0, 0));

    let other_verdict = updated(&[(&softmax, &gpu, Verdict::Crash)]);
    assert_eq!(other_verdict.text, FILE.replace("\"wrong\" # for now", "\"crash\" # for now"));
    assert_eq!((other_verdict.added, other_verdict.changed, other_verdict.removed), (0, 1, 0));

    let passes = updated(&[(&softmax, &gpu, Verdict::Pass)]);
    let end = FILE.find("[[expect]]\ncase = \"onnx/gemm\"").unwrap();
    assert_eq!(passes.text, format!("# What is known to fail.\n\n{}", &FILE[end..]));
    assert_eq!((passes.added, passes.changed, passes.removed), (0, 0, 1));

    let one_passes = updated(&[(&gemm, &webnn, Verdict::Pass), (&gemm, &gpu, Verdict::LoadError)]);
    assert_eq!(one_passes.text, FILE.replace("[\"chrome/webgpu\", \"edge/webnn\"]", "[\"chrome/webgpu\"]"));

    let overruled = updated(&[(&looping, &webnn, Verdict::Pass)]);
    let added = "\n[[expect]]\ncase = \"onnx/loop_1\"\ntarget = \"edge/webnn\"\nverdict = \"pass\"\n\
                 reason = \"pass when this was written\"\n";
    assert_eq!(overruled.text, format!("{FILE}{added}"));

    let new_failure = updated(&[(&new, &gpu, Verdict::RunError), (&new, &webnn, Verdict::RunError)]);
    let added = "\n[[expect]]\ncase = \"onnx/new\"\ntarget = [\"chrome/webgpu\", \"edge/webnn\"]\n\
                 verdict = \"run-error\"\nreason = \"it broke (sample)…\"\n";
    assert_eq!(new_failure.text, format!("{FILE}{added}"));
    assert_eq!((new_failure.added, new_failure.changed, new_failure.removed), (1, 0, 0));
}

#[test]
fn updating_keeps_the_tolerance_that_a_case_passes_by() {
    let text = "[[expect]]\ncase = 'onnx/a'\ntarget = ['chrome/webgpu', 'edge/webnn']\nverdict = 'wrong'\nrtol = 0.01\n\
                reason = 'sums in another order'\n";
    let (gpu, webnn) = (target("chrome/webgpu", "156.0"), target("edge/webnn", "147.0"));
    let a = case("a", &[]);
    let found = report(&[gpu.clone(), webnn.clone()], &[(&a, &gpu, Verdict::Pass), (&a, &webnn, Verdict::Wrong)]);
    let updated = parse(text).unwrap().update(&found);
    assert_eq!((updated.added, updated.changed, updated.removed), (1, 0, 0), "{}", updated.text);
    let after = parse(&updated.text).unwrap();
    let subject = Subject { case: &a, target: &gpu };
    assert_eq!(after.expected(subject).unwrap().verdicts, [Verdict::Pass]);
    assert_eq!(after.tolerance(subject, Tolerance::default()).rtol, 0.01);
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/e.toml");
    let gpu = target("chrome@beta/webgpu", "157.0");
    let odd = case("odd \"name\" \\ ü", &[]);
    let report = report(std::slice::from_ref(&gpu), &[(&odd, &gpu, Verdict::Wrong)]);
    Expectations::read_or_begin(&path).unwrap().update(&report).write(&path).unwrap();
    let mut judged = report.results[0].clone();
    Expectations::read(&path).unwrap().judge(Subject { case: &odd, target: &gpu }, &mut judged);
    assert_eq!(judged.unexpected, Some(false));
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop::sample::select(Verdict::ALL.to_vec())
}

proptest! {
    /// Whatever the file said and the run found: after an update nothing is unexpected, a second one changes nothing,
    /// and comments that are no entry's own are kept.
    #[test]
    fn after_an_update_nothing_is_unexpected(
        old in prop::collection::vec((0..4_usize, 0..4_usize, verdicts(), any::<bool>()), 0..12),
        found in prop::collection::vec((0..4_usize, 0..4_usize, verdicts()), 0..12),
    ) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let targets = ["chrome/webgpu", "chrome@beta/webgpu", "edge/webnn", "firefox/wasm"].map(|name| target(name, "1"));
        let cases = NAMES.map(|name| case(name, &[]));
        let mut text = String::from("# The header.\n\n");
        for (case, target, verdict, tolerant) in old {
            let tolerance = if tolerant { "rtol = 0.1\n" } else { "" };
            let verdict = if verdict.is_failure() { verdict } else { Verdict::Pass };
            let name = if case == 3 { "*" } else { NAMES[case] };
            let targets = if target == 3 { "['edge/webnn', 'firefox/wasm']" } else { "'chrome/webgpu'" };
            text += &format!("# Its own.\n[[expect]]\ncase = 'onnx/{name}'\ntarget = {targets}\nverdict = '{verdict}'\n{tolerance}reason = 'r'\n\n");
        }
        let found: Vec<_> = found.into_iter().map(|(c, t, verdict)| (&cases[c], &targets[t], verdict)).collect();
        let report = report(&targets, &found);
        let before = parse(&text).unwrap();
        let update = before.update(&report);
        let after = parse(&update.text).unwrap();
        for results in report.by_case().values() {
            for result in results.values() {
                let case = cases.iter().find(|case| case.case == result.case).unwrap();
                let target = targets.iter().find(|target| target.column() == result.column()).unwrap();
                let mut judged = (*result).clone();
                after.judge(Subject { case, target }, &mut judged);
                prop_assert_eq!(judged.unexpected, Some(false), "{}", update.text);
            }
        }
        prop_assert_eq!(after.entries.len(), before.entries.len() + update.added - update.removed);
        prop_assert!(update.text.contains("# The header."), "{}", update.text);
        let again = after.update(&report);
        prop_assert_eq!((again.added, again.changed, again.removed), (0, 0, 0));
        prop_assert_eq!(again.text, update.text);
    }

    #[test]
    fn a_glob_matches_as_the_pattern_of_the_same_meaning(glob in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        let same = regex::Regex::new(&format!("^{}$", glob.replace('*', ".*").replace('?', "."))).unwrap();
        prop_assert_eq!(pattern::Glob::new(&glob).matches(&name), same.is_match(&name));
    }
}
