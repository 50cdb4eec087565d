//! Reports of other runs, taken into the history: each becomes a run of its own.

mod google;
mod junit;
mod tabfleet;

use super::{
    History, HistoryError,
    database::{Access, Database},
    schema,
    tables::{ImportedRow, TargetRow, Utc, append},
};
use crate::{host::Host, types::Target};
use duckdb::{Connection, params};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};
use time::OffsetDateTime;

/// What became of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The report is in the history now.
    New {
        /// As this run.
        run_id: i64,
        /// With so many results.
        results: usize,
    },
    /// The same report was in it already, and nothing was changed.
    AlreadyThere {
        /// As this run.
        run_id: i64,
    },
}

/// What a report says, as rows whose `run_id` is not known yet.
struct Report {
    kind: &'static str,
    /// What the report itself says to tell its run from every other.
    run: Option<String>,
    /// How many of its results stood beside it, of a run that was killed or goes on still.
    noted: usize,
    started: Utc,
    ended: Option<Utc>,
    tabfleet: Option<String>,
    machine: Machine,
    targets: Vec<TargetRow>,
    results: Vec<ImportedRow>,
}

/// What a report says of the machine.
#[derive(Default)]
struct Machine {
    /// Of a report that tells too little else to know a machine by.
    name: Option<String>,
    os: Option<String>,
    arch: Option<String>,
    cpu: Option<String>,
    cores: Option<usize>,
    memory_bytes: Option<u64>,
}

impl From<Host> for Machine {
    fn from(host: Host) -> Self {
        let os = Some(host.system().to_owned());
        Self {
            name: None,
            os,
            arch: Some(host.arch),
            cpu: host.cpu,
            cores: host.cores,
            memory_bytes: host.memory_bytes,
        }
    }
}

/// What is wrong in a report, and where.
struct Wrong {
    place: String,
    what: String,
}

impl Wrong {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl From<serde_json::Error> for Wrong {
    fn from(error: serde_json::Error) -> Self {
        let place = format!("line {}, column {}", error.line(), error.column());
        let what = error.to_string();
        // serde_json says the place at the end of its words, too.
        Self { what: what.split(" at line ").next().unwrap_or(&what).to_owned(), place }
    }
}

impl History {
    /// Takes in a report: the JSON of `matrix` or `bench`, JUnit XML, or JSON as Google Benchmark writes it; which one
    /// it is, is seen from its content. A report that is there already, byte by byte, is not taken in again. Of a run of
    /// `matrix` that was killed, what it noted beside its JSON is a part of it; when it has gone on, its report takes the
    /// place of the one that was taken in before, which may have been rolled up meanwhile: then it is there already.
    ///
    /// # Errors
    /// [`HistoryError::Import`] with the place in the report when it is none of these or is malformed,
    /// [`HistoryError::File`] when it cannot be read, and all of the history's own.
    pub fn import(path: &Path, report: &Path) -> Result<Imported, HistoryError> {
        let bytes = fs::read(report).map_err(|source| HistoryError::File { path: report.to_owned(), source })?;
        let read = read(&bytes, report).map_err(|Wrong { place, what }| HistoryError::Import {
            report: report.to_owned(),
            place,
            what,
        })?;
        let digest = digest(&bytes, read.noted);
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        let added = add(database.connection(), read, &digest, &report.to_string_lossy());
        added.map_err(database.failed("written"))
    }
}

/// Of the report's bytes, and of how much stood beside it: that only grows while they stay the same.
fn digest(bytes: &[u8], noted: usize) -> String {
    let mut digest = Sha256::new_with_prefix(bytes);
    if noted > 0 {
        digest.update(noted.to_string());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(bytes: &[u8], path: &Path) -> Result<Report, Wrong> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Wrong::new(format!("byte {}", error.valid_up_to()), "it is not UTF-8 text"))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('<') {
        return junit::read(text);
    }
    let json: serde_json::Value = serde_json::from_str(text)?;
    let has = |field: &str| json.get(field).is_some_and(serde_json::Value::is_array);
    // From the text again, so that an error has its line.
    if has("benchmarks") {
        google::read(text)
    } else if has("series") && has("targets") {
        tabfleet::bench(text)
    } else if has("results") && has("targets") {
        tabfleet::matrix(text, path)
    } else {
        let known = "it has neither `results` nor `series` with `targets` (of tabfleet), nor `benchmarks` (of Google Benchmark)";
        Err(Wrong::new("the top level", known))
    }
}

fn add(connection: &Connection, report: Report, digest: &str, source: &str) -> duckdb::Result<Imported> {
    let known = "SELECT coalesce(max(run_ids[1]), 0) FROM imports WHERE digest = ?";
    let run_id: i64 = connection.query_row(known, [digest], |row| row.get(0))?;
    if run_id > 0 {
        return Ok(Imported::AlreadyThere { run_id });
    }
    let before = earlier(connection, &report)?;
    if let Some((run_id, Keeps::All)) = before {
        return Ok(Imported::AlreadyThere { run_id });
    }
    let Report { kind, run, noted: _, started, ended, tabfleet, machine, mut targets, mut results } = report;
    let transaction = connection.unchecked_transaction()?;
    let run_id: i64 = match before {
        Some((run_id, Keeps::Less)) => {
            for table in ["performance_results", "targets", "runs"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE run_id = ?"), [run_id])?;
            }
            transaction.execute("DELETE FROM imports WHERE run = ?", [&run])?;
            run_id
        }
        _ => transaction.query_row("SELECT coalesce(max(run_id), 0) + 1 FROM runs", [], |row| row.get(0))?,
    };
    transaction.execute(
        "INSERT INTO runs (run_id, command, tabfleet, started_at, ended_at, rows_recorded, rows_lost, host_name, os, \
         arch, cpu, cores, memory_bytes, origin) VALUES (?, 'import', ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, 'imported')",
        params![
            run_id,
            tabfleet,
            started,
            ended.unwrap_or(started),
            (targets.len() + results.len()) as u64,
            machine.name,
            machine.os,
            machine.arch,
            machine.cpu,
            machine.cores.and_then(|cores| u32::try_from(cores).ok()),
            machine.memory_bytes,
        ],
    )?;
    targets.iter_mut().for_each(|row| row.run_id = run_id);
    results.iter_mut().for_each(|row| row.run_id = run_id);
    append(&transaction, &targets)?;
    append(&transaction, &results)?;
    transaction.execute(
        "INSERT INTO imports (digest, imported_at, kind, source, run_ids, run) \
         VALUES (?, CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), ?, ?, [?], ?)",
        params![digest, kind, source, run_id, run],
    )?;
    transaction.commit()?;
    Ok(Imported::New { run_id, results: results.len() })
}

/// What the history has of an earlier state of a report.
#[derive(Clone, Copy)]
enum Keeps {
    /// Less than the report tells, to be replaced.
    Less,
    /// No less, or what can no longer be replaced.
    All,
}

/// What became of an earlier state of the same report.
fn earlier(connection: &Connection, report: &Report) -> duckdb::Result<Option<(i64, Keeps)>> {
    let sql = "SELECT run_id, attempts_rolled_up > 0 OR \
               (SELECT count(*) FROM performance_results WHERE performance_results.run_id = runs.run_id) >= ? \
               FROM imports JOIN runs ON runs.run_id = run_ids[1] WHERE imports.run = ? LIMIT 1";
    let Some(run) = &report.run else { return Ok(None) };
    let keeps = |all: bool| if all { Keeps::All } else { Keeps::Less };
    let mut statement = connection.prepare(sql)?;
    let known =
        statement.query_map(params![report.results.len() as u64, run], |row| Ok((row.get(0)?, keeps(row.get(1)?))));
    known?.next().transpose()
}

fn moment(at: OffsetDateTime) -> Utc {
    Utc(i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX))
}

/// A description that says nothing but the target's name.
fn bare_target(target_id: u32, target: &str) -> TargetRow {
    let parsed = target.parse::<Target>().ok();
    TargetRow {
        target_id,
        target: target.to_owned(),
        browser: parsed.map(|target| target.browser.name()),
        backend: parsed.map(|target| target.backend.name()),
        available: true,
        ..TargetRow::default()
    }
}
