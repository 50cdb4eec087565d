//! What a fleet went through while it was broken on purpose, and what became of its jobs.

use super::TargetRow;
use crate::{
    host::Host,
    types::{FailureMode, Target},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// What `tabfleet chaos` did and saw. As JSON it is described field by field in docs/JSON.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChaosReport {
    /// The version of tabfleet that ran it.
    pub tabfleet: String,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// The machine.
    pub host: Host,
    /// Every target asked for, those that do not work here included.
    pub targets: Vec<TargetRow>,
    /// The seed of what was broken, and in the course of which job.
    pub seed: u64,
    /// How likely each job was to bring an injection.
    pub rate: f64,
    /// From the first job to the end of the last.
    pub elapsed_ms: f64,
    /// Whether somebody ended it early.
    pub interrupted: bool,
    /// Whether it was ended early because a hundred jobs had been lost, wrong or doubled.
    pub gave_up: bool,
    /// What became of the jobs.
    pub jobs: ChaosJobs,
    /// What was broken how often, and what the fleet made of it.
    pub modes: Vec<ModeRow>,
    /// Each injection, in their order.
    pub injections: Vec<InjectionRow>,
    /// Each job that was lost, wrong or doubled.
    pub bad_jobs: Vec<BadJob>,
    /// Cases that did not work on a target before anything was broken, and were not run there.
    pub left_out: Vec<LeftOut>,
    /// Events that came too fast to be read. Unless there were none, a detection or a doubled answer may be missing.
    pub missed_events: u64,
}

impl ChaosReport {
    /// A report of nothing yet.
    pub fn new(started: OffsetDateTime, seed: u64, rate: f64) -> Self {
        Self {
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            host: Host::detect(),
            targets: Vec::new(),
            seed,
            rate,
            elapsed_ms: 0.0,
            interrupted: false,
            gave_up: false,
            jobs: ChaosJobs::default(),
            modes: Vec::new(),
            injections: Vec::new(),
            bad_jobs: Vec::new(),
            left_out: Vec::new(),
            missed_events: 0,
        }
    }

    /// Whether every job that ended was answered rightly and once.
    pub const fn is_good(&self) -> bool {
        self.jobs.lost == 0 && self.jobs.wrong == 0 && self.jobs.doubled == 0
    }
}

/// What became of the jobs. Those that never end by their nature are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosJobs {
    /// How many there were.
    pub submitted: u64,
    /// How many were answered as expected.
    pub answered: u64,
    /// How many of those took more than one attempt.
    pub retried: u64,
    /// How many ended with an error, or not at all.
    pub lost: u64,
    /// How many were answered with something else than what was expected.
    pub wrong: u64,
    /// How many ended more than once.
    pub doubled: u64,
    /// How many were still under way when the run was interrupted.
    pub unfinished: u64,
}

/// One failure mode. Times are in milliseconds; percentiles are nearest ranks, so that of fewer than 100 injections the
/// 99th is the longest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeRow {
    /// The failure mode.
    pub mode: FailureMode,
    /// Why it could not be injected, when it could not.
    pub skipped: Option<String>,
    /// How often it was injected.
    pub injected: u64,
    /// How often the fleet noticed.
    pub detected: u64,
    /// From the injection to the first event that told of it, the median.
    pub detection_p50_ms: Option<f64>,
    /// The same, the 99th percentile.
    pub detection_p99_ms: Option<f64>,
    /// How often what was broken answered jobs again in time.
    pub recovered: u64,
    /// From the injection to the first answer of what was broken, the median.
    pub recovery_p50_ms: Option<f64>,
    /// The same, the 99th percentile.
    pub recovery_p99_ms: Option<f64>,
    /// Jobs lost by it.
    pub lost: u64,
    /// Jobs answered wrongly because of it.
    pub wrong: u64,
    /// Jobs ended more than once because of it.
    pub doubled: u64,
    /// What the fleet took it for, and how often.
    pub told_as: BTreeMap<String, u64>,
}

/// One injection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectionRow {
    /// What was injected.
    pub mode: FailureMode,
    /// Into which launch of which browser.
    pub browser: String,
    /// What exactly was done.
    pub what: String,
    /// When, from the first job on.
    pub at_ms: f64,
    /// From the injection to the first event that told of it; `None` when none did.
    pub detected_ms: Option<f64>,
    /// What the fleet took it for.
    pub told_as: Option<String>,
    /// From the injection to the first answer of what was broken; `None` when there was none in time.
    pub recovered_ms: Option<f64>,
}

/// What was wrong with how a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Badness {
    /// It ended with an error, or not at all.
    Lost,
    /// Its answer was not the expected one.
    Wrong,
    /// It ended more than once.
    Doubled,
}

/// A job that did not end as it should.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BadJob {
    /// What was wrong.
    pub badness: Badness,
    /// Its case, or its number where only that is known.
    pub job: String,
    /// When it ended, from the first job on.
    pub at_ms: f64,
    /// The injection it is put down to: the last one before its end into a browser that tried it, or into any.
    pub mode: Option<FailureMode>,
    /// What was said about it, with every attempt.
    pub message: String,
}

/// A case that did not work on a target before anything was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The case.
    pub case: String,
    /// The target; `None` when the case cannot be run anywhere.
    pub target: Option<Target>,
    /// What happened.
    pub reason: String,
}
