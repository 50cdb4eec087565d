//! Targets that were lost: what was to be tried there was not.

use crate::{
    cli::config::TargetPattern,
    report::{MatrixReport, TargetBuild},
    types::Verdict,
};
use std::collections::BTreeMap;

/// Says which targets were lost, and whether any was: those that worked and then did not, with how many cases they left,
/// and those that were asked for by name and never worked.
pub(super) fn tell_of_lost_targets(report: &MatrixReport, asked: &[TargetPattern]) -> bool {
    let mut left: BTreeMap<TargetBuild<'_>, (usize, &str)> = BTreeMap::new();
    for result in report.results.iter().filter(|result| result.verdict == Verdict::Unavailable) {
        let why = result.error.as_ref().map(|error| &*error.message).unwrap_or_default();
        left.entry(result.column()).or_insert((0, why)).0 += 1;
    }
    for (column, (count, why)) in &left {
        eprintln!("{count} cases were not tried on {column}: {why}; --resume tries them again");
    }
    let works =
        |pattern: &&TargetPattern| report.targets.iter().any(|row| row.available && pattern.matches(row.target));
    let never: Vec<&TargetPattern> = asked.iter().filter(|pattern| !works(pattern)).collect();
    for pattern in &never {
        let why = report.targets.iter().filter(|row| pattern.matches(row.target)).find_map(|row| row.reason.as_deref());
        eprintln!("{pattern} was asked for and does not work: {}", why.unwrap_or("no run has tried it"));
    }
    !left.is_empty() || !never.is_empty()
}

/// What a target that did not work then may find out now is not done.
pub(super) fn without_unavailable(mut report: MatrixReport) -> MatrixReport {
    report.results.retain(|result| result.verdict != Verdict::Unavailable);
    report
}
