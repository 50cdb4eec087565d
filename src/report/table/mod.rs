//! Results as tables for the terminal: readable without colour, and cut into blocks where the terminal is narrow.

mod answer;
mod bench;
mod chaos;
pub(super) mod diff;
mod doctor;
mod grid;
mod health;
mod history;
mod matrix;
mod shard;
mod suite;
mod support;
pub(super) mod targets;

pub use answer::answer_table;
pub use bench::bench_table;
pub use chaos::chaos_table;
pub use diff::diff_table;
pub use doctor::doctor_table;
pub use health::health_table;
pub use history::history_table;
pub use matrix::matrix_table;
pub use shard::shard_table;
pub use suite::{SuiteCase, SuiteView, suite_table};
pub use support::support_table;

use crate::types::Verdict;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, TableComponent, presets,
};

/// How a table is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStyle {
    /// Whether to colour it. The caller obeys `NO_COLOR` by saying no.
    pub colour: bool,
    /// How many columns the terminal has; `None` when nothing limits it.
    pub width: Option<u16>,
}

impl TableStyle {
    fn table(self, headers: &[&str]) -> Table {
        let mut table = Table::new();
        table.force_no_tty().load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
        table.set_style(TableComponent::MiddleHeaderIntersections, ' ');
        if self.colour {
            table.enforce_styling();
        }
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(headers.iter().map(|header| self.bold(header)));
        table
    }

    fn bold(self, text: &str) -> Cell {
        let cell = Cell::new(text);
        if self.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn painted(self, text: impl ToString, colour: Option<Color>) -> Cell {
        let cell = Cell::new(text);
        match colour.filter(|_| self.colour) {
            Some(colour) => cell.fg(colour),
            None => cell,
        }
    }
}

fn align_right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Keeps the columns' words in one line where the table has to be narrowed; the others wrap.
fn keep_whole(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

fn colour_of(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Pass => Color::Green,
        Verdict::Skipped | Verdict::Unavailable => Color::DarkGrey,
        Verdict::Wrong => Color::Magenta,
        Verdict::LoadError | Verdict::RunError => Color::Yellow,
        Verdict::Crash | Verdict::DeviceLost | Verdict::Timeout => Color::Red,
    }
}

/// The parts of a report, an empty line between each two, and nothing of those that are empty.
fn joined(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const PLAIN: TableStyle = TableStyle { colour: false, width: None };

    #[test]
    fn a_matrix_of_few_cases_shows_them_all() {
        insta::assert_snapshot!(matrix_table(&sample::matrix(), None, PLAIN));
    }

    #[test]
    fn a_narrow_terminal_gets_the_grid_in_blocks() {
        let table = matrix_table(&sample::matrix(), None, TableStyle { colour: false, width: Some(80) });
        assert!(
            table
                .lines()
                .all(|line| line.chars().count() <= 80 || line.contains("tabfleet") || line.contains(" cases on ")),
            "{table}"
        );
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_matrix_of_many_cases_shows_totals_and_failures() {
        let table = matrix_table(&sample::large_matrix(41), None, PLAIN);
        insta::assert_snapshot!(table);
    }

    #[test]
    fn failures_beyond_the_list_are_counted() {
        let report = sample::large_matrix(1000);
        let table = matrix_table(&report, None, PLAIN);
        let targets = regex::Regex::new(r"(chrome|edge\*?|firefox|webkit)/\w+").unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with(" sample/test_")).collect();
        assert_eq!(rows.len(), 200);
        let listed: usize = rows.iter().map(|row| targets.find_iter(row).count()).sum();
        assert!(table.contains(&format!("and {} more", report.failures() - listed)), "{table}");
    }

    #[test]
    fn a_matrix_without_results_says_so() {
        let mut report = sample::matrix();
        report.results.clear();
        report.targets.clear();
        report.finished = None;
        insta::assert_snapshot!(matrix_table(&report, None, PLAIN));
    }

    #[test]
    fn colour_only_adds_to_what_is_there() {
        let coloured = matrix_table(&sample::matrix(), None, TableStyle { colour: true, width: None });
        assert!(coloured.contains("\u{1b}["));
        let escapes = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let plain = matrix_table(&sample::matrix(), None, PLAIN);
        assert_eq!(words(&escapes.replace_all(&coloured, "")), words(&plain));
    }

    #[test]
    fn what_works_where() {
        let mut report = sample::matrix();
        report.results.push(sample::result("gelu", "edge/webnn", Verdict::Pass));
        let row = |case: &str, operator: &str| crate::report::CaseRow {
            suite: "sample".into(),
            case: case.into(),
            operators: vec![operator.into(), "Cast".into()],
            opset: Some(21),
            types: Vec::new(),
        };
        let rows = [("resize_linear", "Resize"), ("gelu", "Gelu"), ("string_split", "StringSplit")];
        report.cases = rows.map(|(case, operator)| row(case, operator)).into();
        insta::assert_snapshot!(support_table(&report, crate::report::SupportBy::Operator, PLAIN));
    }

    #[test]
    fn only_what_is_unexpected_is_listed_with_expectations() {
        let mut report = sample::matrix();
        report.expectations = Some("expectations.toml".into());
        for result in &mut report.results {
            result.unexpected = Some(result.case == "gemm" && result.verdict.is_failure());
        }
        report.results[0].flaky = true;
        let table = matrix_table(&report, None, PLAIN);
        let listed = table.rsplit(" unexpected ").next().unwrap();
        assert!(listed.contains("sample/gemm") && !listed.contains("sample/gelu"), "{table}");
        assert!(table.contains("; 1 flaky; 1 unexpected"), "{table}");
    }

    #[test]
    fn a_benchmark() {
        insta::assert_snapshot!(bench_table(&sample::bench(), PLAIN));
    }

    #[test]
    fn health() {
        insta::assert_snapshot!(health_table(&sample::health(), TableStyle { colour: false, width: Some(120) }));
    }

    #[test]
    fn chaos() {
        insta::assert_snapshot!(chaos_table(&sample::chaos(), PLAIN));
    }

    #[test]
    fn a_plan() {
        insta::assert_snapshot!(shard_table(&sample::shard(), PLAIN));
    }

    #[test]
    fn the_doctor() {
        insta::assert_snapshot!(doctor_table(&sample::doctor(), TableStyle { colour: false, width: Some(120) }));
    }
}
