//! Reading a history file.

use super::{
    HistoryError, RunInfo,
    database::{Access, Database},
    schema,
    tables::Utc,
};
use duckdb::{Connection, Row};
use std::{path::Path, time::SystemTime};

/// A history file, open to be read. Several may be open at once, but none while a [`Recorder`](super::Recorder) writes.
#[derive(Debug)]
pub struct History {
    pub(super) database: Database,
}

/// A run as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRun {
    /// Its number in this file, counted from 1.
    pub run_id: i64,
    /// What it was.
    pub info: RunInfo,
    /// When it ended; `None` for one that was killed, or is still running.
    pub ended: Option<SystemTime>,
    /// Rows that could not be recorded; `None` where `ended` is.
    pub rows_lost: Option<u64>,
    /// Attempts recorded.
    pub attempts: u64,
    /// How many of them failed.
    pub failures: u64,
}

impl History {
    /// Opens the file; one that an older tabfleet wrote is brought to this version's schema first.
    ///
    /// # Errors
    /// Every [`HistoryError`] but those of the writer thread.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let database = Database::open(path, Access::Read)?;
        if schema::version(&database)? == schema::VERSION {
            return Ok(Self { database });
        }
        drop(database);
        schema::migrate(&Database::open(path, Access::Write)?)?;
        Ok(Self { database: Database::open(path, Access::Read)? })
    }

    /// Every run, the oldest first.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn runs(&self) -> Result<Vec<RecordedRun>, HistoryError> {
        let sql = "SELECT run_id, command, coalesce(tabfleet, '') AS tabfleet, build, epoch_us(started_at) AS started, \
             epoch_us(ended_at) AS ended, rows_lost, git_commit, git_branch, coalesce(os, '') AS os, \
             coalesce(arch, '') AS arch, cpu, coalesce(cores, 0) AS cores, memory_bytes, \
             CAST(coalesce(tried, 0) + attempts_rolled_up AS UBIGINT) AS attempts, \
             CAST(coalesce(failed, 0) + failures_rolled_up AS UBIGINT) AS failures \
             FROM runs LEFT JOIN ( \
                 SELECT run_id, count(*) AS tried, count(*) FILTER (NOT success) AS failed \
                 FROM performance_results GROUP BY run_id \
             ) USING (run_id) ORDER BY run_id";
        self.database.rows(sql, [], run)
    }

    /// For queries of this module's.
    pub(super) fn connection(&self) -> &Connection {
        self.database.connection()
    }
}

fn run(row: &Row<'_>) -> duckdb::Result<RecordedRun> {
    let moment = |micros: i64| SystemTime::from(Utc(micros));
    Ok(RecordedRun {
        run_id: row.get("run_id")?,
        info: RunInfo {
            command: row.get("command")?,
            tabfleet: row.get("tabfleet")?,
            build: row.get("build")?,
            started: moment(row.get("started")?),
            git_commit: row.get("git_commit")?,
            git_branch: row.get("git_branch")?,
            os: row.get("os")?,
            arch: row.get("arch")?,
            cpu: row.get("cpu")?,
            cores: row.get("cores")?,
            memory_bytes: row.get("memory_bytes")?,
        },
        ended: row.get::<_, Option<i64>>("ended")?.map(moment),
        rows_lost: row.get("rows_lost")?,
        attempts: row.get("attempts")?,
        failures: row.get("failures")?,
    })
}
