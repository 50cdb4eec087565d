//! Going on with a run: with its cases, which must still be what they were.

use crate::{
    cli::error::CliError,
    matrix::Planned,
    report::{CaseRow, MatrixReport, SuiteRow},
};
use std::{collections::HashMap, path::Path};

/// Of the cases that the suites have now those of the run, whose report is at `file`. A run that was killed before it
/// said which those are takes all.
///
/// # Errors
/// [`CliError::OtherCases`] when the suites are not the run's: its results would be of two different things.
pub(super) fn cases_of(
    run: &MatrixReport,
    file: &Path,
    suites: &[SuiteRow],
    cases: Vec<Planned>,
) -> Result<Vec<Planned>, CliError> {
    if run.suites.is_empty() {
        return Ok(cases);
    }
    let other = |what: String| CliError::OtherCases { file: file.to_owned(), what };
    for suite in suites {
        let before = run.suites.iter().find(|before| before.name == suite.name);
        if let (Some(now), Some(before)) = (&suite.source, before.and_then(|before| before.source.as_ref()))
            && now != before
        {
            return Err(other(format!("its suite {} was from {before}, and this one is from {now}", suite.name)));
        }
    }
    let mut now: HashMap<(String, String), Planned> =
        cases.into_iter().map(|planned| (key(&planned.row), planned)).collect();
    let taken = run.cases.iter().map(|before| match now.remove(&key(before)) {
        None => Err(other(format!("its case {}/{} is not among those selected now", before.suite, before.case))),
        Some(planned) if planned.row != *before => {
            Err(other(format!("the model of its case {}/{} is another one now", before.suite, before.case)))
        }
        Some(planned) => Ok(planned),
    });
    taken.collect()
}

fn key(case: &CaseRow) -> (String, String) {
    (case.suite.clone(), case.case.clone())
}
