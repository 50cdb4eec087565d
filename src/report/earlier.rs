//! What earlier runs found, as small as can be: for each case and target one character a run. The newest of them is kept
//! whole, to compare with.

use super::{CaseResult, CiRun, MatrixDiff, MatrixReport, ReportError, Side, TargetBuild};
use crate::types::Verdict;
use serde::{Deserialize, de::IgnoredAny};
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};
use time::OffsetDateTime;

/// Runs that are remembered: two months of nights.
const MOST_RUNS: usize = 60;

/// Earlier runs, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EarlierRuns {
    runs: Vec<EarlierRun>,
    cases: HashMap<(String, String), BTreeMap<String, String>>,
    newest: Option<(String, MatrixReport)>,
}

/// An earlier run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EarlierRun {
    pub started: OffsetDateTime,
    pub ci: Option<CiRun>,
    /// What was in each target, and whether it worked.
    targets: BTreeMap<String, (Option<String>, bool)>,
}

impl EarlierRun {
    /// The browser's version in a column of a report.
    pub fn version(&self, column: TargetBuild<'_>) -> Option<&str> {
        self.targets.get(&column.to_string())?.0.as_deref()
    }
}

/// What is read of a report to know where it belongs, and that it is a matrix's: those of other commands have no results.
#[derive(Deserialize)]
struct When {
    #[serde(with = "time::serde::rfc3339")]
    started: OffsetDateTime,
    #[serde(rename = "results")]
    _results: IgnoredAny,
}

impl EarlierRuns {
    /// The files of reports, the oldest report first: those named, and of folders every JSON file that is a matrix report. Of
    /// more than sixty the newest.
    ///
    /// # Errors
    /// [`ReportError::Read`] and [`ReportError::Parse`] name a file that cannot be read, or that was named and is no matrix
    /// report; a folder that is not there yet is empty.
    pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReportError> {
        let mut reports: Vec<(OffsetDateTime, PathBuf)> = Vec::new();
        for path in paths {
            if path.is_file() || path.extension().is_some_and(|it| it == "json") {
                reports.push((when(path)?, path.clone()));
                continue;
            }
            for path in json_files(path)? {
                match when(&path) {
                    Ok(started) => reports.push((started, path)),
                    Err(error @ ReportError::Read { .. }) => return Err(error),
                    Err(_) => tracing::debug!(file = %path.display(), "not a matrix report"),
                }
            }
        }
        reports.sort();
        reports.dedup();
        let newest = reports.split_off(reports.len().saturating_sub(MOST_RUNS));
        Ok(newest.into_iter().map(|(_, path)| path).collect())
    }

    /// Reads these reports, of which the oldest is the first.
    ///
    /// # Errors
    /// [`ReportError::Read`] and [`ReportError::Parse`] name the file that is not to be read.
    pub fn read(files: &[PathBuf]) -> Result<Self, ReportError> {
        let mut runs = Self::default();
        files.iter().try_for_each(|path| {
            runs.add(path.display().to_string(), MatrixReport::read(path)?);
            Ok(())
        })?;
        Ok(runs)
    }

    /// Remembers a run that is newer than all others; `name` is what it is called where it is compared with.
    pub fn add(&mut self, name: String, report: MatrixReport) {
        let number = self.runs.len();
        for ((suite, case), results) in report.by_case() {
            let columns = self.cases.entry((suite.to_owned(), case.to_owned())).or_default();
            for (column, result) in results {
                let found = columns.entry(column.to_string()).or_default();
                found.extend(std::iter::repeat_n('.', number - found.len()));
                found.push(code(Some(result), true));
            }
        }
        let about = |row: &super::TargetRow| (row.column().to_string(), (row.version.clone(), row.available));
        let targets = report.targets.iter().map(about).collect();
        self.runs.push(EarlierRun { started: report.started, ci: report.ci.clone(), targets });
        self.newest = Some((name, report));
    }

    /// What changed since the newest of them; `None` when there is none.
    pub fn since(&self, report: &MatrixReport) -> Option<MatrixDiff> {
        let (name, before) = self.newest.as_ref()?;
        Some(MatrixDiff::of(&Side::run(name, before), &Side::run("this run", report)))
    }

    pub(super) fn runs(&self) -> &[EarlierRun] {
        &self.runs
    }

    /// What each run found of a case, for each column; `None` where every one found what is found now.
    pub(super) fn of_case(
        &self,
        (suite, case): (&str, &str),
        columns: &[TargetBuild<'_>],
        now: impl Fn(TargetBuild<'_>) -> char,
    ) -> Vec<Option<String>> {
        let known = self.cases.get(&(suite.to_owned(), case.to_owned()));
        let found = |column: &TargetBuild<'_>| {
            let name = column.to_string();
            let mut codes = known.and_then(|known| known.get(&name)).map(|codes| codes.chars());
            let found = self.runs.iter().map(|run| {
                let works = run.targets.get(&name).is_none_or(|(_, available)| *available);
                match codes.as_mut().and_then(Iterator::next) {
                    Some(code) if code != '.' => code,
                    _ => code(None, works),
                }
            });
            let found: String = found.collect();
            let now = now(*column);
            found.chars().any(|code| code != now).then_some(found)
        };
        columns.iter().map(found).collect()
    }
}

fn when(path: &Path) -> Result<OffsetDateTime, ReportError> {
    let bytes = fs::read(path).map_err(ReportError::read(path))?;
    let when: When =
        serde_json::from_slice(&bytes).map_err(|source| ReportError::Parse { path: path.to_owned(), source })?;
    Ok(when.started)
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ReportError::read(folder)(error)),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let paths = paths.map_err(ReportError::read(folder))?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|it| it == "json")).collect())
}

/// A result as one character: the verdict's number, `c` for a pass that needed the CPU, `f` for a flaky one, `.` for none.
/// A case that has no result because its target does not work is unavailable.
pub(super) fn code(result: Option<&CaseResult>, target_works: bool) -> char {
    let verdict = match result {
        Some(result) if result.verdict == Verdict::Pass && result.flaky => return 'f',
        Some(result) if result.verdict == Verdict::Pass && result.cpu_fallback == Some(true) => return 'c',
        Some(result) => result.verdict,
        None if target_works => return '.',
        None => Verdict::Unavailable,
    };
    let number = Verdict::ALL.iter().position(|each| *each == verdict).and_then(|place| u32::try_from(place).ok());
    number.and_then(|number| char::from_digit(number, 10)).unwrap_or('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{sample, write_json};

    #[test]
    fn runs_are_remembered_in_the_order_of_time_whatever_their_files_are_called() {
        let folder = tempfile::tempdir().unwrap();
        write_json(&sample::next_matrix(), &folder.path().join("a.json")).unwrap();
        write_json(&sample::matrix(), &folder.path().join("b.json")).unwrap();
        fs::write(folder.path().join("other.json"), "{}").unwrap();
        write_json(&sample::bench(), &folder.path().join("bench.json")).unwrap();
        write_json(&sample::chaos(), &folder.path().join("chaos.json")).unwrap();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        let files = EarlierRuns::files(&[folder.path().to_owned(), folder.path().join("b.json")]).unwrap();
        let past = EarlierRuns::read(&files).unwrap();
        assert_eq!(past.runs().len(), 2, "each file counts once");
        let firefox = sample::target("firefox/wasm").into();
        let versions: Vec<_> = past.runs().iter().map(|run| run.version(firefox)).collect();
        assert_eq!(versions, [Some("153.1.0"), Some("154.0.0")]);
        let columns = [sample::target("chrome/webgpu"), sample::target("chrome/wasm"), sample::target("webkit/webgpu")];
        let columns = columns.map(TargetBuild::from);
        let found = past.of_case(("sample", "conv_2d"), &columns, |_| '0');
        assert_eq!(found, [Some("01".to_owned()), None, Some("88".to_owned())]);
        let diff = past.since(&sample::next_matrix()).unwrap();
        assert!(diff.changes.is_empty() && diff.before.name.ends_with("a.json"), "{diff:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_empty_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(EarlierRuns::files(&[folder.path().join("reports")]).unwrap(), Vec::<PathBuf>::new());
        let error = EarlierRuns::files(&[folder.path().join("yesterday.json")]).unwrap_err();
        assert!(matches!(error, ReportError::Read { .. }), "{error}");
        fs::write(folder.path().join("other.json"), "{}").unwrap();
        let error = EarlierRuns::files(&[folder.path().join("other.json")]).unwrap_err();
        assert!(matches!(error, ReportError::Parse { .. }), "{error}");
    }
}
