//! What a command can fail with, printed with its causes.

use super::{config::ConfigError, fleet, history::SeriesFileError, outcome::Outcome};
use crate::{
    browser::BrowserError,
    chaos::ChaosError,
    fleet::{AlertConfigError, FleetError, JobError, ModelSpecError, RunningFleetError},
    history::HistoryError,
    matrix::expectations::ExpectationsError,
    onnx::{
        CaseError, ConformanceError, InputError, ModelError, ShapeFlagError, ShardError, SuiteError, TensorFileError,
    },
    report::ReportError,
};
use std::{error::Error, io, path::PathBuf};

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the async runtime cannot be started")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Chaos(#[from] ChaosError),
    #[error(transparent)]
    Browser(#[from] BrowserError),
    #[error(transparent)]
    ModelSpec(#[from] ModelSpecError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error(transparent)]
    Conformance(#[from] ConformanceError),
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Shard(#[from] ShardError),
    #[error("`{0}` is not the size of one dimension; write DIMENSION=SIZE, such as batch=4")]
    NotADimension(String),
    #[error("{0} is for a single model; a pipeline's stages are those of its file")]
    NotForPipelines(&'static str),
    #[error(transparent)]
    ShapeFlag(#[from] ShapeFlagError),
    #[error(transparent)]
    TensorFile(#[from] TensorFileError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Expectations(#[from] ExpectationsError),
    #[error(
        "--last-failed needs the report of a run: give --previous FILE, or the --json FILE that the last run wrote"
    )]
    NoLastRun,
    #[error("`{before}` and `{after}` cannot be compared: give two browsers (chrome, chrome@beta) or two JSON files")]
    NotTwoOfAKind { before: String, after: String },
    #[error("`{before}` and `{after}` have no case on a target in common")]
    NothingInCommon { before: String, after: String },
    #[error("`{0}` is not NAME=FILE")]
    NotNameAndFile(String),
    #[error("no case is left: the suite has {cases}, and none is selected by --filter")]
    NothingSelected { cases: usize },
    #[error(
        "two suites are called `{name}`, and results are told apart by that: {} and {}. Give the folder that both are in, \
         or rename one",
        first.display(), second.display()
    )]
    SameSuite { name: String, first: PathBuf, second: PathBuf },
    #[error("{} cannot be gone on with: {what}. Give the suites and the --filter of that run, or start a new one", file.display())]
    OtherCases { file: PathBuf, what: String },
    #[error("{build} cannot be run: there is no program {}", path.display())]
    NoProgram { build: String, path: PathBuf },
    #[error("none of the targets asked for can be used: no browser was found")]
    NoBrowser,
    #[error("--tabs is not for `{command}`: {why}")]
    TabsAreFixed { command: &'static str, why: &'static str },
    #[error(
        "--concurrency {concurrency} cannot be: no more than {most} jobs of a model may be under way (model-concurrency)"
    )]
    ConcurrencyAboveLimit { concurrency: u16, most: u32 },
    #[error("--fail-on compares with earlier runs, and no history is recorded: give --history FILE, too")]
    NothingToCompareWith,
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    SeriesFile(#[from] SeriesFileError),
    #[error(transparent)]
    RunningFleet(#[from] RunningFleetError),
    #[error("no command of this user is running a fleet on this machine")]
    NoFleet,
    #[error(transparent)]
    WebhookAddress(#[from] AlertConfigError),
    #[error("what changed was not posted to the webhook at {host}: {why}")]
    Webhook { host: String, why: String },
    #[error("cannot write to {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl CliError {
    /// Prints the error, what caused it, and what to do.
    pub fn print(&self) {
        eprintln!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            eprintln!("  because {error}");
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            eprintln!("hint: {hint}");
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Browser(error) => error.hint(),
            Self::Fleet(FleetError::NothingWorks(_)) | Self::NoBrowser => {
                Some("`tabfleet doctor` tells what is missing and how to get it".to_owned())
            }
            Self::RunningFleet(error) => error.hint(),
            Self::NoFleet => Some("`tabfleet run`, `bench`, `matrix` and `doctor` run one while they work".to_owned()),
            Self::Fleet(FleetError::Policy(error)) => Some(match &fleet::flags(error)[..] {
                [] => "`tabfleet config` tells every setting's value, and where it came from".to_owned(),
                flags => format!(
                    "{} set this; `tabfleet config` tells every setting's value, and where it came from",
                    flags.join(" and ")
                ),
            }),
            Self::Config(_) => Some("`tabfleet help matrix` describes every setting and what it takes".to_owned()),
            _ => None,
        }
    }

    /// The exit code it ends the command with.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Job(_) => Outcome::Failed,
            Self::Fleet(FleetError::Policy(_)) => Outcome::Usage,
            Self::Report(ReportError::Read { .. } | ReportError::Parse { .. }) => Outcome::Usage,
            Self::Runtime(_) | Self::Fleet(_) | Self::Browser(_) | Self::Report(_) | Self::Write { .. } => {
                Outcome::Infrastructure
            }
            Self::History(
                HistoryError::Query { .. }
                | HistoryError::ReadOnly { .. }
                | HistoryError::NoBaseline { .. }
                | HistoryError::BaselineElsewhere { .. },
            ) => Outcome::Usage,
            Self::History(_) => Outcome::Infrastructure,
            Self::Shard(ShardError::Write { .. }) => Outcome::Infrastructure,
            Self::NoBrowser | Self::Chaos(_) | Self::RunningFleet(_) | Self::Webhook { .. } => Outcome::Infrastructure,
            Self::Conformance(ConformanceError::Exists { .. }) => Outcome::Usage,
            Self::Conformance(_) => Outcome::Infrastructure,
            Self::NoFleet => Outcome::NoFleet,
            _ => Outcome::Usage,
        }
    }
}
