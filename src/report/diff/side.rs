//! One side of a comparison.

use crate::report::{CaseResult, CiRun, MatrixReport, TargetBuild};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Where one side's results come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideRow {
    /// What it is called: a file, or a browser.
    pub name: String,
    /// What tells its run from every other.
    pub run: Option<String>,
    /// When the run started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// The commit and the job.
    pub ci: Option<CiRun>,
}

/// One side of a comparison: results by what they are compared by.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    pub(super) about: SideRow,
    pub(super) results: BTreeMap<(&'a str, &'a str, String), &'a CaseResult>,
    pub(super) versions: BTreeMap<String, Option<&'a str>>,
    /// The cases that the run was to try; empty where an older tabfleet did not write them down.
    selected: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Side<'a> {
    /// All of a run, target by target.
    pub fn run(name: impl Into<String>, report: &'a MatrixReport) -> Self {
        Self::of(name, report, |column| Some(column.to_string()))
    }

    /// What is compared of a run: the results of every column that is given a name, under that name. Columns of both
    /// sides that have the same name are compared with each other. Of two results of a case in a column the later counts.
    pub fn of(
        name: impl Into<String>,
        report: &'a MatrixReport,
        column: impl Fn(TargetBuild<'a>) -> Option<String>,
    ) -> Self {
        let about =
            SideRow { name: name.into(), run: report.run.clone(), started: report.started, ci: report.ci.clone() };
        let results = report
            .results
            .iter()
            .filter_map(|result| Some(((&*result.suite, &*result.case, column(result.column())?), result)));
        let versions = report.targets.iter().filter_map(|row| Some((column(row.column())?, row.version.as_deref())));
        let selected = report.cases.iter().map(|row| (&*row.suite, &*row.case)).collect();
        Self { about, results: results.collect(), versions: versions.collect(), selected }
    }

    /// Whether the run was to try the case there: one with a filter, or on fewer targets, was not to try the rest.
    pub(super) fn was_to_try(&self, (suite, case, column): &(&str, &str, String)) -> bool {
        let selected = self.selected.is_empty() || self.selected.contains(&(*suite, *case));
        selected && (self.versions.is_empty() || self.versions.contains_key(column))
    }
}
