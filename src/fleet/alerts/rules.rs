//! When there is something to tell: pure, with time as an argument.

use super::AlertConfig;
use crate::types::{BreakerState, Cause, Event, EventKind, Failure, Target};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};
use time::OffsetDateTime;

/// In how many steps the window moves on.
const STEPS: u32 = 20;

/// Something an operator should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What, in numbers.
    #[serde(flatten)]
    pub kind: AlertKind,
    /// What, in a sentence.
    pub message: String,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "alert", rename_all = "kebab-case")]
pub enum AlertKind {
    /// Too many attempts fail.
    ErrorRate {
        /// Failed attempts in the window.
        failed: u64,
        /// All attempts in the window.
        attempts: u64,
        /// The time they were counted over, in milliseconds.
        window_ms: f64,
        /// Where the last one failed.
        target: Target,
        /// How it failed.
        failure: Failure,
    },
    /// A circuit breaker opened.
    CircuitOpen {
        /// The target that gets no jobs for a while.
        target: Target,
        /// The model, when the target gets only no jobs of this one.
        model: Option<String>,
        /// Why.
        reason: String,
        /// Until it is tried again, in milliseconds.
        wait_ms: Option<f64>,
    },
    /// A target that worked was given up.
    TargetGivenUp {
        /// The target.
        target: Target,
        /// Why.
        reason: String,
    },
}

impl AlertKind {
    /// Its name, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ErrorRate { .. } => "error-rate",
            Self::CircuitOpen { .. } => "circuit-open",
            Self::TargetGivenUp { .. } => "target-given-up",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::ErrorRate { failed, attempts, window_ms, target, failure } => format!(
                "{failed} of {attempts} attempts failed in {:.0} s, the last on {target}: {failure}",
                window_ms / 1e3
            ),
            Self::CircuitOpen { target, model: None, reason, .. } => format!("{target} gets no jobs: {reason}"),
            Self::CircuitOpen { target, model: Some(model), reason, .. } => {
                format!("{target} gets no jobs of {model}: {reason}")
            }
            Self::TargetGivenUp { target, reason } => format!("{target} was given up: {reason}"),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::ErrorRate { .. } => Subject::ErrorRate,
            Self::CircuitOpen { target, model, .. } => Subject::Circuit(*target, model.clone()),
            Self::TargetGivenUp { target, .. } => Subject::GivenUp(*target),
        }
    }
}

/// What an alert is about: of the same there is one in each cool-down.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Subject {
    ErrorRate,
    Circuit(Target, Option<String>),
    GivenUp(Target),
}

/// Decides when there is something to tell.
#[derive(Debug)]
pub struct Alerts {
    config: AlertConfig,
    window: Window,
    told: HashMap<Subject, Instant>,
    /// What never worked is told by the command that asked for it; only what did work can be lost.
    worked: HashSet<Target>,
}

impl Alerts {
    /// Nothing has happened yet.
    pub fn new(config: AlertConfig) -> Self {
        let window = Window { length: config.window, steps: VecDeque::new() };
        Self { config, window, told: HashMap::new(), worked: HashSet::new() }
    }

    /// What there is to tell after `event`, which happened `now`.
    pub fn observe(&mut self, event: &Event, now: Instant) -> Option<Alert> {
        let kind = self.kind(&event.kind, now)?;
        let subject = kind.subject();
        self.told.retain(|_, at| now.saturating_duration_since(*at) < self.config.cooldown);
        if self.told.contains_key(&subject) {
            return None;
        }
        self.told.insert(subject, now);
        Some(Alert { at: event.at.into(), message: kind.message(), kind })
    }

    #[cfg(test)]
    pub(super) fn window_total(&self) -> (u64, u64) {
        self.window.total()
    }

    fn kind(&mut self, event: &EventKind, now: Instant) -> Option<AlertKind> {
        match event {
            EventKind::AttemptSucceeded { .. } => {
                self.window.count(false, now);
                None
            }
            // What the caller did is no flaw of the fleet, and no proof that it works.
            EventKind::AttemptFailed { failure, .. } if is_the_callers(failure.cause) => None,
            EventKind::AttemptFailed { target, failure, .. } => {
                self.window.count(true, now);
                self.error_rate(*target, failure)
            }
            EventKind::BreakerChanged { target, model, to: BreakerState::Open, reason, wait_ms, .. } => {
                Some(AlertKind::CircuitOpen {
                    target: *target,
                    model: model.as_ref().map(|model| model.name.clone()),
                    reason: reason.clone(),
                    wait_ms: *wait_ms,
                })
            }
            EventKind::TabReady { info, .. } => {
                self.worked.insert(info.target);
                None
            }
            EventKind::TargetUnavailable { info } => self.worked.remove(&info.target).then(|| {
                let reason = info.reason.clone().unwrap_or_else(|| "nobody said why".to_owned());
                AlertKind::TargetGivenUp { target: info.target, reason }
            }),
            _ => None,
        }
    }

    fn error_rate(&self, target: Target, failure: &Failure) -> Option<AlertKind> {
        let (failed, attempts) = self.window.total();
        let too_many = attempts >= u64::from(self.config.minimum_attempts)
            && failed as f64 > self.config.error_rate * attempts as f64;
        let window_ms = self.config.window.as_secs_f64() * 1e3;
        too_many.then(|| AlertKind::ErrorRate { failed, attempts, window_ms, target, failure: failure.clone() })
    }
}

/// Whether an operator could do nothing about it: the caller asked for what cannot be, asked too much, or gave up.
const fn is_the_callers(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::BadInput
            | Cause::Cancelled
            | Cause::QueueFull
            | Cause::TabLimit
            | Cause::BrowserLimit
            | Cause::ModelLimit
            | Cause::FleetClosed
            | Cause::NoTarget
    )
}

/// Counts over the last while, in steps, so that a million attempts take no more room than one.
#[derive(Debug)]
struct Window {
    length: Duration,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    start: Instant,
    failed: u64,
    attempts: u64,
}

impl Window {
    fn count(&mut self, failed: bool, now: Instant) {
        let age = |step: &Step| now.saturating_duration_since(step.start);
        while self.steps.front().is_some_and(|step| age(step) >= self.length) {
            self.steps.pop_front();
        }
        if self.steps.back().is_none_or(|step| age(step) >= self.length / STEPS) {
            self.steps.push_back(Step { start: now, failed: 0, attempts: 0 });
        }
        if let Some(step) = self.steps.back_mut() {
            step.attempts += 1;
            step.failed += u64::from(failed);
        }
    }

    /// Failed attempts and all.
    fn total(&self) -> (u64, u64) {
        self.steps.iter().fold((0, 0), |(failed, all), step| (failed + step.failed, all + step.attempts))
    }
}
