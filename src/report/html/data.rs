//! The report as the page's script reads it: every text once, and results as short lists, so that 12,000 of them are
//! loaded at once.

use crate::types::{Category, Family, Verdict};
use crate::{
    host::Host,
    report::{CaseResult, MatrixReport, TargetBuild, TargetRow, file::Rfc3339},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// An error message is cut after this many characters; the JSON report has all of it.
const MOST_OF_A_MESSAGE: usize = 1200;

#[derive(Serialize)]
pub(super) struct PageData<'a> {
    tabfleet: &'a str,
    started: Rfc3339,
    finished: Rfc3339,
    host: &'a Host,
    verdicts: &'static [Verdict],
    categories: &'static [Category],
    targets: Vec<Column<'a>>,
    suites: Vec<&'a str>,
    cases: Vec<Case<'a>>,
    messages: Vec<String>,
}

/// A target as it was found, or its name alone where nothing was said about it.
#[derive(Serialize)]
#[serde(untagged)]
enum Column<'a> {
    Described(&'a TargetRow),
    Named { target: String, browser: &'static str, backend: &'static str },
}

/// The suite's number, the name, the family, and a result for each target.
#[derive(Serialize)]
struct Case<'a>(usize, &'a str, Option<Family>, Vec<Option<Packed>>);

/// Numbers of the verdict, attempts, CPU fallback, load and run in milliseconds, absolute and relative error, numbers of
/// the category and the message. Nulls at the end are left out.
#[derive(Serialize)]
struct Packed(Vec<Value>);

impl<'a> PageData<'a> {
    pub(super) fn of(report: &'a MatrixReport) -> Self {
        let columns = report.columns();
        let mut suites: Vec<&str> = Vec::new();
        let mut messages = Messages::default();
        let mut cases = Vec::new();
        // Cases come by suite, so a new suite is always the last.
        for ((suite, name), results) in report.by_case() {
            if suites.last() != Some(&suite) {
                suites.push(suite);
            }
            let family = results.values().find_map(|result| result.family);
            let packed = columns.keys().map(|target| results.get(target).map(|result| pack(result, &mut messages)));
            cases.push(Case(suites.len() - 1, name, family, packed.collect()));
        }
        Self {
            tabfleet: &report.tabfleet,
            started: Rfc3339(Some(report.started)),
            finished: Rfc3339(report.finished),
            host: &report.host,
            verdicts: Verdict::ALL,
            categories: Category::ALL,
            targets: columns.into_iter().map(column).collect(),
            suites,
            cases,
            messages: messages.texts,
        }
    }
}

fn column<'a>((column, row): (TargetBuild<'_>, Option<&'a TargetRow>)) -> Column<'a> {
    match row {
        Some(row) => Column::Described(row),
        None => Column::Named {
            target: column.to_string(),
            browser: column.target.browser.name(),
            backend: column.target.backend.name(),
        },
    }
}

fn pack(result: &CaseResult, messages: &mut Messages) -> Packed {
    let error = result.error.as_ref();
    let mut fields = vec![
        json!(Verdict::ALL.iter().position(|verdict| *verdict == result.verdict)),
        json!(result.attempts),
        json!(result.cpu_fallback.map(u8::from)),
        rounded(result.load_ms),
        rounded(result.run_ms),
        rounded(result.max_abs_error),
        rounded(result.max_rel_error),
        json!(error.and_then(|error| Category::ALL.iter().position(|category| *category == error.category))),
        json!(error.map(|error| messages.number_of(&error.message))),
    ];
    while fields.last().is_some_and(Value::is_null) {
        fields.pop();
    }
    Packed(fields)
}

/// To four digits, which is more than the page shows.
fn rounded(value: Option<f64>) -> Value {
    let rounded = value.and_then(|value| format!("{value:.3e}").parse::<f64>().ok());
    match rounded.filter(|value| value.is_finite()) {
        // Without `.0` at the end.
        Some(value) if value.fract() == 0.0 && value.abs() < 1e9 => json!(value as i64),
        other => json!(other),
    }
}

/// Each different message once.
#[derive(Default)]
struct Messages {
    texts: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Messages {
    fn number_of(&mut self, message: &str) -> usize {
        let mut text: String = message.chars().take(MOST_OF_A_MESSAGE).collect();
        if text.len() < message.len() {
            text.push('…');
        }
        *self.numbers.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            self.texts.len() - 1
        })
    }
}
