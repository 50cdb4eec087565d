//! `tabfleet chaos`: what becomes of jobs while what runs them is broken.

use super::{
    config::Settings, error::CliError, fleet, interrupt::interrupted, outcome::Outcome, progress::Progress,
    style::table_style,
};
use crate::{
    chaos::{self, ChaosOptions, Notice},
    fleet::{Fleet, FleetConfig},
    onnx::{Case, Suite, Tolerance},
    report::{Badness, ChaosReport, InjectionRow, chaos_table, write_json},
    types::{FailureMode, ParseTargetError},
};
use clap::Args;
use std::{collections::BTreeSet, path::PathBuf, str::FromStr, time::Duration};

/// Break browsers on purpose while they work, and check every answer.
#[derive(Debug, Args)]
pub(super) struct ChaosArgs {
    /// What to inject, separated by commas: tab-crash, browser-kill, hang, gpu-crash, driver-kill, socket-cut, oom, slow,
    /// endless, or all
    #[arg(long, value_name = "LIST", default_value = "all", value_delimiter = ',')]
    inject: Vec<Injectors>,

    /// How likely each job is to bring an injection, from 0 to 1; a browser is broken in one way at a time, and then left
    /// alone until it works again or 30 s are over
    #[arg(long, default_value_t = 0.05, value_parser = probability)]
    rate: f64,

    /// How long to go on breaking; what is broken then is waited for
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// A folder of cases in the ONNX backend-test layout; may be given several times [default: the built-in suite]
    #[arg(long = "suite", value_name = "DIR")]
    suites: Vec<PathBuf>,

    /// Write the report there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One failure mode, or all of them.
#[derive(Clone, Copy, Debug)]
enum Injectors {
    All,
    One(FailureMode),
}

impl FromStr for Injectors {
    type Err = ParseTargetError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

impl Injectors {
    fn modes(self) -> BTreeSet<FailureMode> {
        match self {
            Self::All => FailureMode::ALL.iter().copied().collect(),
            Self::One(mode) => [mode].into(),
        }
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let number: Result<f64, _> = text.parse();
    number.ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or_else(|| "it takes a number from 0 to 1".to_owned())
}

pub(super) async fn execute(args: ChaosArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    let suites = match args.suites.is_empty() {
        true => vec![Suite::builtin()?],
        false => args.suites.iter().map(|path| Suite::open(path)).collect::<Result<_, _>>()?,
    };
    let cases: Vec<Case> = suites.into_iter().flat_map(|suite| suite.cases).collect();
    let targets = fleet::targets(settings)?;
    let builder = fleet::builder(settings, "chaos").targets(targets);
    let broken_on_purpose = |config: &mut FleetConfig| {
        // What ends a tab here is known not to be the job that it was at.
        config.policy.quarantine_after = u32::MAX;
        config.history = None;
    };
    let launch = builder.configure(broken_on_purpose).launch();
    let fleet = tokio::select! {
        fleet = launch => fleet?,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let result = wreak(&fleet, &cases, &args, settings, quiet).await;
    let closed = fleet.close().await;
    let report = result?;
    print!("{}", chaos_table(&report, table_style(settings)));
    if let Some(path) = &args.json {
        write_json(&report, path)?;
    }
    closed?;
    Ok(match (report.interrupted, report.is_good()) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::Good,
        (false, false) => Outcome::Failed,
    })
}

async fn wreak(
    fleet: &Fleet,
    cases: &[Case],
    args: &ChaosArgs,
    settings: &Settings,
    quiet: bool,
) -> Result<ChaosReport, CliError> {
    // As many as there may be: they come while jobs wait.
    let targets = fleet.targets().await?.iter().filter(|info| info.available).count();
    let tabs = targets * *settings.tabs.end() as usize;
    let options = ChaosOptions {
        modes: args.inject.iter().flat_map(|injectors| injectors.modes()).collect(),
        rate: args.rate,
        duration: args.duration,
        seed: *settings.seed,
        in_hand: tabs * 3,
        tolerance: Tolerance {
            rtol: *settings.rtol,
            atol: *settings.atol,
            rtol_float16: *settings.float16_tolerance,
            atol_float16: *settings.float16_tolerance,
        },
        attempt_timeout: *settings.case_timeout,
        ..ChaosOptions::default()
    };
    let mut progress = Progress::new(args.duration.as_secs(), "seconds", quiet);
    let mut seconds = 0;
    progress.say(&format!("trying {} cases on every target before anything is broken", cases.len()));
    let notice = |notice| match notice {
        Notice::Begun => progress.say("every case has been tried; breaking begins"),
        Notice::Injection(row) => progress.say(&line(&row)),
        Notice::BadJob(bad) => {
            let word = match bad.badness {
                Badness::Lost => "lost",
                Badness::Wrong => "wrong",
                Badness::Doubled => "doubled",
            };
            progress.say(&format!("{:6.1} s  {word}: {}: {}", bad.at_ms / 1e3, bad.job, bad.message));
        }
        Notice::Time(passed) => {
            let passed = passed.as_secs().min(args.duration.as_secs());
            (seconds..passed).for_each(|_| progress.step());
            seconds = passed;
        }
    };
    let report = chaos::run(fleet, cases, &options, interrupted(), notice).await;
    progress.finish();
    Ok(report?)
}

/// An injection in a line.
fn line(row: &InjectionRow) -> String {
    let detected = match (&row.told_as, row.detected_ms) {
        (Some(told_as), Some(ms)) => format!("detected after {ms:.0} ms as {told_as}"),
        _ => "not detected".to_owned(),
    };
    let recovered = match row.recovered_ms {
        Some(ms) => format!("answering again after {ms:.0} ms"),
        None => "not answering again in time".to_owned(),
    };
    format!("{:6.1} s  {} in {}: {}; {detected}, {recovered}", row.at_ms / 1e3, row.mode, row.browser, row.what)
}
