//! The results noted one by one beside a matrix report's JSON, so that a kill loses none: `FILE.partial.jsonl`. Its
//! first line says which run it belongs to, and each other line is a result.

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
            file.write_all(&line(&Header { started })?)?;
            Ok(file)
        };
        let file = create().map_err(ReportError::write(&path))?;
        Ok(Self { path, file })
    }

    /// Notes one result.
    pub(super) fn note(&mut self, result: &CaseResult) -> Result<(), ReportError> {
        line(result).and_then(|line| self.file.write_all(&line)).map_err(ReportError::write(&self.path))
    }

    /// Removes the journal, now that the report's JSON holds everything.
    pub(super) fn remove(self) -> Result<(), ReportError> {
        fs::remove_file(&self.path).map_err(ReportError::write(&self.path))
    }
}

/// The results in the journal of the report at `report`, when there is one of the run started then. A line that the
/// kill tore ends it.
pub(super) fn read(report: &Path, started: OffsetDateTime) -> Result<Vec<CaseResult>, ReportError> {
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
    Ok(lines.map_while(|line| serde_json::from_slice(line).ok()).collect())
}

fn path_of(report: &Path) -> PathBuf {
    file::beside(report, ".partial.jsonl")
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
