//! What a matrix run found: every case on every target.

use super::{ReportError, file, journal};
use crate::{
    host::Host,
    types::{Adapter, Backend, Browser, Category, Family, RuntimeInfo, Target, TargetInfo, Verdict},
};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::{collections::BTreeMap, fs, path::Path};
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
    /// The machine.
    pub host: Host,
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
            host: Host::detect(),
            targets: Vec::new(),
            results: Vec::new(),
        }
    }

    /// How often each verdict was given, by the target's and the verdict's name. Every target is in it; a verdict that
    /// was not given is not.
    pub fn totals(&self) -> BTreeMap<String, BTreeMap<String, usize>> {
        let mut counts: BTreeMap<Target, BTreeMap<Verdict, usize>> =
            self.targets.iter().map(|row| (row.target, BTreeMap::new())).collect();
        for result in &self.results {
            *counts.entry(result.target).or_default().entry(result.verdict).or_default() += 1;
        }
        let named =
            |verdicts: BTreeMap<Verdict, usize>| verdicts.into_iter().map(|(v, n)| (v.to_string(), n)).collect();
        counts.into_iter().map(|(target, verdicts)| (target.to_string(), named(verdicts))).collect()
    }

    /// How many results count as failed: all but a pass and what was not tried.
    pub fn failures(&self) -> usize {
        self.results.iter().filter(|result| result.verdict.is_failure()).count()
    }

    /// Every target there is something to say about, in the order in which reports show them, with its description
    /// where there is one.
    pub(super) fn columns(&self) -> BTreeMap<Target, Option<&TargetRow>> {
        let named = self.results.iter().map(|result| (result.target, None));
        let described = self.targets.iter().map(|row| (row.target, Some(row)));
        named.chain(described).collect()
    }

    /// The results case by case, by suite and name. Of two results of a case on a target the later one counts.
    pub(super) fn by_case(&self) -> BTreeMap<(&str, &str), BTreeMap<Target, &CaseResult>> {
        let mut cases: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for result in &self.results {
            cases.entry((&*result.suite, &*result.case)).or_default().insert(result.target, result);
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
        let mut report: Self =
            serde_json::from_slice(&bytes).map_err(|source| ReportError::Parse { path: path.to_owned(), source })?;
        let noted = journal::read(path, report.started)?;
        let missing = noted.into_iter().filter(|noted| noted.number >= report.results.len());
        let missing: Vec<_> = missing.map(|noted| noted.result).collect();
        report.results.extend(missing);
        Ok(report)
    }
}

impl Serialize for MatrixReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { tabfleet, started, finished, host, targets, results } = self;
        let mut json = serializer.serialize_struct("MatrixReport", 7)?;
        json.serialize_field("tabfleet", tabfleet)?;
        json.serialize_field("started", &file::Rfc3339(Some(*started)))?;
        json.serialize_field("finished", &file::Rfc3339(*finished))?;
        json.serialize_field("host", host)?;
        json.serialize_field("targets", targets)?;
        json.serialize_field("results", results)?;
        json.serialize_field("totals", &self.totals())?;
        json.end()
    }
}

/// Writes the report's JSON. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old file is then left as it was.
pub fn write_matrix_json(report: &MatrixReport, path: &Path) -> Result<(), ReportError> {
    file::write_json(path, report)
}

/// A target as it was found to be on this machine, with all that says where its numbers come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRow {
    /// The target.
    pub target: Target,
    /// The slot.
    pub browser: Browser,
    /// What executes the models.
    pub backend: Backend,
    /// The product in the slot, as it names itself; `None` when it could not be launched.
    pub product: Option<String>,
    /// Its full version.
    pub version: Option<String>,
    /// How it is driven.
    pub driver: Option<String>,
    /// Whether it runs without a window.
    pub headless: Option<bool>,
    /// Whether another product than the slot is named for is in it.
    pub stand_in: bool,
    /// The GPU adapter, for WebGPU.
    pub adapter: Option<Adapter>,
    /// Whether that adapter computes on the CPU; `None` where nothing tells.
    pub software: Option<bool>,
    /// The device type a WebNN context was given: `cpu`, `gpu` or `npu`.
    pub webnn_device: Option<String>,
    /// The runtime that loads the models.
    pub runtime: Option<RuntimeInfo>,
    /// WASM threads in use.
    pub threads: Option<u32>,
    /// Whether models can run on it.
    pub available: bool,
    /// Why not, when they cannot; with what would help.
    pub reason: Option<String>,
}

impl From<&TargetInfo> for TargetRow {
    fn from(info: &TargetInfo) -> Self {
        let identity = info.identity.as_ref();
        Self {
            target: info.target,
            browser: info.target.browser,
            backend: info.target.backend,
            product: identity.map(|i| i.product.clone()),
            version: identity.map(|i| i.version.clone()),
            driver: identity.map(|i| i.driver.clone()),
            headless: identity.map(|i| i.headless),
            stand_in: identity.is_some_and(|i| i.stand_in),
            adapter: info.adapter.clone(),
            software: info.adapter.as_ref().and_then(|adapter| adapter.software),
            webnn_device: info.webnn_device.clone(),
            runtime: info.runtime.clone(),
            threads: info.threads,
            available: info.available,
            reason: info.reason.clone(),
        }
    }
}

/// What became of one case on one target. What was not measured is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The suite's name.
    pub suite: String,
    /// The case's name in it.
    pub case: String,
    /// The model's kind of work.
    #[serde(default)]
    pub family: Option<Family>,
    /// Where it ran.
    pub target: Target,
    /// What became of it.
    pub verdict: Verdict,
    /// How many attempts it took; 0 when it was not tried.
    pub attempts: u32,
    /// Whether the session needed the CPU for some nodes; `None` where the runtime cannot tell.
    pub cpu_fallback: Option<bool>,
    /// Fetching the model and creating the session, in milliseconds.
    pub load_ms: Option<f64>,
    /// The run itself, in milliseconds.
    pub run_ms: Option<f64>,
    /// The largest absolute difference from the expected outputs. Infinite becomes null in JSON, which has no infinity.
    pub max_abs_error: Option<f64>,
    /// The largest relative difference from the expected outputs, as a share (0.01 is one percent).
    pub max_rel_error: Option<f64>,
    /// What went wrong.
    pub error: Option<ErrorRow>,
}

/// What went wrong with a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRow {
    /// The kind of failure.
    pub category: Category,
    /// The words of whoever noticed it first.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{sample, schema_check::departures};

    #[test]
    fn the_json_is_as_documented() {
        let mut report = sample::matrix();
        report.targets.truncate(2);
        report.results.truncate(3);
        report.results.push(sample::result("attention", "edge/webnn", Verdict::LoadError));
        insta::assert_json_snapshot!(report);
    }

    #[test]
    fn the_json_fits_its_schema() {
        let schema = serde_json::from_str(include_str!("../../docs/matrix.schema.json")).unwrap();
        for report in [sample::matrix(), MatrixReport::new(OffsetDateTime::now_utc())] {
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
        write_matrix_json(&report, &path).unwrap();
        assert_eq!(MatrixReport::read(&path).unwrap(), report);
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
}
