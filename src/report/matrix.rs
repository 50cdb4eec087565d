//! What a matrix run found: every case on every target.

mod about;
mod case_result;
mod merge;
mod support;
mod target_row;

pub use about::{CaseRow, CiRun, PairRow, SuiteRow};
pub use case_result::{CaseResult, ErrorRow, Expected, FailedAttempt};
pub use support::{Support, SupportBy, SupportTable};
pub use target_row::{TargetBuild, TargetRow};

use super::{ReportError, file, journal};
use crate::{host::Host, onnx::Tolerance, types::Verdict};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};
use time::OffsetDateTime;

/// What a matrix run found so far, or in the end. As JSON it is described field by field in docs/JSON.md.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MatrixReport {
    /// The version of tabfleet that ran it.
    pub tabfleet: String,
    /// When the run started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When it ended; `None` while it runs, and for ever when it was killed.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub finished: Option<OffsetDateTime>,
    /// What tells this run from every other; `None` in a report of before runs had one.
    #[serde(default)]
    pub run: Option<String>,
    /// The job of a continuous integration that ran it; `None` when it was none.
    #[serde(default)]
    pub ci: Option<CiRun>,
    /// The expectations file that results were held against.
    #[serde(default)]
    pub expectations: Option<String>,
    /// When outputs count as equal, unless a result says otherwise.
    #[serde(default)]
    pub tolerance: Option<Tolerance>,
    /// The machine.
    pub host: Host,
    /// The suites.
    #[serde(default)]
    pub suites: Vec<SuiteRow>,
    /// The cases selected, by suite and name.
    #[serde(default)]
    pub cases: Vec<CaseRow>,
    /// What failed in the run before, where only that is run.
    #[serde(default)]
    pub failed_before: Vec<PairRow>,
    /// Every target asked for, those that do not work here included.
    pub targets: Vec<TargetRow>,
    /// The results, in the order in which they came.
    pub results: Vec<CaseResult>,
}

impl MatrixReport {
    /// A report without results, of this tabfleet on this machine.
    pub fn new(started: OffsetDateTime) -> Self {
        Self {
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            finished: None,
            run: Some(format!("{:016x}", rand::random::<u64>())),
            ci: None,
            expectations: None,
            tolerance: None,
            host: Host::detect(),
            suites: Vec::new(),
            cases: Vec::new(),
            failed_before: Vec::new(),
            targets: Vec::new(),
            results: Vec::new(),
        }
    }

    /// How often each verdict was given, by the target's and the verdict's name. Every target is in it; a verdict that
    /// was not given is not.
    pub fn totals(&self) -> BTreeMap<String, BTreeMap<String, usize>> {
        let mut counts: BTreeMap<TargetBuild<'_>, BTreeMap<Verdict, usize>> =
            self.targets.iter().map(|row| (row.column(), BTreeMap::new())).collect();
        for result in &self.results {
            *counts.entry(result.column()).or_default().entry(result.verdict).or_default() += 1;
        }
        let named =
            |verdicts: BTreeMap<Verdict, usize>| verdicts.into_iter().map(|(v, n)| (v.to_string(), n)).collect();
        counts.into_iter().map(|(target, verdicts)| (target.to_string(), named(verdicts))).collect()
    }

    /// How many results count as failed: all but a pass and what was not tried.
    pub fn failures(&self) -> usize {
        self.results.iter().filter(|result| result.verdict.is_failure()).count()
    }

    /// What failed, and what failed in the run before and could not be tried again.
    pub fn still_failing(&self) -> Vec<PairRow> {
        let tried = self.results.iter().filter(|result| result.verdict != Verdict::Unavailable);
        let tried: HashSet<PairRow> = tried.map(PairRow::from).collect();
        let before = self.failed_before.iter().filter(|pair| !tried.contains(pair)).cloned();
        self.results.iter().filter(|result| result.has_failed()).map(PairRow::from).chain(before).collect()
    }

    /// Every target there is something to say about, in the order in which reports show them, with its description
    /// where there is one.
    pub fn columns(&self) -> BTreeMap<TargetBuild<'_>, Option<&TargetRow>> {
        let named = self.results.iter().map(|result| (result.column(), None));
        let described = self.targets.iter().map(|row| (row.column(), Some(row)));
        named.chain(described).collect()
    }

    /// Forgets what was expected: the results are held against no expectations any more.
    pub fn forget_expectations(&mut self) {
        self.expectations = None;
        for result in &mut self.results {
            (result.expected, result.unexpected) = (None, None);
        }
    }

    /// The results case by case, by suite and name. Of two results of a case on a target the later one counts.
    pub fn by_case(&self) -> BTreeMap<(&str, &str), BTreeMap<TargetBuild<'_>, &CaseResult>> {
        let mut cases: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for result in &self.results {
            cases.entry((&*result.suite, &*result.case)).or_default().insert(result.column(), result);
        }
        cases
    }

    /// Reads a report's JSON back. What a killed run had noted beside it in `FILE.partial.jsonl` is part of it.
    ///
    /// # Errors
    /// [`ReportError::Read`] when the file cannot be read, [`ReportError::Parse`] when it is no matrix report.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReportError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(ReportError::read(path))?;
        let report: Self =
            serde_json::from_slice(&bytes).map_err(|source| ReportError::Parse { path: path.to_owned(), source })?;
        report.with_noted(path)
    }

    /// The same with what a killed run had noted beside its JSON at `path`.
    pub(crate) fn with_noted(mut self, path: &Path) -> Result<Self, ReportError> {
        let noted = journal::read(path, self.started)?;
        let missing = noted.into_iter().filter(|noted| noted.number >= self.results.len());
        let missing: Vec<_> = missing.map(|noted| noted.result).collect();
        self.results.extend(missing);
        Ok(self)
    }
}

impl Serialize for MatrixReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            tabfleet,
            started,
            finished,
            run,
            ci,
            expectations,
            tolerance,
            host,
            suites,
            cases,
            failed_before,
            targets,
            results,
        } = self;
        let mut json = serializer.serialize_struct("MatrixReport", 14)?;
        json.serialize_field("tabfleet", tabfleet)?;
        json.serialize_field("started", &file::Rfc3339(Some(*started)))?;
        json.serialize_field("finished", &file::Rfc3339(*finished))?;
        json.serialize_field("run", run)?;
        json.serialize_field("ci", ci)?;
        json.serialize_field("expectations", expectations)?;
        json.serialize_field("tolerance", tolerance)?;
        json.serialize_field("host", host)?;
        json.serialize_field("suites", suites)?;
        json.serialize_field("cases", cases)?;
        json.serialize_field("failed_before", failed_before)?;
        json.serialize_field("targets", targets)?;
        json.serialize_field("results", results)?;
        json.serialize_field("totals", &self.totals())?;
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{sample, schema_check::departures, write_json};
    use crate::types::Category;

    /// A flaky pass of a second build, with all that can be said of it.
    fn told_in_full() -> CaseResult {
        CaseResult {
            build: Some("beta".into()),
            failed_attempts: vec![FailedAttempt {
                verdict: Verdict::Crash,
                category: Category::Connection,
                message: "the tab's renderer died (sample)".into(),
                elapsed_ms: 12.5,
            }],
            flaky: true,
            repeats: [(Verdict::Pass, 4), (Verdict::Crash, 1)].into(),
            expected: Some(Expected {
                verdicts: vec![Verdict::Pass, Verdict::Crash],
                reason: Some("it is not stable yet (sample)".into()),
                link: Some("https://example.org/1".into()),
            }),
            unexpected: Some(false),
            tolerance: Some(Tolerance { rtol: 1e-2, ..Tolerance::default() }),
            ..sample::result("gelu", "chrome/webgpu", Verdict::Pass)
        }
    }

    #[test]
    fn the_json_is_as_documented() {
        let mut report = sample::matrix();
        report.targets.truncate(2);
        report.results.truncate(3);
        report.results.push(sample::result("attention", "edge/webnn", Verdict::LoadError));
        report.results.push(told_in_full());
        insta::assert_json_snapshot!(report);
    }

    #[test]
    fn the_json_fits_its_schema() {
        let schema = serde_json::from_str(include_str!("../../docs/matrix.schema.json")).unwrap();
        let mut full = sample::matrix();
        full.results.push(told_in_full());
        full.targets.push(TargetRow { build: Some("beta".into()), ..full.targets[0].clone() });
        full.ci = Some(CiRun { system: Some("github-actions".into()), ..CiRun::default() });
        full.tolerance = Some(Tolerance::default());
        full.suites.push(SuiteRow { name: "sample".into(), cases: 12, source: Some("onnx 1.23.0".into()) });
        full.cases.push(CaseRow {
            suite: "sample".into(),
            case: "gelu".into(),
            operators: vec!["Gelu".into()],
            opset: Some(20),
            types: vec!["float32".into()],
        });
        full.failed_before = vec![PairRow::from(&full.results[0])];
        for report in [full, sample::matrix(), MatrixReport::new(OffsetDateTime::now_utc())] {
            let json = serde_json::to_value(&report).unwrap();
            assert_eq!(departures(&schema, &json), Vec::<String>::new());
        }
        let mut wrong = serde_json::to_value(sample::matrix()).unwrap();
        wrong["results"][3]["run_ms"] = "0".into();
        wrong["targets"][0]["target"] = "netscape/wasm".into();
        assert_eq!(departures(&schema, &wrong).len(), 2);
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/matrix.json");
        let report = sample::matrix();
        write_json(&report, &path).unwrap();
        assert_eq!(MatrixReport::read(&path).unwrap(), report);
    }

    #[test]
    fn what_an_older_tabfleet_wrote_is_read() {
        let newer = ["run", "ci", "expectations", "tolerance", "suites", "cases", "failed_before", "build"];
        let newer_of_result = ["failed_attempts", "flaky", "repeats", "expected", "unexpected", "spent_ms"];
        let mut json = serde_json::to_value(sample::matrix()).unwrap();
        let strip = |object: &mut serde_json::Value| {
            let fields = object.as_object_mut().unwrap();
            fields.retain(|name, _| !newer.contains(&&**name) && !newer_of_result.contains(&&**name));
        };
        strip(&mut json);
        ["targets", "results"].iter().for_each(|list| json[list].as_array_mut().unwrap().iter_mut().for_each(strip));
        let read: MatrixReport = serde_json::from_value(json).unwrap();
        assert_eq!(read, MatrixReport { run: None, ..sample::matrix() });
    }

    #[test]
    fn infinite_errors_leave_the_json_readable() {
        let mut report = sample::matrix();
        report.results[0].max_abs_error = Some(f64::INFINITY);
        let read: MatrixReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(read.results[0].max_abs_error, None);
    }

    #[test]
    fn what_is_no_report_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.json");
        assert!(matches!(MatrixReport::read(&path), Err(ReportError::Read { .. })));
        fs::write(&path, "{\"results\": 7}").unwrap();
        let error = MatrixReport::read(&path).unwrap_err();
        assert!(matches!(error, ReportError::Parse { .. }) && error.to_string().contains("other.json"), "{error}");
    }

    #[test]
    fn totals_count_each_verdict_of_every_target() {
        let report = sample::matrix();
        let totals = report.totals();
        assert_eq!(totals["edge/webnn"]["pass"], 7);
        assert_eq!(totals["edge/webnn"].get("wrong"), None);
        assert!(totals["chrome/webnn"].is_empty());
        assert_eq!(totals.values().flat_map(BTreeMap::values).sum::<usize>(), report.results.len());
        assert_eq!(report.failures(), 6);
    }

    #[test]
    fn what_failed_before_fails_until_it_is_tried_again() {
        let before =
            ["gelu", "gemm", "lstm", "attention"].map(|case| sample::result(case, "edge/webnn", Verdict::Crash));
        let mut report = MatrixReport::new(OffsetDateTime::now_utc());
        report.failed_before = before.iter().map(PairRow::from).collect();
        let verdicts = [("gelu", Verdict::Pass), ("gemm", Verdict::Wrong), ("lstm", Verdict::Unavailable)];
        report.results = verdicts.map(|(case, verdict)| sample::result(case, "edge/webnn", verdict)).into();
        let failing: Vec<String> = report.still_failing().into_iter().map(|pair| pair.case).collect();
        assert_eq!(failing, ["gemm", "lstm", "attention"]);
    }

    #[test]
    fn builds_of_a_browser_are_columns_of_their_own() {
        let mut report = sample::matrix();
        let before = report.columns().len();
        report.results.push(told_in_full());
        assert_eq!(report.columns().len(), before + 1);
        assert_eq!(report.totals()["chrome@beta/webgpu"]["pass"], 1);
        assert_eq!(report.by_case()[&("sample", "gelu")].len(), 9);
    }
}
