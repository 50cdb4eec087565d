//! What is in a suite.

use super::{TableStyle, align_right, joined, keep_whole};
use crate::{
    report::{CaseRow, quantity},
    types::names,
};
use std::collections::{BTreeMap, BTreeSet};

/// So many reasons for skipping are told apart in a line.
const MOST_REASONS: usize = 3;

/// What the cases of a suite are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SuiteView {
    /// The operators they use.
    Operator,
    /// The version of ONNX's own operator set that they import.
    Opset,
    /// The element types of inputs and outputs.
    Type,
    /// Each for itself.
    Case,
}
names!(SuiteView { Operator = "operator", Opset = "opset", Type = "type", Case = "case" });

/// A case as it was found in a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteCase {
    /// What is said of it in reports.
    pub row: CaseRow,
    /// Why it will not be run, when that is known from its files.
    pub not_run: Option<String>,
}

impl SuiteView {
    fn groups(self, case: &SuiteCase) -> Vec<String> {
        let CaseRow { suite, case, operators, opset, types } = &case.row;
        match self {
            SuiteView::Operator => operators.clone(),
            // With leading spaces numbers are in order.
            SuiteView::Opset => vec![opset.map_or_else(|| "none".to_owned(), |opset| format!("{opset:>2}"))],
            SuiteView::Type => types.clone(),
            SuiteView::Case => vec![format!("{suite}/{case}")],
        }
    }
}

/// One row for each group: how many cases, what they use, and what is skipped and why. A case that uses several operators
/// is counted with each.
pub fn suite_table(cases: &[SuiteCase], view: SuiteView, style: TableStyle) -> String {
    let mut groups: BTreeMap<String, Vec<&SuiteCase>> = BTreeMap::new();
    for case in cases {
        let names = view.groups(case);
        let names = if names.is_empty() { vec!["none".to_owned()] } else { names };
        names.into_iter().for_each(|name| groups.entry(name).or_default().push(case));
    }
    let mut table = style.table(&[view.name(), "cases", "opsets", "operators", "types", "skipped", "why"]);
    for (name, members) in &groups {
        let skipped: Vec<&str> = members.iter().filter_map(|case| case.not_run.as_deref()).collect();
        table.add_row([
            style.painted(name, None),
            style.painted(members.len(), None),
            style.painted(opsets(members), None),
            style.painted(distinct(members.iter().flat_map(|case| &case.row.operators)), None),
            style.painted(distinct(members.iter().flat_map(|case| &case.row.types)), None),
            style.painted(if skipped.is_empty() { String::new() } else { skipped.len().to_string() }, None),
            style.painted(reasons(&skipped), None),
        ]);
    }
    align_right(&mut table, [1, 5]);
    keep_whole(&mut table, [0, 1, 2, 5]);
    let skipped = cases.iter().filter(|case| case.not_run.is_some()).count();
    let operators: BTreeSet<&String> = cases.iter().flat_map(|case| &case.row.operators).collect();
    let summary = format!("{} cases, {} operators; {skipped} cases will be skipped", cases.len(), operators.len());
    joined([table.trim_fmt(), summary])
}

fn opsets(cases: &[&SuiteCase]) -> String {
    let opsets: BTreeSet<i64> = cases.iter().filter_map(|case| case.row.opset).collect();
    match (opsets.first(), opsets.last()) {
        (Some(first), Some(last)) if first != last => format!("{first}–{last}"),
        (Some(only), _) => only.to_string(),
        _ => quantity::NOT_MEASURED.to_owned(),
    }
}

/// The names when they are few, else how many.
fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    match names.len() {
        0 => quantity::NOT_MEASURED.to_owned(),
        1..=4 => names.into_iter().collect::<Vec<_>>().join(", "),
        many => format!("{many} kinds"),
    }
}

fn reasons(reasons: &[&str]) -> String {
    let without_names: BTreeSet<String> = reasons.iter().map(|reason| quantity::one_line(reason, 80)).collect();
    let mut shown: Vec<String> = without_names.iter().take(MOST_REASONS).cloned().collect();
    if without_names.len() > MOST_REASONS {
        shown.push(format!("{} more", without_names.len() - MOST_REASONS));
    }
    shown.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, operators: &[&str], opset: i64, types: &[&str], not_run: Option<&str>) -> SuiteCase {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let row = CaseRow {
            suite: "sample".into(),
            case: name.into(),
            operators: texts(operators),
            opset: Some(opset),
            types: texts(types),
        };
        SuiteCase { row, not_run: not_run.map(str::to_owned) }
    }

    #[test]
    fn a_suite_by_each_view() {
        let cases = [
            case("add", &["Add"], 14, &["float32"], None),
            case("add_u8", &["Add"], 7, &["uint8"], None),
            case("loop", &["Loop", "Add"], 13, &["float32", "sequence"], Some("output `y` is a sequence")),
        ];
        let views = SuiteView::ALL.iter().map(|view| suite_table(&cases, *view, TableStyle::default()));
        insta::assert_snapshot!(views.collect::<Vec<_>>().join("\n"));
    }
}
