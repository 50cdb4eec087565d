//! Writing the file anew from what a run found, with as few changes as do.

use super::{
    Expectations, ExpectationsError, Subject, Subjects,
    entry::{Entry, LIST},
    is_unexpected,
    pattern::{Glob, TargetGlob},
};
use crate::{
    report::{CaseResult, MatrixReport, TargetRow, gist},
    types::Verdict,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// A message is cut after this many characters where it becomes a reason: it has to be read at a glance.
const MOST_OF_A_REASON: usize = 120;

/// The file as it should be, and how it came to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The whole file.
    pub text: String,
    /// Entries that are new.
    pub added: usize,
    /// Entries that are there still, but say something else.
    pub changed: usize,
    /// Entries that are gone.
    pub removed: usize,
}

impl Update {
    /// Replaces the file, which is whole at every moment.
    ///
    /// # Errors
    /// [`ExpectationsError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), ExpectationsError> {
        let unfinished = path.with_added_extension("tmp");
        let replace = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&unfinished, &self.text)?;
            fs::rename(&unfinished, path)
        };
        replace().map_err(|source| ExpectationsError::Write { path: path.to_owned(), source })
    }
}

impl Expectations {
    /// The file by which nothing in the report would be unexpected. An entry that names one case and its targets one by
    /// one is changed, or gone when its case passes; what others say is overruled by new entries at the end. Everything
    /// else, comments and order included, stays as it is.
    pub fn update(&self, report: &MatrixReport) -> Update {
        let mut editor = Editor::new(self);
        let subjects = Subjects::of(report);
        for result in report.by_case().values().flat_map(BTreeMap::values) {
            if let Some((case, target)) = subjects.of_result(result) {
                editor.settle(Subject { case: &case, target }, result);
            }
        }
        editor.finish()
    }
}

/// The entries and their tables, changed together.
struct Editor {
    entries: Expectations,
    document: DocumentMut,
    /// The document's entries, taken out of it while they are changed.
    tables: ArrayOfTables,
    gone: BTreeSet<usize>,
    changed: BTreeSet<usize>,
    /// How many entries the file had.
    before: usize,
}

impl Editor {
    fn new(expectations: &Expectations) -> Self {
        // The text was parsed once, so it parses again.
        let mut document: DocumentMut = expectations.text.parse().unwrap_or_default();
        let tables = match document.remove(LIST) {
            Some(Item::ArrayOfTables(tables)) => tables,
            _ => ArrayOfTables::new(),
        };
        let before = expectations.entries.len();
        Self {
            entries: expectations.clone(),
            document,
            tables,
            gone: BTreeSet::new(),
            changed: BTreeSet::new(),
            before,
        }
    }

    /// Sees to it that the result is expected.
    fn settle(&mut self, subject: Subject<'_>, result: &CaseResult) {
        let is_settled = |entries: &Expectations| {
            let deciding = entries.deciding(subject);
            !is_unexpected(result.verdict, deciding.map(|(_, entry)| &*entry.verdicts))
        };
        if is_settled(&self.entries) {
            return;
        }
        let deciding =
            self.entries.deciding(subject).map(|(number, entry)| (number, entry.names(subject.target.column())));
        if let Some((number, true)) = deciding {
            self.correct(number, subject.target, result.verdict);
        }
        if !is_settled(&self.entries) {
            self.add(subject, result);
        }
    }

    /// Makes an entry of one case say the verdict of this target, or nothing about it.
    fn correct(&mut self, number: usize, target: &TargetRow, verdict: Verdict) {
        let entry = &mut self.entries.entries[number];
        let Some(table) = self.tables.get_mut(number) else { return };
        let about_one = entry.targets.len() == 1;
        if about_one && verdict != Verdict::Pass {
            entry.verdicts = vec![verdict];
            if let Some(old) = table.get_mut("verdict").and_then(Item::as_value_mut) {
                let decor = old.decor().clone();
                *old = verdict.name().into();
                *old.decor_mut() = decor;
            }
            self.changed.insert(number);
        } else if !about_one {
            // Its tolerance may be what the target passes by.
            if entry.rtol.or(entry.atol).is_some() {
                return;
            }
            let keep: Vec<bool> = entry.targets.iter().map(|glob| !glob.is(target.column())).collect();
            let mut kept = keep.iter();
            entry.targets.retain(|_| kept.next().copied().unwrap_or(true));
            let mut kept = keep.iter();
            if let Some(array) = table.get_mut("target").and_then(Item::as_array_mut) {
                array.retain(|_| kept.next().copied().unwrap_or(true));
            }
            self.changed.insert(number);
            // The same target twice; without any, the entry would speak of all.
            if entry.targets.is_empty() {
                entry.verdicts.clear();
                self.gone.insert(number);
            }
        } else {
            entry.verdicts.clear();
            if entry.rtol.or(entry.atol).is_some() {
                table.remove("verdict");
                self.changed.insert(number);
            } else {
                self.gone.insert(number);
            }
        }
    }

    /// Adds the target to an entry that was added for the same case and verdict, or adds one.
    fn add(&mut self, Subject { case, target }: Subject<'_>, result: &CaseResult) {
        let name = format!("{}/{}", case.suite, case.case);
        let column = target.column().to_string();
        let Some(glob) = TargetGlob::parse(&column) else { return };
        let last = self.entries.entries.len().checked_sub(1).filter(|last| *last >= self.before);
        if let Some(last) = last
            && let Some(table) = self.tables.get_mut(last)
            && table.get("case").and_then(Item::as_str) == Some(&name)
            && table.get("verdict").and_then(Item::as_str) == Some(result.verdict.name())
        {
            let mut targets = match table.get("target").and_then(Item::as_value) {
                Some(toml_edit::Value::Array(targets)) => targets.clone(),
                Some(target) => Array::from_iter(target.as_str()),
                None => Array::new(),
            };
            targets.push(column);
            table.insert("target", value(targets));
            self.entries.entries[last].targets.push(glob);
            return;
        }
        let reason = reason(result);
        let mut table = Table::new();
        table.insert("case", value(&name));
        table.insert("target", value(column));
        table.insert("verdict", value(result.verdict.name()));
        table.insert("reason", value(&reason));
        if !self.tables.is_empty() {
            table.decor_mut().set_prefix("\n");
        }
        self.tables.push(table);
        self.entries.entries.push(Entry {
            cases: vec![Glob::new(&name)],
            operators: Vec::new(),
            targets: vec![glob],
            versions: None,
            adapter: None,
            verdicts: vec![result.verdict],
            rtol: None,
            atol: None,
            reason: Some(reason),
            link: None,
        });
    }

    fn finish(mut self) -> Update {
        let mut tables = self.tables;
        let mut orphans = String::new();
        for number in self.gone.iter().rev() {
            let kept = above(&tables.remove(*number)).map(str::to_owned);
            let Some(kept) = kept else { continue };
            match tables.get_mut(*number) {
                Some(next) => {
                    let prefix = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                    let prefix = kept + prefix.trim_start_matches('\n');
                    next.decor_mut().set_prefix(prefix);
                }
                None => orphans = kept + &orphans,
            }
        }
        if !tables.is_empty() {
            self.document.insert(LIST, Item::ArrayOfTables(tables));
        }
        if !orphans.is_empty() {
            let trailing = self.document.trailing().as_str().unwrap_or_default().to_owned();
            self.document.set_trailing(orphans + &trailing);
        }
        Update {
            text: self.document.to_string(),
            added: self.entries.entries.len() - self.before,
            changed: self.changed.difference(&self.gone).count(),
            removed: self.gone.len(),
        }
    }
}

/// What stands above an entry and is not its own comment: everything up to the last empty line.
fn above(table: &Table) -> Option<&str> {
    let prefix = table.decor().prefix()?.as_str()?;
    let end = prefix.rfind("\n\n")? + 2;
    let above = &prefix[..end];
    (!above.trim().is_empty()).then_some(above)
}

fn reason(result: &CaseResult) -> String {
    let reason = result.error.as_ref().map(|error| gist(&error.message, MOST_OF_A_REASON)).unwrap_or_default();
    if reason.is_empty() { format!("{} when this was written", result.verdict) } else { reason }
}
