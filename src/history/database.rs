//! Opening the file: who may, what is in it, and why it could not be.

use super::HistoryError;
use duckdb::{AccessMode, Config, Connection, Params, Row};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// With less than this left on the disk, a failed write is the disk's fault: DuckDB grows its files by 256 KiB blocks,
/// and its log by whole transactions, of which a batch of the recorder takes some 3 MiB.
const NO_ROOM: u64 = 16 << 20;

/// What DuckDB may keep in memory; what needs more goes through a file beside the history. 2,000,000 rows are read in
/// less than a fifth of this.
const MEMORY: &str = "256MB";

/// Whether the file is opened to be read or to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One open connection and this process's claim on its file.
#[derive(Debug)]
pub(super) struct Database {
    // Declared first, so dropped first: the claim outlives the connection.
    connection: Connection,
    claim: Claim,
}

impl Database {
    /// Opens the file, making it when it is to be written and there is none.
    pub fn open(path: &Path, access: Access) -> Result<Self, HistoryError> {
        let claim = Claim::new(path, access)?;
        let connection = connect(path, access)?;
        Ok(Self { connection, claim })
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What a query finds, each row as `row` reads it.
    pub fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        row: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
    ) -> Result<Vec<T>, HistoryError> {
        let read = || self.connection().prepare(sql)?.query_map(values, row)?.collect::<duckdb::Result<Vec<T>>>();
        read().map_err(self.failed("read"))
    }

    pub fn path(&self) -> &Path {
        &self.claim.given
    }

    /// What a failed statement means.
    pub fn failed(&self, doing: impl Into<String>) -> impl FnOnce(duckdb::Error) -> HistoryError {
        let (path, doing) = (self.path().to_owned(), doing.into());
        let access = self.claim.access;
        move |source| match free_bytes(&path) {
            Some(free_bytes) if access == Access::Write && free_bytes < NO_ROOM => {
                HistoryError::DiskFull { path, free_bytes, source: Box::new(source) }
            }
            _ => HistoryError::Statement { path, doing, source: Box::new(source) },
        }
    }
}

fn connect(path: &Path, access: Access) -> Result<Connection, HistoryError> {
    // One thread: recording shares the machine with the browsers it measures. No extension is ever fetched.
    let config = Config::default()
        .access_mode(match access {
            Access::Read => AccessMode::ReadOnly,
            Access::Write => AccessMode::ReadWrite,
        })
        .and_then(|config| config.threads(if access == Access::Write { 1 } else { 2 }))
        .and_then(|config| config.max_memory(MEMORY))
        .and_then(|config| config.enable_autoload_extension(false));
    config.and_then(|config| Connection::open_with_flags(path, config)).map_err(|source| why_not(path, access, source))
}

/// Why DuckDB could not open the file. Its C interface gives words only, so the file itself is asked.
fn why_not(path: &Path, access: Access, source: duckdb::Error) -> HistoryError {
    let path = path.to_owned();
    if let Some(holder) = lock_holder(&path, access) {
        return HistoryError::InUse { path, holder };
    }
    if access == Access::Write {
        if let Some(free_bytes) = free_bytes(&path).filter(|free| *free < NO_ROOM) {
            return HistoryError::DiskFull { path, free_bytes, source: Box::new(source) };
        }
        let made = !path.exists();
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(_) if made => drop(fs::remove_file(&path)),
            Ok(_) => {}
            Err(source) => return HistoryError::File { path, source },
        }
    }
    HistoryError::Damaged { path, source: Box::new(source) }
}

/// Which other process holds DuckDB's lock on the file.
fn lock_holder(path: &Path, access: Access) -> Option<String> {
    use rustix::process::{Flock, FlockType, fcntl_getlk};
    let wanted = match access {
        Access::Read => FlockType::ReadLock,
        Access::Write => FlockType::WriteLock,
    };
    let file = File::open(path).ok()?;
    let held = fcntl_getlk(&file, &Flock::from(wanted)).ok()??;
    Some(match held.pid {
        Some(pid) => format!("process {}", pid.as_raw_nonzero()),
        None => "a process of another container".to_owned(),
    })
}

/// What the file's disk has left for us.
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).or_else(|_| rustix::fs::statvfs(folder(path))).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// This process's right to have the file open.
///
/// DuckDB's own lock is a POSIX record lock, which keeps other processes out but not a second connection of this one
/// (which would damage the file), and which ends as soon as this process closes *any* handle of the file. So who has it
/// open here is kept here, and the file is looked into only while nobody has.
#[derive(Debug)]
pub(super) struct Claim {
    given: PathBuf,
    canonical: PathBuf,
    access: Access,
}

/// How many connections of this process have each file open; all of them read, or there is one, which writes.
static OPEN: Mutex<BTreeMap<PathBuf, (Access, usize)>> = Mutex::new(BTreeMap::new());

impl Claim {
    fn new(path: &Path, access: Access) -> Result<Self, HistoryError> {
        let given = path.to_owned();
        let canonical = canonical(path).map_err(|source| HistoryError::File { path: given.clone(), source })?;
        // Held while the file is looked into, so that nobody of this process opens it meanwhile.
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&canonical) {
            Some((Access::Read, readers)) if access == Access::Read => *readers += 1,
            Some(_) => return Err(HistoryError::InUse { path: given, holder: "this very process".to_owned() }),
            None => {
                look_into(path, access)?;
                open.insert(canonical.clone(), (access, 1));
            }
        }
        Ok(Self { given, canonical, access })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connections)) = open.get_mut(&self.canonical) {
            *connections -= 1;
            if *connections == 0 {
                open.remove(&self.canonical);
            }
        }
    }
}

fn canonical(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            Ok(fs::canonicalize(folder(path))?.join(name))
        }
        other => other,
    }
}

/// Refuses what is no DuckDB database before DuckDB touches it.
fn look_into(path: &Path, access: Access) -> Result<(), HistoryError> {
    let path = path.to_owned();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if access == Access::Write { Ok(()) } else { Err(HistoryError::Missing { path }) };
        }
        Err(source) => return Err(HistoryError::File { path, source }),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => return Err(HistoryError::Foreign { path, what: "a folder" }),
        Ok(_) => {}
        Err(source) => return Err(HistoryError::File { path, source }),
    }
    // A DuckDB file begins with a checksum of eight bytes, and then says what it is.
    let mut head = Vec::with_capacity(12);
    file.by_ref()
        .take(12)
        .read_to_end(&mut head)
        .map_err(|source| HistoryError::File { path: path.clone(), source })?;
    match head.get(8..12) {
        Some(b"DUCK") => Ok(()),
        None if head.is_empty() => match (lock_holder(&path, access), access) {
            // Another process has just made it, and has not written to it yet.
            (Some(holder), _) => Err(HistoryError::InUse { path, holder }),
            // Of a crash while it was being made, or of `mktemp`: nothing is lost, and DuckDB would refuse it.
            (None, Access::Write) => fs::remove_file(&path).map_err(|source| HistoryError::File { path, source }),
            (None, Access::Read) => Err(HistoryError::Foreign { path, what: "an empty file" }),
        },
        _ => Err(HistoryError::Foreign { path, what: "no DuckDB database" }),
    }
}
