//! One entry: what it speaks of, and what it expects.

use super::{
    BadEntry, EntryError, ExpectationsError, Subject,
    pattern::{Glob, TargetGlob, Versions, Within},
};
use crate::{
    report::{TargetBuild, TargetRow},
    types::Verdict,
};
use std::{ops::Range, path::Path};
use toml_edit::{Document, Item, Table, Value};

/// The keys that an entry may have.
pub(super) const KEYS: &[&str] =
    &["case", "operator", "target", "browser-version", "adapter", "verdict", "rtol", "atol", "reason", "link"];

/// The name of the list of entries.
pub(super) const LIST: &str = "expect";

/// An entry. What it does not name, it speaks of whatever it is.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub cases: Vec<Glob>,
    pub operators: Vec<Glob>,
    pub targets: Vec<TargetGlob>,
    pub versions: Option<Versions>,
    pub adapter: Option<Within>,
    /// Any of them will do. Empty in an entry that is about tolerances only.
    pub verdicts: Vec<Verdict>,
    pub rtol: Option<f64>,
    pub atol: Option<f64>,
    pub reason: Option<String>,
    pub link: Option<String>,
}

impl Entry {
    pub fn speaks_of(&self, Subject { case, target }: Subject<'_>) -> bool {
        let any = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        // The cheapest first: there are as many entries as known failures, and each is asked about every result.
        (self.targets.is_empty() || self.targets.iter().any(|glob| glob.matches(target.column())))
            && (self.cases.is_empty() || any(&self.cases, &format!("{}/{}", case.suite, case.case)))
            && (self.operators.is_empty() || case.operators.iter().any(|operator| any(&self.operators, operator)))
            && self.versions.as_ref().is_none_or(|it| target.version.as_ref().is_some_and(|v| it.contains(v)))
            && self.adapter.as_ref().is_none_or(|it| adapter(target).is_some_and(|described| it.is_in(&described)))
    }

    /// Whether it names one case, and this column by name, so that it can be changed for it alone.
    pub fn names(&self, column: TargetBuild<'_>) -> bool {
        matches!(&*self.cases, [case] if case.is_exact())
            && self.operators.is_empty()
            && self.targets.iter().any(|glob| glob.is(column))
    }
}

fn adapter(target: &TargetRow) -> Option<String> {
    let adapter = target.adapter.as_ref()?;
    Some([&*adapter.vendor, &adapter.architecture, &adapter.device, &adapter.description].join(" "))
}

/// Reads every entry; when some cannot be understood, they are all told.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, ExpectationsError> {
    let document = Document::parse(text).map_err(|error| {
        let (line, column) = place(text, error.span());
        ExpectationsError::Syntax { path: path.to_owned(), line, column, message: error.message().to_owned() }
    })?;
    let mut reader = Reader { text, bad: Vec::new() };
    let mut entries = Vec::new();
    for (key, item) in document.as_table() {
        match item {
            Item::ArrayOfTables(tables) if key == LIST => entries = tables.iter().map(|t| reader.entry(t)).collect(),
            _ => reader.bad(item.span(), EntryError::NotAnEntry(key.to_owned())),
        }
    }
    if reader.bad.is_empty() {
        Ok(entries)
    } else {
        reader.bad.sort_by_key(|bad| (bad.line, bad.column));
        Err(ExpectationsError::Entries { path: path.to_owned(), entries: reader.bad })
    }
}

/// Reads entries, and notes what it does not understand.
struct Reader<'a> {
    text: &'a str,
    bad: Vec<BadEntry>,
}

impl Reader<'_> {
    fn entry(&mut self, table: &Table) -> Entry {
        for (key, item) in table {
            if !KEYS.contains(&key) {
                self.bad(item.span(), EntryError::UnknownKey(key.to_owned()));
            }
        }
        let targets = self.texts(table, "target");
        let targets = self.each(targets, TargetGlob::parse, EntryError::Target);
        let verdicts = self.texts(table, "verdict");
        let verdicts = self.each(verdicts, verdict, EntryError::Verdict);
        let versions = self.text(table, "browser-version");
        let versions = self.each(versions.into_iter().collect(), Versions::parse, EntryError::Versions).pop();
        let entry = Entry {
            cases: self.globs(table, "case"),
            operators: self.globs(table, "operator"),
            targets,
            versions,
            adapter: self.text(table, "adapter").map(|(text, _)| Within::new(&text)),
            verdicts,
            rtol: self.tolerance(table, "rtol"),
            atol: self.tolerance(table, "atol"),
            reason: self.text(table, "reason").map(|(text, _)| text).filter(|text| !text.trim().is_empty()),
            link: self.text(table, "link").map(|(text, _)| text),
        };
        if !["verdict", "rtol", "atol"].iter().any(|key| table.contains_key(key)) {
            self.bad(table.span(), EntryError::NothingExpected);
        }
        if entry.reason.is_none() {
            self.bad(table.span(), EntryError::NoReason);
        }
        entry
    }

    fn globs(&mut self, table: &Table, key: &str) -> Vec<Glob> {
        self.texts(table, key).into_iter().map(|(text, _)| Glob::new(&text)).collect()
    }

    /// A text, or a list of them, each with where it is.
    fn texts(&mut self, table: &Table, key: &str) -> Vec<Spanned> {
        const EXPECTED: &str = "a text, or a list of texts that is not empty";
        let Some(item) = table.get(key) else { return Vec::new() };
        let values: Vec<&Value> = match item.as_value() {
            Some(Value::Array(array)) if !array.is_empty() => array.iter().collect(),
            Some(value) => vec![value],
            None => Vec::new(),
        };
        let texts: Option<Vec<Spanned>> = values.iter().map(|v| Some((v.as_str()?.to_owned(), v.span()))).collect();
        let texts = texts.filter(|texts| !texts.is_empty());
        if texts.is_none() {
            self.bad(item.span(), EntryError::Kind { key: key.to_owned(), expected: EXPECTED });
        }
        texts.unwrap_or_default()
    }

    fn text(&mut self, table: &Table, key: &str) -> Option<Spanned> {
        let item = table.get(key)?;
        let text = item.as_str().map(|text| (text.to_owned(), item.span()));
        if text.is_none() {
            self.bad(item.span(), EntryError::Kind { key: key.to_owned(), expected: "a text" });
        }
        text
    }

    fn tolerance(&mut self, table: &Table, key: &str) -> Option<f64> {
        let item = table.get(key)?;
        let number = item.as_float().or_else(|| item.as_integer().map(|number| number as f64));
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            self.bad(item.span(), EntryError::Tolerance { key: key.to_owned() });
        }
        number
    }

    fn each<T>(
        &mut self,
        texts: Vec<Spanned>,
        parse: impl Fn(&str) -> Option<T>,
        wrong: impl Fn(String) -> EntryError,
    ) -> Vec<T> {
        let mut parsed = Vec::new();
        for (text, span) in texts {
            match parse(&text) {
                Some(value) => parsed.push(value),
                None => self.bad(span, wrong(text)),
            }
        }
        parsed
    }

    fn bad(&mut self, span: Option<Range<usize>>, error: EntryError) {
        let (line, column) = place(self.text, span);
        self.bad.push(BadEntry { line, column, error });
    }
}

/// A text, and where in the file it is.
type Spanned = (String, Option<Range<usize>>);

/// A verdict that a case can be expected to have: those of what was not tried are none.
fn verdict(text: &str) -> Option<Verdict> {
    text.parse().ok().filter(|verdict: &Verdict| verdict.is_tried())
}

/// Line and column of where a span begins, counted from 1.
fn place(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
