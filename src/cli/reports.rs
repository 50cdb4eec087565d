//! Where a matrix run's results go: the options, and what is written when the run is over.

use super::{config::Settings, error::CliError, history};
use crate::{
    fleet,
    report::{
        EarlierRuns, JunitFlaky, MatrixDiff, MatrixReport, Outputs, ReportError, ReportWriter, chat_message,
        github_annotations, matrix_markdown, write_badges, write_html, write_performance_html, write_text,
        write_wptreports,
    },
};
use clap::Args;
use std::{collections::BTreeSet, env, fs, io::Write, path::PathBuf, sync::Arc};
use url::Url;

/// A webhook is posted to this often.
const TRIES: u32 = 5;

/// Where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(super) struct ReportArgs {
    /// Write the results there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the results there as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// How JUnit tells of attempts that failed before the last: as elements (flakyFailure, rerunFailure) of their test
    /// case, or, for what does not know those, each as a duplicate test case of the same name
    #[arg(long, value_name = "elements|duplicate", default_value_t, hide_default_value = true)]
    junit_flaky: JunitFlaky,

    /// Write an HTML report there: a folder that needs no server
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,

    /// Write what wants attention and the totals there as Markdown. On GitHub Actions it goes into the job's summary
    /// anyway
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Write the results there in the format of web-platform-tests' wptreport, a file for each target
    #[arg(long, value_name = "DIR")]
    wptreport: Option<PathBuf>,

    /// Write a badge for each target there, as SVG
    #[arg(long, value_name = "DIR")]
    badges: Option<PathBuf>,

    /// Post what wants attention, if anything does, to this address, as Slack's incoming webhooks take it (http only)
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,

    /// Print no annotations for GitHub Actions, and add nothing to its job's summary: for a job that runs one share of
    /// the cases
    #[arg(long)]
    no_github: bool,
}

impl ReportArgs {
    /// Where the JSON goes.
    pub fn json(&self) -> Option<&PathBuf> {
        self.json.as_ref()
    }
}

/// The options, and the earlier runs.
pub(super) struct Reports<'a> {
    args: &'a ReportArgs,
    earlier: Arc<EarlierRuns>,
}

impl<'a> Reports<'a> {
    /// Reads the earlier runs: what changed is told since the newest, and the HTML report shows each verdict's history.
    /// What cannot be used is so known before anything is run.
    pub fn open(args: &'a ReportArgs, files: &[PathBuf]) -> Result<Self, CliError> {
        if let Some(url) = &args.webhook {
            fleet::check_webhook(url)?;
        }
        let earlier = Arc::new(EarlierRuns::read(files)?);
        Ok(Self { args, earlier })
    }

    /// The files that are kept current while the run goes on.
    pub fn outputs(&self) -> Outputs {
        let ReportArgs { json, junit, junit_flaky, html, .. } = self.args;
        Outputs {
            json: json.clone(),
            junit: junit.clone(),
            junit_flaky: *junit_flaky,
            html: html.clone(),
            earlier: Arc::clone(&self.earlier),
        }
    }

    /// What changed since the newest of the earlier runs.
    pub fn since(&self, report: &MatrixReport) -> Option<MatrixDiff> {
        self.earlier.since(report)
    }

    /// Writes all the files of a report that is whole already, which comes back as it was written.
    pub async fn write(
        &self,
        report: MatrixReport,
        recorded: impl IntoIterator<Item = i64>,
        settings: &Settings,
    ) -> Result<MatrixReport, CliError> {
        let finished = report.finished;
        let mut writer = ReportWriter::resume(report, self.outputs())?;
        // When its runs ended, and not when it was put together.
        let report = writer.finish_at(finished)?;
        self.finish(&report, recorded, settings).await?;
        Ok(report)
    }

    /// What is written when the run is over, and its history, which has it as these runs: the rest of the files, what
    /// GitHub reads, and the webhook.
    /// A file that cannot be written does not keep the others from being written; the first error is returned.
    pub async fn finish(
        &self,
        report: &MatrixReport,
        recorded: impl IntoIterator<Item = i64>,
        settings: &Settings,
    ) -> Result<(), CliError> {
        let since = self.since(report);
        let written = [
            self.performance(report, recorded.into_iter().collect(), settings),
            self.files(report, since.as_ref()).map_err(CliError::from),
            self.github(report, since.as_ref()).map_err(CliError::from),
            self.post(report, since.as_ref()).await,
        ];
        written.into_iter().collect()
    }

    fn performance(&self, report: &MatrixReport, recorded: BTreeSet<i64>, settings: &Settings) -> Result<(), CliError> {
        let Some(folder) = &self.args.html else { return Ok(()) };
        match history::run_times(recorded, settings) {
            Ok(Some(findings)) => {
                write_performance_html(&findings, folder)?;
                // Once more, now that there is a page that it can lead to.
                Ok(write_html(report, &self.earlier, folder)?)
            }
            Ok(None) => Ok(()),
            // The verdicts are good without it, and another process may well have the history just now.
            Err(error) => {
                tracing::warn!(%error, "the HTML report has no page of run times");
                Ok(())
            }
        }
    }

    fn files(&self, report: &MatrixReport, since: Option<&MatrixDiff>) -> Result<(), ReportError> {
        let ReportArgs { markdown, wptreport, badges, .. } = self.args;
        let written = [
            markdown.as_ref().map(|path| write_text(&matrix_markdown(report, since), path)),
            wptreport.as_ref().map(|folder| write_wptreports(report, folder)),
            badges.as_ref().map(|folder| write_badges(report, folder)),
        ];
        written.into_iter().flatten().collect()
    }

    fn github(&self, report: &MatrixReport, since: Option<&MatrixDiff>) -> Result<(), ReportError> {
        if self.args.no_github {
            return Ok(());
        }
        if env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
            for line in github_annotations(report, since) {
                println!("{line}");
            }
        }
        let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from) else {
            return Ok(());
        };
        // Other steps' summaries are in it, too.
        let append = || {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(matrix_markdown(report, since).as_bytes())
        };
        append().map_err(|source| ReportError::Write { path: path.clone(), source })
    }

    async fn post(&self, report: &MatrixReport, since: Option<&MatrixDiff>) -> Result<(), CliError> {
        let Some(url) = &self.args.webhook else { return Ok(()) };
        let Some(message) = chat_message(report, since) else { return Ok(()) };
        let posted = fleet::post_json(url, message.to_string().into(), TRIES).await;
        posted.map_err(|why| CliError::Webhook { host: url.host_str().unwrap_or_default().to_owned(), why })
    }
}
