//! What changed, as a message for a chat: the JSON that Slack's incoming webhooks take, and those that do as they do.

use super::{MatrixDiff, MatrixReport, attention, attention::Group, gist::gist, quantity, table::diff};
use serde_json::{Value, json};

/// Most results named under a reason. Slack cuts a section after 3,000 characters.
const NAMED: usize = 8;

/// A message with what wants attention and what was fixed; `None` when nothing does and nothing was, so that nobody is
/// told that nothing happened.
pub fn chat_message(report: &MatrixReport, since: Option<&MatrixDiff>) -> Option<Value> {
    let groups = attention::attention(report, since);
    let fixed = since.map_or(0, |diff| diff.totals().get(&super::ChangeKind::Fixed).copied().unwrap_or_default());
    if groups.is_empty() && fixed == 0 {
        return None;
    }
    let mut headline = if groups.is_empty() { String::new() } else { attention::headline(&groups) };
    if fixed > 0 {
        headline += &format!("{}{fixed} fixed", if groups.is_empty() { "" } else { ", " });
    }
    let text = format!("tabfleet matrix: {headline}");
    let mut blocks = vec![section(&format!("*{}*", escaped(&text)))];
    blocks.extend(groups.iter().map(|group| section(&list(group))));
    let provenance = quantity::provenance(&report.tabfleet, report.started, &report.host);
    let ci = report.ci.as_ref();
    let mut context = escaped(&format!("{provenance}{}", ci.map(super::CiRun::says).unwrap_or_default()));
    if let Some(diff) = since {
        context += &escaped(&format!("; since {}", diff::side(&diff.before)));
    }
    if let Some(url) = ci.and_then(|ci| ci.url.as_ref()).filter(|url| url.starts_with("http")) {
        context += &format!(" · <{}|job>", escaped(url).replace('|', "%7C"));
    }
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": context }] }));
    Some(json!({ "text": text, "blocks": blocks }))
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

fn list(group: &Group<'_>) -> String {
    let mut lines = vec![format!("*{} {}*: {}", group.results.len(), group.name, group.about)];
    let (rows, left) = group.rows(NAMED);
    for row in &rows {
        let error = row.noted.message().map(|message| format!(": {}", gist(message, 120))).unwrap_or_default();
        let line = format!("{} on {}: {}{error}", row.noted.id(), row.targets(), row.noted.verdict());
        lines.push(format!("• {}", escaped(&line)));
    }
    if left > 0 {
        lines.push(format!("and {left} more"));
    }
    lines.join("\n")
}

/// The three characters that Slack wants escaped. A message can so neither link nor call anybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Side, sample};

    #[test]
    fn what_changed_is_told() {
        let (before, after) = (sample::matrix(), sample::next_matrix());
        let diff = MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", &after));
        insta::assert_json_snapshot!(chat_message(&after, Some(&diff)).unwrap());
    }

    #[test]
    fn nobody_is_told_that_nothing_happened() {
        let report = sample::matrix();
        let side = Side::run("a", &report);
        assert_eq!(chat_message(&report, Some(&MatrixDiff::of(&side, &side))), None);
    }

    #[test]
    fn a_section_is_one_that_slack_takes() {
        let message = chat_message(&sample::large_matrix(1500), None).unwrap();
        for block in message["blocks"].as_array().unwrap() {
            assert!(block["text"]["text"].as_str().unwrap_or_default().chars().count() < 3000, "{block}");
        }
    }
}
