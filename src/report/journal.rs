//! The results noted one by one beside a matrix report's JSON, so that a kill loses none: `FILE.partial.jsonl`. Its
//! first line says which run it belongs to, and each other line is a result with its place in the report.

use super::{CaseResult, ReportError, file};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use time::OffsetDateTime;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(with = "time::serde::rfc3339")]
    started: OffsetDateTime,
}

#[derive(Serialize)]
struct Note<'a> {
    number: usize,
    result: &'a CaseResult,
}

#[derive(Deserialize)]
pub(super) struct Noted {
    /// How many results came before it.
    pub(super) number: usize,
    /// The result.
    pub(super) result: CaseResult,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: fs::File,
}

impl Journal {
    /// Starts the journal of the report at `report`; one that an earlier run left there is replaced.
    pub(super) fn create(report: &Path, started: OffsetDateTime) -> Result<Self, ReportError> {
        let path = path_of(report);
        let create = || -> io::Result<fs::File> {
            let mut file = fs::File::create(&path)?;
            file.write_all(&serde_json::to_vec(&Header { started })?)?;
            Ok(file)
        };
        let file = create().map_err(ReportError::write(&path))?;
        Ok(Self { path, file })
    }

    /// Notes the result that `number` others came before.
    pub(super) fn note(&mut self, number: usize, result: &CaseResult) -> Result<(), ReportError> {
        let mut note = || -> io::Result<()> {
            // The line's end comes first, so that a line torn by a full disk does not spoil the next.
            let mut line = vec![b'\n'];
            serde_json::to_writer(&mut line, &Note { number, result })?;
            self.file.write_all(&line)
        };
        note().map_err(ReportError::write(&self.path))
    }

    /// Removes the journal, now that the report's JSON holds everything.
    pub(super) fn remove(self) -> Result<(), ReportError> {
        fs::remove_file(&self.path).map_err(ReportError::write(&self.path))
    }
}

/// What the journal of the report at `report` holds, when there is one and it is of the run started then. Torn lines
/// are left out.
pub(super) fn read(report: &Path, started: OffsetDateTime) -> Result<Vec<Noted>, ReportError> {
    let path = path_of(report);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ReportError::read(path)(error)),
    };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let header = lines.next().and_then(|line| serde_json::from_slice::<Header>(line).ok());
    if header.is_none_or(|header| header.started != started) {
        return Ok(Vec::new());
    }
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn path_of(report: &Path) -> PathBuf {
    file::beside(report, ".partial.jsonl")
}
