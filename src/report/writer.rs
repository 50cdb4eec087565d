//! All the files of one matrix run, kept current while its results come in.

use super::{
    CaseResult, EarlierRuns, MatrixReport, ReportError, TargetRow, journal::Journal, junit::JunitFlaky, write_html,
    write_json, write_junit,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use time::OffsetDateTime;

/// A file is written again when this many times as long has gone by as its last writing took. So the files cost a run
/// 2 % of its time at most, however many results there are, and are behind by a second at 12,000 of them.
const PAUSE_PER_WRITING: u32 = 50;

/// A file that could not be written is tried again after this long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Where the report goes. Any, all or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// The JSON file that docs/JSON.md describes.
    pub json: Option<PathBuf>,
    /// The JUnit XML file.
    pub junit: Option<PathBuf>,
    /// How flaky passes are told in it.
    pub junit_flaky: JunitFlaky,
    /// The folder for the HTML report.
    pub html: Option<PathBuf>,
    /// Earlier runs, for the HTML report.
    pub earlier: Arc<EarlierRuns>,
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
        Self::resume(MatrixReport::new(OffsetDateTime::now_utc()), outputs)
    }

    /// Goes on with a report: what it holds is in the files from the start.
    ///
    /// # Errors
    /// As [`ReportWriter::create`].
    pub fn resume(mut report: MatrixReport, outputs: Outputs) -> Result<Self, ReportError> {
        report.finished = None;
        let files = [
            outputs.json.clone().map(|path| OutputFile::new(path, Format::Json)),
            outputs.junit.map(|path| OutputFile::new(path, Format::Junit(outputs.junit_flaky))),
            outputs.html.map(|path| OutputFile::new(path, Format::Html(outputs.earlier))),
        ];
        let mut writer =
            Self { report, json: outputs.json, journal: None, files: files.into_iter().flatten().collect() };
        writer.write(|_| true)?;
        if let Some(json) = &writer.json {
            writer.journal = Some(Journal::create(json, writer.report.started)?);
        }
        Ok(writer)
    }

    /// Changes what the report says of the run.
    ///
    /// # Errors
    /// As [`ReportWriter::result`].
    pub fn about(&mut self, change: impl FnOnce(&mut MatrixReport)) -> Result<(), ReportError> {
        change(&mut self.report);
        self.changed();
        self.write(|_| true)
    }

    /// Says what these targets were found to be, in place of what was said of them before.
    ///
    /// # Errors
    /// As [`ReportWriter::result`].
    pub fn targets(&mut self, targets: &[TargetRow]) -> Result<(), ReportError> {
        let is_new = |known: &TargetRow| !targets.iter().any(|row| row.column() == known.column());
        self.report.targets.retain(is_new);
        self.report.targets.extend_from_slice(targets);
        self.changed();
        self.write(|_| true)
    }

    /// Adds a result. When this returns, it is noted beside the JSON file, and in the other files soon after.
    ///
    /// # Errors
    /// [`ReportError::Write`] names the first file that cannot be written. The result is kept, the other files are
    /// written, and the one that failed is tried again later: whether the run goes on is the caller's choice.
    pub fn result(&mut self, result: CaseResult) -> Result<(), ReportError> {
        let noted = self.note(&result);
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
        self.finish_at(Some(OffsetDateTime::now_utc()))
    }

    /// Ends a report of runs that ended then, or did not end by themselves.
    ///
    /// # Errors
    /// As [`ReportWriter::finish`].
    pub fn finish_at(&mut self, finished: Option<OffsetDateTime>) -> Result<MatrixReport, ReportError> {
        self.report.finished = finished;
        self.changed();
        self.write(|_| true)?;
        self.journal.take().map_or(Ok(()), Journal::remove)?;
        Ok(self.report.clone())
    }

    /// The report so far.
    pub fn report(&self) -> &MatrixReport {
        &self.report
    }

    fn note(&mut self, result: &CaseResult) -> Result<(), ReportError> {
        let number = self.report.results.len();
        self.journal.as_mut().map_or(Ok(()), |journal| journal.note(number, result))
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

/// What a file is written as.
#[derive(Debug)]
enum Format {
    Json,
    Junit(JunitFlaky),
    Html(Arc<EarlierRuns>),
}

impl Format {
    fn write(&self, report: &MatrixReport, path: &Path) -> Result<(), ReportError> {
        match self {
            Self::Json => write_json(report, path),
            Self::Junit(flaky) => write_junit(report, *flaky, path),
            Self::Html(earlier) => write_html(report, earlier, path),
        }
    }
}

/// One file, and when it may be written again.
#[derive(Debug)]
struct OutputFile {
    path: PathBuf,
    format: Format,
    behind: bool,
    due: Option<Instant>,
}

impl OutputFile {
    fn new(path: PathBuf, format: Format) -> Self {
        Self { path, format, behind: true, due: None }
    }

    fn due(&self) -> bool {
        self.behind && self.due.is_none_or(|due| Instant::now() >= due)
    }

    fn write(&mut self, report: &MatrixReport) -> Result<(), ReportError> {
        let start = Instant::now();
        let written = self.format.write(report, &self.path);
        let pause = if written.is_ok() { start.elapsed() * PAUSE_PER_WRITING } else { PAUSE_AFTER_FAILURE };
        self.behind = written.is_err();
        self.due = Some(Instant::now() + pause);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use std::{env, fs, process::Command, thread};

    fn outputs(folder: &Path) -> Outputs {
        Outputs {
            json: Some(folder.join("matrix.json")),
            junit: Some(folder.join("junit.xml")),
            html: Some(folder.join("html")),
            ..Outputs::default()
        }
    }

    #[test]
    fn every_file_is_there_from_the_start_and_whole_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ReportWriter::create(outputs(folder.path())).unwrap();
        let json = folder.path().join("matrix.json");
        assert_eq!(MatrixReport::read(&json).unwrap().results, []);
        let sample = sample::matrix();
        writer.targets(&sample.targets).unwrap();
        for result in sample.results.clone() {
            writer.result(result).unwrap();
        }
        assert!(MatrixReport::read(&json).unwrap().results == sample.results);
        let report = writer.finish().unwrap();
        assert!(report.finished.is_some());
        assert!(MatrixReport::read(&json).unwrap() == report);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["html", "junit.xml", "matrix.json"]);
        assert!(fs::read_to_string(folder.path().join("junit.xml")).unwrap().contains("top_k"));
        assert!(fs::read_to_string(folder.path().join("html/index.html")).unwrap().contains("top_k"));
    }

    #[test]
    fn twelve_thousand_results_cost_little() {
        let folder = tempfile::tempdir().unwrap();
        let sample = sample::large_matrix(1500);
        let start = Instant::now();
        let mut writer = ReportWriter::create(outputs(folder.path())).unwrap();
        writer.targets(&sample.targets).unwrap();
        for result in sample.results.clone() {
            writer.result(result).unwrap();
        }
        writer.finish().unwrap();
        let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
        println!(
            "{:?} for JSON {}, JUnit {}, HTML {} bytes",
            start.elapsed(),
            size("matrix.json"),
            size("junit.xml"),
            size("html/index.html")
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ReportWriter::create(outputs(folder.path())).unwrap();
        // A folder where the file should be renamed to is as bad as a full disk, and needs no disk to fill.
        fs::remove_file(folder.path().join("junit.xml")).unwrap();
        fs::create_dir_all(folder.path().join("junit.xml/in-the-way")).unwrap();
        writer.result(sample::result("add", "chrome/wasm", crate::types::Verdict::Pass)).ok();
        let error = writer.finish().unwrap_err();
        assert!(error.to_string().contains("junit.xml"), "{error}");
        assert_eq!(MatrixReport::read(folder.path().join("matrix.json")).unwrap().results.len(), 1);
        assert_eq!(writer.report().results.len(), 1);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_known_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let json = Some(folder.path().join("file/matrix.json"));
        let error = ReportWriter::create(Outputs { json, ..Outputs::default() }).unwrap_err();
        assert!(error.path().ends_with("file/matrix.json"), "{error}");
    }

    #[test]
    fn a_full_disk_is_a_typed_error() {
        // Linux's device that is always full.
        if !Path::new("/dev/full").exists() {
            eprintln!("SKIPPED: this system has no /dev/full");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("matrix.json");
        std::os::unix::fs::symlink("/dev/full", folder.path().join("matrix.json.partial.jsonl")).unwrap();
        let error = ReportWriter::create(Outputs { json: Some(json.clone()), ..Outputs::default() }).unwrap_err();
        let ReportError::Write { path, source } = error else { panic!("{error}") };
        assert!(path.ends_with("matrix.json.partial.jsonl"));
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    }

    const VICTIM: &str = "TABFLEET_TEST_REPORT_VICTIM";

    /// Not a test of its own: what the next one kills.
    #[test]
    fn writes_until_it_is_killed() {
        let Some(folder) = env::var_os(VICTIM) else { return };
        let mut writer = ReportWriter::create(outputs(Path::new(&folder))).unwrap();
        let sample = sample::large_matrix(1500);
        writer.targets(&sample.targets).unwrap();
        for (number, result) in sample.results.into_iter().enumerate() {
            writer.result(result).unwrap();
            fs::write(Path::new(&folder).join("progress"), (number + 1).to_string()).unwrap();
        }
        thread::park();
    }

    #[test]
    fn a_kill_loses_nothing() {
        for least in [1, 150, 2000] {
            let folder = tempfile::tempdir().unwrap();
            let progress = || fs::read_to_string(folder.path().join("progress")).ok()?.parse::<usize>().ok();
            let mut victim = Command::new(env::current_exe().unwrap())
                .args(["writes_until_it_is_killed", "--test-threads=1"])
                .env(VICTIM, folder.path())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            while progress().is_none_or(|number| number < least) {
                assert!(victim.try_wait().unwrap().is_none(), "it ended by itself");
                thread::yield_now();
            }
            victim.kill().unwrap();
            victim.wait().unwrap();
            let json = folder.path().join("matrix.json");
            let alone: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
            assert_eq!(alone["targets"].as_array().unwrap().len(), sample::targets().len());
            let report = MatrixReport::read(&json).unwrap();
            assert!(report.results.len() >= least && report.finished.is_none());
            let expected = sample::large_matrix(1500).results;
            assert!(report.results == expected[..report.results.len()]);
            let known = report.results.len();
            let mut writer = ReportWriter::resume(report.clone(), outputs(folder.path())).unwrap();
            assert!(MatrixReport::read(&json).unwrap() == report, "nothing is lost when it is taken up again");
            writer.result(expected[known].clone()).unwrap();
            writer.finish().unwrap();
            let resumed = MatrixReport::read(&json).unwrap();
            assert!(resumed.results == expected[..=known] && resumed.run == report.run && resumed.finished.is_some());
            println!(
                "{} results noted, {} of them in the JSON itself",
                report.results.len(),
                alone["results"].as_array().unwrap().len()
            );
        }
    }
}
