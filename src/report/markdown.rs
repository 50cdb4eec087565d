//! Results as Markdown, for a job's summary and for comments.

use super::{
    MatrixDiff, MatrixReport, ReportError, TargetRow, attention,
    attention::Group,
    file,
    gist::gist,
    quantity,
    table::diff::{counted, ratio, said, side, versions},
};
use crate::types::Verdict;
use std::{collections::BTreeMap, fmt::Write, path::Path};

/// Most rows of a list. GitHub refuses a summary of more than 1 MiB; a thousandth of that is what anybody reads.
const LISTED: usize = 50;

/// The run in Markdown: what wants attention, and each target's totals; with the run before, what has changed since.
pub fn matrix_markdown(report: &MatrixReport, since: Option<&MatrixDiff>) -> String {
    let groups = attention::attention(report, since);
    let mut text = format!("## tabfleet matrix: {}\n\n", attention::headline(&groups));
    text += &targets(report, since);
    for group in &groups {
        text += &list(group);
    }
    let provenance = quantity::provenance(&report.tabfleet, report.started, &report.host);
    let ci = report.ci.as_ref().map(super::CiRun::says).unwrap_or_default();
    let since = since.map(|diff| format!("; compared with {}", side(&diff.before))).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n<sub>{}{}{}</sub>", escaped(&provenance), escaped(&ci), escaped(&since));
    text
}

fn targets(report: &MatrixReport, since: Option<&MatrixDiff>) -> String {
    let mut text = "| target | browser | passed | failed | not tried |".to_owned();
    text += if since.is_some() { " since the run before |\n" } else { "\n" };
    text += if since.is_some() { "|---|---|---:|---:|---:|---|\n" } else { "|---|---|---:|---:|---:|\n" };
    let totals = report.totals();
    for (column, row) in report.columns() {
        let counts = totals.get(&column.to_string()).cloned().unwrap_or_default();
        let [passed, failed, rest] = summed(&counts);
        let name = escaped(&row.map_or_else(|| column.to_string(), super::table::targets::name));
        let _ = write!(text, "| {name} | {} | {passed} | {failed} | {rest} |", escaped(&browser(row)));
        if let Some(diff) = since {
            let target = diff.targets.iter().find(|target| target.target == column.to_string());
            let changes = target.map(|target| counted(&target.totals)).unwrap_or_default();
            let _ = write!(text, " {changes} |");
        }
        text.push('\n');
    }
    text
}

fn browser(row: Option<&TargetRow>) -> String {
    match row {
        Some(row) if !row.available => {
            format!("unavailable: {}", quantity::one_line(row.reason.as_deref().unwrap_or_default(), 80))
        }
        row => quantity::or_dash(row.and_then(quantity::product)),
    }
}

/// How many passed, failed, and were not tried.
fn summed(counts: &BTreeMap<String, usize>) -> [usize; 3] {
    let mut sums = [0; 3];
    for (name, n) in counts {
        let place = match name.parse() {
            Ok(Verdict::Pass) => 0,
            Ok(Verdict::Skipped | Verdict::Unavailable) => 2,
            _ => 1,
        };
        sums[place] += n;
    }
    sums
}

fn list(group: &Group<'_>) -> String {
    let mut text = format!("\n### {} {}\n\n{}\n\n", group.results.len(), group.name, group.about);
    text += "| case | target | verdict | error |\n|---|---|---|---|\n";
    let (rows, left) = group.rows(LISTED);
    for row in &rows {
        let message = gist(row.noted.message().unwrap_or_default(), 160);
        let cells = [row.noted.id(), row.targets(), row.noted.verdict(), message];
        let _ = writeln!(text, "| {} |", cells.map(|cell| escaped(&cell)).join(" | "));
    }
    if left > 0 {
        let _ = writeln!(text, "\nand {left} more");
    }
    text
}

/// What differs between two runs or browsers, in Markdown.
pub fn diff_markdown(diff: &MatrixDiff) -> String {
    let mut text = format!("## {}\n\n", escaped(&counted(&diff.totals())));
    let _ = writeln!(
        text,
        "From {} to {}; {} results are the same.\n",
        escaped(&side(&diff.before)),
        escaped(&side(&diff.after)),
        diff.same
    );
    text += "| target | browser version | changed | run time (median of cases) |\n|---|---|---|---|\n";
    for target in &diff.targets {
        let cells = [target.target.clone(), versions(target), counted(&target.totals), ratio(target)];
        let _ = writeln!(text, "| {} |", cells.map(|cell| escaped(&cell)).join(" | "));
    }
    if !diff.changes.is_empty() {
        text += "\n| changed | case | target | before | after | error |\n|---|---|---|---|---|---|\n";
    }
    for change in diff.changes.iter().take(LISTED) {
        let error = change.after.as_ref().and_then(|outcome| outcome.error.as_ref());
        let cells = [
            change.kind.to_string(),
            format!("{}/{}", change.suite, change.case),
            change.target.clone(),
            said(change.before.as_ref()),
            said(change.after.as_ref()),
            error.map(|error| gist(&error.message, 160)).unwrap_or_default(),
        ];
        let _ = writeln!(text, "| {} |", cells.map(|cell| escaped(&cell)).join(" | "));
    }
    if diff.changes.len() > LISTED {
        let _ = writeln!(text, "\nand {} more", diff.changes.len() - LISTED);
    }
    text
}

/// A text that Markdown shows as it is, in one cell of a table.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '&' => safe += "&amp;",
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' | '@' => {
                safe.push('\\');
                safe.push(character);
            }
            character if character.is_control() => safe.push(' '),
            character => safe.push(character),
        }
    }
    safe
}

/// Writes a text as a file that is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old file is then left as it was.
pub fn write_text(text: &str, path: &Path) -> Result<(), ReportError> {
    file::replace(path, |out| out.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Side, sample};

    #[test]
    fn a_run_and_what_changed_since_the_one_before() {
        let (before, after) = (sample::matrix(), sample::next_matrix());
        let diff = MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", &after));
        insta::assert_snapshot!(matrix_markdown(&after, Some(&diff)));
        insta::assert_snapshot!(diff_markdown(&diff));
    }

    #[test]
    fn a_run_by_itself() {
        insta::assert_snapshot!(matrix_markdown(&sample::matrix(), None));
    }

    #[test]
    fn a_summary_of_12_000_results_is_one_that_github_takes() {
        let text = matrix_markdown(&sample::large_matrix(1500), None);
        assert!(text.contains("more\n") && text.len() < 100_000, "{} bytes", text.len());
    }

    #[test]
    fn a_message_cannot_become_markup() {
        assert_eq!(escaped("<img src=x> a|b `c`\n@all"), "&lt;img src=x&gt; a\\|b \\`c\\` \\@all");
    }
}
