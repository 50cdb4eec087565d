//! The report as the page's script reads it: every text once, and results as short lists, so that 12,000 of them are
//! loaded at once.

use crate::{
    host::Host,
    onnx::Tolerance,
    report::{
        CaseResult, CaseRow, CiRun, EarlierRuns, MatrixReport, TargetBuild, TargetRow,
        earlier::{self, EarlierRun},
        file::Rfc3339,
        gist::gist,
    },
    types::{Category, Family, Verdict},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// An error message is cut after this many characters; the JSON report has all of it.
const MOST_OF_A_MESSAGE: usize = 1200;

/// And after this many in a list.
const MOST_OF_A_GIST: usize = 200;

#[derive(Serialize)]
pub(super) struct PageData<'a> {
    tabfleet: &'a str,
    started: Rfc3339,
    finished: Rfc3339,
    ci: Option<&'a CiRun>,
    expectations: Option<&'a str>,
    tolerance: Option<Tolerance>,
    host: &'a Host,
    /// The page with the history's run times, where there is one.
    performance: Option<&'static str>,
    verdicts: &'static [Verdict],
    categories: &'static [Category],
    targets: Vec<Column<'a>>,
    suites: Vec<&'a str>,
    operators: Vec<String>,
    types: Vec<String>,
    runs: Vec<Run<'a>>,
    cases: Vec<Case<'a>>,
    texts: Vec<String>,
    /// For each text what lists say of it; null where they say all of it.
    gists: Vec<Option<String>>,
}

/// An earlier run.
#[derive(Serialize)]
struct Run<'a> {
    started: Rfc3339,
    commit: Option<&'a str>,
    url: Option<&'a str>,
    /// The browser's version in each of the page's columns.
    versions: Vec<Option<&'a str>>,
}

/// A target as it was found, or its name alone where nothing was said about it.
#[derive(Serialize)]
#[serde(untagged)]
enum Column<'a> {
    Described(&'a TargetRow),
    Named { target: String, browser: &'static str, backend: &'static str },
}

/// The suite's number, the name, the family, the opset, numbers of the operators and of the types, a result for each
/// target, and what earlier runs found, where it is not the same.
#[derive(Serialize)]
struct Case<'a>(
    usize,
    &'a str,
    Option<Family>,
    Option<i64>,
    Vec<usize>,
    Vec<usize>,
    Vec<Option<Packed>>,
    Option<Vec<Option<String>>>,
);

/// Numbers of the verdict, attempts, CPU fallback, load and run in milliseconds, absolute and relative error, numbers of
/// the category and the message, and what few results have. Nulls at the end are left out.
#[derive(Serialize)]
struct Packed(Vec<Value>);

impl<'a> PageData<'a> {
    pub(super) fn of(report: &'a MatrixReport, earlier: &'a EarlierRuns, performance: Option<&'static str>) -> Self {
        let described = report.columns();
        let columns: Vec<TargetBuild<'_>> = described.keys().copied().collect();
        let about: BTreeMap<_, &CaseRow> = report.cases.iter().map(|row| ((&*row.suite, &*row.case), row)).collect();
        let mut suites: Vec<&str> = Vec::new();
        let (mut texts, mut operators, mut types) = (Texts::default(), Texts::default(), Texts::default());
        let mut cases = Vec::new();
        // Cases come by suite, so a new suite is always the last.
        for ((suite, name), results) in report.by_case() {
            if suites.last() != Some(&suite) {
                suites.push(suite);
            }
            let family = results.values().find_map(|result| result.family);
            let row = about.get(&(suite, name));
            let numbers = |of: &[String], texts: &mut Texts| of.iter().map(|text| texts.number_of(text)).collect();
            let uses = row.map(|row| numbers(&row.operators, &mut operators)).unwrap_or_default();
            let of_types = row.map(|row| numbers(&row.types, &mut types)).unwrap_or_default();
            let now = |column: TargetBuild<'_>| {
                let works = described.get(&column).copied().flatten().is_none_or(|row| row.available);
                earlier::code(results.get(&column).copied(), works)
            };
            let found = earlier.of_case((suite, name), &columns, now);
            let found = found.iter().any(Option::is_some).then_some(found);
            let packed = columns.iter().map(|column| results.get(column).map(|result| pack(result, &mut texts)));
            let opset = row.and_then(|row| row.opset);
            cases.push(Case(suites.len() - 1, name, family, opset, uses, of_types, packed.collect(), found));
        }
        Self {
            tabfleet: &report.tabfleet,
            started: Rfc3339(Some(report.started)),
            finished: Rfc3339(report.finished),
            ci: report.ci.as_ref(),
            expectations: report.expectations.as_deref(),
            tolerance: report.tolerance,
            host: &report.host,
            performance,
            verdicts: Verdict::ALL,
            categories: Category::ALL,
            runs: earlier.runs().iter().map(|run| run_row(run, &columns)).collect(),
            targets: described.into_iter().map(column).collect(),
            suites,
            operators: operators.texts,
            types: types.texts,
            cases,
            gists: texts.gists(),
            texts: texts.texts,
        }
    }
}

fn run_row<'a>(run: &'a EarlierRun, columns: &[TargetBuild<'_>]) -> Run<'a> {
    let ci = run.ci.as_ref();
    Run {
        started: Rfc3339(Some(run.started)),
        commit: ci.and_then(|ci| ci.commit.as_deref()),
        url: ci.and_then(|ci| ci.url.as_deref()),
        versions: columns.iter().map(|column| run.version(*column)).collect(),
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

fn pack(result: &CaseResult, texts: &mut Texts) -> Packed {
    let error = result.error.as_ref();
    let mut fields = vec![
        json!(number(result.verdict)),
        json!(result.attempts),
        json!(result.cpu_fallback.map(u8::from)),
        rounded(result.load_ms),
        rounded(result.run_ms),
        rounded(result.max_abs_error),
        rounded(result.max_rel_error),
        json!(error.and_then(|error| Category::ALL.iter().position(|category| *category == error.category))),
        json!(error.map(|error| texts.number_of(&error.message))),
        more(result, texts),
    ];
    while fields.last().is_some_and(Value::is_null) {
        fields.pop();
    }
    Packed(fields)
}

/// What few results have, by name; null for all others.
fn more(result: &CaseResult, texts: &mut Texts) -> Value {
    let mut more = Map::new();
    if result.flaky {
        more.insert("flaky".into(), true.into());
    }
    if result.unexpected == Some(true) {
        more.insert("unexpected".into(), true.into());
    }
    if let Some(expected) = &result.expected {
        more.insert("expected".into(), json!(expected.verdicts));
        more.insert("reason".into(), json!(expected.reason));
        more.insert("link".into(), json!(expected.link));
    }
    if !result.failed_attempts.is_empty() {
        let attempts = result.failed_attempts.iter().map(|attempt| {
            json!([number(attempt.verdict), texts.number_of(&attempt.message), rounded(Some(attempt.elapsed_ms))])
        });
        more.insert("failed".into(), attempts.collect());
    }
    if !result.repeats.is_empty() {
        let repeats = result.repeats.iter().map(|(verdict, times)| json!([number(*verdict), times]));
        more.insert("repeats".into(), repeats.collect());
    }
    if let Some(tolerance) = result.tolerance {
        more.insert("tolerance".into(), json!(tolerance));
    }
    if more.is_empty() { Value::Null } else { more.into() }
}

fn number(verdict: Verdict) -> Option<usize> {
    Verdict::ALL.iter().position(|each| *each == verdict)
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

/// Each different text once.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Texts {
    fn gists(&self) -> Vec<Option<String>> {
        self.texts.iter().map(|text| Some(gist(text, MOST_OF_A_GIST)).filter(|gist| gist != text)).collect()
    }

    fn number_of(&mut self, text: &str) -> usize {
        let mut short: String = text.chars().take(MOST_OF_A_MESSAGE).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        *self.numbers.entry(short).or_insert_with_key(|short| {
            self.texts.push(short.clone());
            self.texts.len() - 1
        })
    }
}
