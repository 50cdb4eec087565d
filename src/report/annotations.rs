//! Results as GitHub's annotations: workflow commands on standard output, which it shows beside the job.

use super::{
    MatrixDiff, MatrixReport,
    attention::{self, Group, Row},
    gist::gist,
};

/// GitHub keeps ten errors and ten warnings of a step, and drops the rest without a word.
const KEPT: usize = 10;

/// What wants attention as lines for GitHub's runner to read: errors for what is alarming, warnings for the rest, and no
/// more of them than GitHub keeps, the last of which then says how many results are left.
pub fn github_annotations(report: &MatrixReport, since: Option<&MatrixDiff>) -> Vec<String> {
    let groups = attention::attention(report, since);
    let (alarming, others): (Vec<_>, Vec<_>) = groups.iter().partition(|group| group.alarming);
    [of("error", &alarming), of("warning", &others)].concat()
}

fn of(level: &str, groups: &[&Group<'_>]) -> Vec<String> {
    let rows: Vec<(&str, Row<'_, '_>)> =
        groups.iter().flat_map(|group| group.rows(usize::MAX).0.into_iter().map(|row| (group.name, row))).collect();
    let told = if rows.len() > KEPT { KEPT - 1 } else { rows.len() };
    let mut lines: Vec<String> = rows[..told]
        .iter()
        .map(|(reason, row)| {
            let title = format!("{reason}: {} on {}", row.noted.id(), row.targets());
            let message = row.noted.message().map(|message| format!(": {}", gist(message, 300)));
            line(level, &title, &format!("{}{}", row.noted.verdict(), message.unwrap_or_default()))
        })
        .collect();
    if told < rows.len() {
        let left: usize = rows[told..].iter().map(|(_, row)| row.count()).sum();
        lines.push(line(level, &format!("{left} more"), "the job's summary and the HTML report have them all"));
    }
    lines
}

/// A workflow command. What is escaped and how is as GitHub's own toolkit does it.
fn line(level: &str, title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={}::{}", property(title), data(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Side, sample};

    #[test]
    fn what_wants_attention_is_annotated() {
        let (before, after) = (sample::matrix(), sample::next_matrix());
        let diff = MatrixDiff::of(&Side::run("a", &before), &Side::run("b", &after));
        insta::assert_snapshot!(github_annotations(&after, Some(&diff)).join("\n"));
    }

    #[test]
    fn no_more_than_github_keeps_and_the_last_counts_the_rest() {
        let report = sample::large_matrix(200);
        let lines = github_annotations(&report, None);
        assert_eq!(lines.len(), KEPT);
        let told: usize =
            lines[..KEPT - 1].iter().map(|line| line.split("::").nth(1).unwrap().matches("/w").count()).sum();
        assert!(lines[KEPT - 1].contains(&format!("{} more", report.failures() - told)), "{lines:?}");
    }

    #[test]
    fn a_message_cannot_be_another_command() {
        assert_eq!(line("error", "a,b:c", "50 %\n::warning::x"), "::error title=a%2Cb%3Ac::50 %25%0A::warning::x");
    }
}
