//! Writing the history: events go into a bounded channel, and one thread writes them in batches.

use super::{
    HistoryError, RunInfo, Series, SeriesFilter, answers,
    database::{Access, Database},
    rows::{Rows, is_recorded},
    schema, series, spool,
    tables::Utc,
};
use crate::{
    report::Findings,
    types::{Event, names},
};
use duckdb::{Connection, params};
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

/// How long a row waits at most before it is written: with the writing itself, a crash on an idle machine loses less
/// than a second.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// How often the writer looks for events meanwhile. Were it to wait for each, each caller would have to wake it, which
/// was measured to take 13 us on a busy machine.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// A batch is also written when it has this many rows, which bounds its memory, and what a full disk may refuse, to
/// some MiB.
const BATCH_ROWS: usize = 16_384;
/// Events that may wait while a batch is being written, or DuckDB compresses what it has: more than a second's worth of
/// 100,000 attempts a second. Only pointers to them wait here, 2 MiB in all.
const WAITING_EVENTS: usize = 131_072;

/// Writes a run into a history file, off the hot path.
#[derive(Debug)]
pub struct Recorder {
    run_id: i64,
    /// `None` only while it is being closed.
    work: Option<SyncSender<Work>>,
    writer: Option<JoinHandle<Result<Recorded, HistoryError>>>,
    lost: Arc<AtomicU64>,
    /// The file it writes instead, while somebody else has the history.
    spooled: Option<PathBuf>,
}

/// What the writer thread is told.
enum Work {
    Record(Arc<Event>),
    Use(Use),
}

/// What somebody else wants of the file while it is being written, when only the writer can have it. Gives it back as
/// long as it is of use: DuckDB refuses everything after a failed write.
type Use = Box<dyn FnOnce(Result<Database, HistoryError>) -> Option<Database> + Send>;

/// What is done with a run when another process has the file open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryMode {
    /// It is an error.
    #[default]
    Direct,
    /// The run is kept beside the file, for [`History::merge`](super::History::merge) to take in later.
    Spool,
}
names!(HistoryMode { Direct = "direct", Spool = "spool" });

/// What a recorder has written.
#[derive(Debug)]
pub struct Recorded {
    /// Rows in the file from this run.
    pub rows: u64,
    /// Rows that did not get there: events came faster than the disk took them, or it refused them.
    pub lost: u64,
    /// The first thing that kept rows from being written, where it was the disk's refusal.
    pub failure: Option<HistoryError>,
}

impl Recorder {
    /// Opens the file, making it or bringing it to this version's schema where needed, and adds the run to it.
    ///
    /// # Errors
    /// Every [`HistoryError`] but [`Missing`](HistoryError::Missing).
    pub fn open(path: &Path, run: RunInfo) -> Result<Self, HistoryError> {
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        let run_id = add_run(&database, &run).map_err(database.failed("written"))?;
        let (sender, receiver) = sync_channel(WAITING_EVENTS);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            path: path.to_owned(),
            database: Some(database),
            rows: Rows::new(run_id, run.build),
            written: 0,
            failure: None,
            lost: Arc::clone(&lost),
        };
        let thread = thread::Builder::new().name("history".to_owned()).spawn(move || writer.run(&receiver));
        let writer = Some(thread.map_err(HistoryError::Thread)?);
        Ok(Self { run_id, work: Some(sender), writer, lost, spooled: None })
    }

    /// The same, but where another process has the file open the run is kept beside it, for [`History::merge`] to take
    /// in later.
    ///
    /// # Errors
    /// Every [`HistoryError`] but [`Missing`](HistoryError::Missing) and [`InUse`](HistoryError::InUse).
    ///
    /// [`History::merge`]: super::History::merge
    pub fn open_or_spool(path: &Path, run: RunInfo) -> Result<Self, HistoryError> {
        match Self::open(path, run.clone()) {
            Err(HistoryError::InUse { holder, .. }) => {
                tracing::info!(%holder, "the history is in use: this run is kept beside it, to be merged");
                let path = spool::new_run(path)?;
                let mut recorder = Self::open(&path, run)?;
                recorder.spooled = Some(path);
                Ok(recorder)
            }
            other => other,
        }
    }

    /// The run's number in the history; `None` while it is kept beside it, for
    /// [`History::merge`](super::History::merge) to take in later.
    pub fn run_id(&self) -> Option<i64> {
        self.spooled.is_none().then_some(self.run_id)
    }

    /// Hands the event to the writer, if it is one that is recorded. Never waits: an event for which there is no room
    /// is lost, counted, and told of in the log and in [`Recorded::lost`].
    pub fn record(&self, event: impl Into<Arc<Event>>) {
        let event = event.into();
        let Some(work) = self.work.as_ref().filter(|_| is_recorded(&event.kind)) else { return };
        match work.try_send(Work::Record(event)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!("the history's disk is too slow: results are missing from it (not from this run)");
                }
            }
        }
    }

    /// Has `reply` told, on the writer's thread, what the file holds of these series, this run so far included. Never
    /// waits; when the writer is too far behind, `reply` is dropped untold.
    pub fn ask(&self, filter: SeriesFilter, reply: impl FnOnce(Result<Vec<Series>, HistoryError>) + Send + 'static) {
        self.use_file(move |database| series::read(database, &filter), reply);
    }

    /// Has what was found kept in the file, as [`History::keep`](super::History::keep) does, and `reply` told how many
    /// rows that added. Never waits; when the writer is too far behind, `reply` is dropped untold.
    pub fn keep(&self, findings: Arc<Findings>, reply: impl FnOnce(Result<u64, HistoryError>) + Send + 'static) {
        self.use_file(move |database| answers::keep(database, &findings, None), reply);
    }

    fn use_file<T>(
        &self,
        wanted: impl FnOnce(&Database) -> Result<T, HistoryError> + Send + 'static,
        reply: impl FnOnce(Result<T, HistoryError>) + Send + 'static,
    ) {
        let wanted = move |file: Result<Database, HistoryError>| {
            let (answer, file) = file
                .and_then(|file| Ok((wanted(&file)?, file)))
                .map_or_else(|error| (Err(error), None), |(answer, file)| (Ok(answer), Some(file)));
            reply(answer);
            file
        };
        if let Some(work) = &self.work {
            // Dropping the reply is what tells that there was no room for it.
            let _ = work.try_send(Work::Use(Box::new(wanted)));
        }
    }

    /// Writes what is left, marks the run as ended and closes the file.
    ///
    /// # Errors
    /// What kept the last rows, or the run's end, from being written.
    pub fn close(mut self) -> Result<Recorded, HistoryError> {
        self.finish().unwrap_or(Err(HistoryError::WriterPanicked))
    }

    fn finish(&mut self) -> Option<Result<Recorded, HistoryError>> {
        // Without a sender the writer's receiver ends.
        self.work = None;
        let ended = self.writer.take()?.join();
        let ended = ended.unwrap_or(Err(HistoryError::WriterPanicked));
        let sealed = self.spooled.as_deref().map_or(Ok(()), spool::seal);
        Some(ended.and_then(|recorded| sealed.map(|()| recorded)))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.finish() {
            tracing::error!(error = &error as &dyn Error, "the history could not be closed");
        }
    }
}

fn add_run(database: &Database, run: &RunInfo) -> duckdb::Result<i64> {
    let connection = database.connection();
    // Nobody else writes, so the next number is still free when it is taken.
    let run_id: i64 = connection.query_row("SELECT coalesce(max(run_id), 0) + 1 FROM runs", [], |row| row.get(0))?;
    connection.execute(
        "INSERT INTO runs (run_id, command, tabfleet, build, started_at, git_commit, git_branch, os, arch, cpu, cores, \
         memory_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            run_id,
            run.command,
            run.tabfleet,
            run.build,
            Utc::from(run.started),
            run.git_commit,
            run.git_branch,
            run.os,
            run.arch,
            run.cpu,
            run.cores,
            run.memory_bytes,
        ],
    )?;
    Ok(run_id)
}

/// The writer thread.
struct Writer {
    path: PathBuf,
    /// `None` after a failed write, until the file could be opened again.
    database: Option<Database>,
    rows: Rows,
    written: u64,
    failure: Option<HistoryError>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self, work: &Receiver<Work>) -> Result<Recorded, HistoryError> {
        while let Ok(first) = work.recv() {
            let wanted = self.gather(first, work);
            // A failed batch is told of once; the next one tries again, since a full disk may be emptied.
            let healthy = self.database.is_some();
            match self.flush() {
                Ok(()) if !healthy => tracing::warn!("the history is being written again; results are missing from it"),
                Err(error) if healthy => {
                    tracing::error!(error = &error as &dyn Error, "results are missing from the history");
                    self.failure.get_or_insert(error);
                }
                _ => {}
            }
            if let Some(wanted) = wanted {
                self.database = wanted(self.file());
            }
        }
        self.end()
    }

    /// Takes events until the batch is full, its time is up, no more will come, or the file is wanted: it is given when
    /// what came before is written.
    fn gather(&mut self, first: Work, work: &Receiver<Work>) -> Option<Use> {
        let due = Instant::now() + FLUSH_INTERVAL;
        let mut next = first;
        loop {
            match next {
                Work::Record(event) => self.rows.add(Arc::unwrap_or_clone(event)),
                Work::Use(wanted) => return Some(wanted),
            }
            if self.rows.len() >= BATCH_ROWS {
                return None;
            }
            next = loop {
                match work.try_recv() {
                    Ok(more) => break more,
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => {}
                }
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::sleep(left.min(LOOK_INTERVAL));
            };
        }
    }

    /// The file, opened again where a failed write had closed it.
    fn file(&mut self) -> Result<Database, HistoryError> {
        self.database.take().map_or_else(|| Database::open(&self.path, Access::Write), Ok)
    }

    /// Writes the rows, all or none.
    fn flush(&mut self) -> Result<(), HistoryError> {
        let written = self.with_database(|rows, connection| {
            let transaction = connection.unchecked_transaction()?;
            rows.append(&transaction)?;
            transaction.commit()
        });
        match written {
            Ok(()) => self.written += self.rows.written(),
            Err(_) => {
                self.lost.fetch_add(self.rows.given_up(), Ordering::Relaxed);
            }
        }
        written
    }

    /// Works on the open file; a failure closes it, because DuckDB refuses everything after a failed write.
    fn with_database(
        &mut self,
        work: impl FnOnce(&Rows, &Connection) -> duckdb::Result<()>,
    ) -> Result<(), HistoryError> {
        let database = self.file()?;
        work(&self.rows, database.connection()).map_err(database.failed("written"))?;
        self.database = Some(database);
        Ok(())
    }

    fn end(mut self) -> Result<Recorded, HistoryError> {
        let (written, lost) = (self.written, self.lost.load(Ordering::Relaxed));
        self.with_database(|rows, connection| {
            let ended = Utc::from(SystemTime::now());
            connection
                .execute(
                    "UPDATE runs SET ended_at = ?, rows_recorded = ?, rows_lost = ? WHERE run_id = ?",
                    params![ended, written, lost, rows.run_id()],
                )
                .map(drop)
        })?;
        if lost > 0 {
            tracing::warn!(rows = written, lost, "the history of this run is not complete");
        }
        Ok(Recorded { rows: written, lost, failure: self.failure })
    }
}
