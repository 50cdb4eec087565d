//! Recording while somebody else has the file: runs are kept beside it, and merged into it later.
//!
//! `FILE.spool/` has, for each such run, `RUN-….duckdb` while it is being recorded, which a kill harms as little as any
//! history, and then `RUN-….parquet`, a folder with a Parquet file of each table, which comes there whole by a rename.

use super::{
    History, HistoryError, SeriesFilter,
    database::{Access, Database},
    export::{ExportFormat, export, quoted},
    schema,
};
use duckdb::{Connection, params};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// What a run consists of, besides `runs`.
const TABLES: [&str; 6] =
    ["targets", "performance_results", "browser_events", "breaker_events", "recoveries", "health_checks"];

/// What was merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The merged runs, by their numbers in the history.
    pub runs: Vec<i64>,
    /// Spooled runs that were in the history already: a merge had been killed.
    pub already: usize,
    /// Spooled runs that are still being recorded, and were left for the next time.
    pub still_recording: usize,
}

/// Where the runs spooled for a history lie.
pub(super) fn folder(history: &Path) -> PathBuf {
    let mut name = history.as_os_str().to_owned();
    name.push(".spool");
    name.into()
}

/// A path for a run to be recorded at.
pub(super) fn new_run(history: &Path) -> Result<PathBuf, HistoryError> {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let folder = folder(history);
    fs::create_dir_all(&folder).map_err(|source| HistoryError::File { path: folder.clone(), source })?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    // Sorted by name, runs are in the order of time.
    Ok(folder.join(format!("RUN-{:020}-{}-{number}.duckdb", since.as_micros(), process::id())))
}

/// Makes a recorded run ready to be merged.
pub(super) fn seal(recorded: &Path) -> Result<(), HistoryError> {
    let (unfinished, sealed) = (recorded.with_extension("tmp"), recorded.with_extension("parquet"));
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| HistoryError::File { path, source }
    };
    // Who has it open is still recording it, or just sealing it.
    let database = Database::open(recorded, Access::Write)?;
    if !sealed.exists() {
        schema::migrate(&database)?;
        remove(&unfinished).map_err(file(&unfinished))?;
        export(&database, &unfinished, ExportFormat::Parquet, &SeriesFilter::default())?;
        fs::rename(&unfinished, &sealed).map_err(file(&sealed))?;
    }
    drop(database);
    fs::remove_file(recorded).map_err(file(recorded))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl History {
    /// Takes every run that was spooled beside the file into it, and removes what was taken in. Runs get the next free
    /// numbers. Whatever it is killed at, merging again completes it, and nothing comes in twice.
    ///
    /// # Errors
    /// Every [`HistoryError`] but those of the writer thread; what was merged until then stays merged.
    pub fn merge(path: &Path) -> Result<Merged, HistoryError> {
        let mut merged = Merged::default();
        for recorded in spooled(path, "duckdb")? {
            match seal(&recorded) {
                Ok(()) => {}
                Err(HistoryError::InUse { .. }) => merged.still_recording += 1,
                Err(error) => return Err(error),
            }
        }
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        for run in spooled(path, "parquet")? {
            merge_run(&database, &run, &mut merged)?;
            remove(&run).map_err(|source| HistoryError::File { path: run, source })?;
        }
        // Fails where something is left in it, as it should.
        let _ = fs::remove_dir(folder(path));
        Ok(merged)
    }
}

/// What lies in the spool with that extension, the oldest first.
fn spooled(history: &Path, extension: &str) -> Result<Vec<PathBuf>, HistoryError> {
    let folder = folder(history);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()),
    };
    let mut entries = entries.map_err(|source| HistoryError::File { path: folder, source })?;
    entries.retain(|path| path.extension().is_some_and(|found| found == extension));
    entries.sort();
    Ok(entries)
}

fn merge_run(database: &Database, run: &Path, merged: &mut Merged) -> Result<(), HistoryError> {
    let name = run.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let connection = database.connection();
    let known = "SELECT count(*) > 0 FROM imports WHERE digest = ?";
    if connection.query_row(known, params![name], |row| row.get(0)).map_err(database.failed("read"))? {
        merged.already += 1;
        return Ok(());
    }
    let table = |table: &str| {
        Ok::<_, HistoryError>(format!("read_parquet({})", quoted(&run.join(format!("{table}.parquet")))?))
    };
    let version = format!("SELECT max(version) FROM {}", table("schema_version")?);
    let version: u32 = connection.query_row(&version, [], |row| row.get(0)).map_err(database.failed("merged"))?;
    if version > schema::VERSION {
        return Err(HistoryError::Newer { path: run.to_owned(), version, known: schema::VERSION });
    }
    let runs = table("runs")?;
    let tables = TABLES.iter().map(|name| Ok((name, table(name)?))).collect::<Result<Vec<_>, HistoryError>>()?;
    let insert = || {
        let transaction = connection.unchecked_transaction()?;
        let before: i64 = connection.query_row("SELECT coalesce(max(run_id), 0) FROM runs", [], |row| row.get(0))?;
        transaction.execute_batch(&format!(
            "INSERT INTO runs BY NAME SELECT * REPLACE (run_id + {before} AS run_id, 'merged' AS origin) FROM {runs}"
        ))?;
        for (name, from) in &tables {
            transaction.execute_batch(&format!(
                "INSERT INTO {name} BY NAME SELECT * REPLACE (run_id + {before} AS run_id) FROM {from}"
            ))?;
        }
        let numbers = numbers_after(&transaction, before)?;
        transaction.execute(
            "INSERT INTO imports (digest, imported_at, kind, source, run_ids) SELECT ?, CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), 'spool', ?, \
             (SELECT list(run_id ORDER BY run_id) FROM runs WHERE run_id > ?)",
            params![name, run.to_string_lossy(), before],
        )?;
        transaction.commit()?;
        Ok(numbers)
    };
    merged.runs.extend(insert().map_err(database.failed(format!("merged with {}", run.display())))?);
    Ok(())
}

fn numbers_after(connection: &Connection, before: i64) -> duckdb::Result<Vec<i64>> {
    let mut statement = connection.prepare("SELECT run_id FROM runs WHERE run_id > ? ORDER BY run_id")?;
    statement.query_map([before], |row| row.get(0))?.collect()
}
