//! All the files of one matrix run, kept current while its results come in.

use super::matrix::write_matrix_json;
use super::{CaseResult, MatrixReport, ReportError, TargetRow, journal::Journal, write_html, write_junit};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use time::OffsetDateTime;

/// A file is written again when this many times as long has gone by as its last writing took. So the files cost a run
/// 2 % of its time at most, however many results there are, and are behind by a second at 12,000 of them.
const PAUSE_PER_WRITING: u32 = 50;

/// A file that could not be written is tried again after this long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Where the report goes. Any, all or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// The JSON file that docs/JSON.md describes.
    pub json: Option<PathBuf>,
    /// The JUnit XML file.
    pub junit: Option<PathBuf>,
    /// The folder for the HTML report.
    pub html: Option<PathBuf>,
}

/// Writes all the files of one matrix run, and keeps them current while its results come in: each is replaced as a
/// whole, so it can be used whenever the run is killed, and JSON results that are not yet in their file are in
/// `FILE.partial.jsonl` beside it, from where [`MatrixReport::read`] takes them.
#[derive(Debug)]
pub struct ReportWriter {
    report: MatrixReport,
    json: Option<PathBuf>,
    journal: Option<Journal>,
    files: Vec<OutputFile>,
}

impl ReportWriter {
    /// Creates the files, without results yet, so that a path that cannot be written is known before anything runs.
    ///
    /// # Errors
    /// [`ReportError::Write`] names the first file that cannot be written.
    pub fn create(outputs: Outputs) -> Result<Self, ReportError> {
        let report = MatrixReport::new(OffsetDateTime::now_utc());
        let files = [
            outputs.json.clone().map(|path| OutputFile::new(path, write_matrix_json)),
            outputs.junit.map(|path| OutputFile::new(path, write_junit)),
            outputs.html.map(|path| OutputFile::new(path, write_html)),
        ];
        let mut writer =
            Self { report, json: outputs.json, journal: None, files: files.into_iter().flatten().collect() };
        writer.write(|_| true)?;
        if let Some(json) = &writer.json {
            writer.journal = Some(Journal::create(json, writer.report.started)?);
        }
        Ok(writer)
    }

    /// Says what the targets were found to be, in place of what was said before.
    ///
    /// # Errors
    /// As [`ReportWriter::result`].
    pub fn targets(&mut self, targets: &[TargetRow]) -> Result<(), ReportError> {
        self.report.targets = targets.to_vec();
        self.changed();
        self.write(|_| true)
    }

    /// Adds a result. It is on the disk when this returns, unless a file could not be written.
    ///
    /// # Errors
    /// [`ReportError::Write`] names the first file that cannot be written. The result is kept, the other files are
    /// written, and the one that failed is tried again later: whether the run goes on is the caller's choice.
    pub fn result(&mut self, result: CaseResult) -> Result<(), ReportError> {
        let noted = self.journal.as_mut().map_or(Ok(()), |journal| journal.note(&result));
        self.report.results.push(result);
        self.changed();
        let written = self.write(OutputFile::due);
        noted.and(written)
    }

    /// Brings every file up to date. To be called where a run may wait long for the next result.
    ///
    /// # Errors
    /// As [`ReportWriter::result`].
    pub fn flush(&mut self) -> Result<(), ReportError> {
        self.write(|file| file.behind)
    }

    /// Ends the report: says when it finished, and brings every file up to date.
    ///
    /// # Errors
    /// As [`ReportWriter::result`]; the report itself is still to be had from [`ReportWriter::report`].
    pub fn finish(&mut self) -> Result<MatrixReport, ReportError> {
        self.report.finished = Some(OffsetDateTime::now_utc());
        self.changed();
        self.write(|_| true)?;
        self.journal.take().map_or(Ok(()), Journal::remove)?;
        Ok(self.report.clone())
    }

    /// The report so far.
    pub fn report(&self) -> &MatrixReport {
        &self.report
    }

    fn changed(&mut self) {
        self.files.iter_mut().for_each(|file| file.behind = true);
    }

    fn write(&mut self, wanted: impl Fn(&OutputFile) -> bool) -> Result<(), ReportError> {
        let mut outcome = Ok(());
        for file in self.files.iter_mut().filter(|file| wanted(file)) {
            let written = file.write(&self.report);
            if outcome.is_ok() {
                outcome = written;
            } else if let Err(error) = written {
                tracing::warn!(%error, "another report file cannot be written");
            }
        }
        outcome
    }
}

impl Drop for ReportWriter {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the report's last results are not in this file");
        }
    }
}

/// One file, and when it may be written again.
#[derive(Debug)]
struct OutputFile {
    path: PathBuf,
    format: fn(&MatrixReport, &Path) -> Result<(), ReportError>,
    behind: bool,
    due: Option<Instant>,
}

impl OutputFile {
    fn new(path: PathBuf, format: fn(&MatrixReport, &Path) -> Result<(), ReportError>) -> Self {
        Self { path, format, behind: true, due: None }
    }

    fn due(&self) -> bool {
        self.behind && self.due.is_none_or(|due| Instant::now() >= due)
    }

    fn write(&mut self, report: &MatrixReport) -> Result<(), ReportError> {
        let start = Instant::now();
        let written = (self.format)(report, &self.path);
        let pause = if written.is_ok() { start.elapsed() * PAUSE_PER_WRITING } else { PAUSE_AFTER_FAILURE };
        self.behind = written.is_err();
        self.due = Some(Instant::now() + pause);
        written
    }
}
