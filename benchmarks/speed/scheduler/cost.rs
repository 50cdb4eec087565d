//! What the scheduler costs a job, in a small fleet and behind a long queue.

use crate::table::{Bar, Row, median};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tabfleet::{
    Backend, Browser, Family, Target,
    schedule::{Action, Fallback, Input, JobSpec, Policy, Scheduler, TargetSet},
    types::{Caller, Isolation, JobId, ModelId, Priority, TabId},
};

/// A fleet in which everything comes up at once and every job succeeds, as fast as it is asked.
struct Fleet {
    scheduler: Scheduler,
    now: Instant,
    /// What tabs have been handed and not yet answered.
    handed: VecDeque<(TabId, JobId)>,
    ended: usize,
}

impl Fleet {
    fn ready(targets: TargetSet, policy: Policy) -> Self {
        let now = Instant::now();
        let mut fleet =
            Self { scheduler: Scheduler::new(policy, targets, now), now, handed: VecDeque::new(), ended: 0 };
        fleet.tell(Input::Timeout);
        assert!(fleet.scheduler.settled(), "a fleet in which nothing fails is ready");
        fleet
    }

    fn answer_one(&mut self, run: Duration) {
        if let Some((tab, job)) = self.handed.pop_front() {
            self.tell(Input::AttemptSucceeded { tab, job, run });
        }
    }

    fn tell(&mut self, input: Input) {
        self.scheduler.handle(input, self.now);
        while let Some(action) = self.scheduler.next_action() {
            let answer = match action {
                Action::LaunchBrowser { id, .. } => Input::BrowserStarted { id },
                Action::OpenTab { tab, .. } => Input::TabConnected { tab },
                Action::StartBackend { tab, .. } => Input::TabReady { tab },
                Action::StartAttempt { tab, job, .. } => {
                    self.handed.push_back((tab, job));
                    continue;
                }
                Action::EndWithResult { .. } => {
                    self.ended += 1;
                    continue;
                }
                Action::LoadModel { tab, model } | Action::WarmModel { tab, model } => {
                    Input::ModelLoaded { tab, model, failure: None }
                }
                Action::RunCanary { tab } => Input::CanaryAnswered { tab, failure: None },
                Action::PingTab { tab } => Input::TabAlive { tab, heap_bytes: Some(1 << 20) },
                Action::PingBrowser { id } => {
                    Input::BrowserHeartbeat { id, answer: Ok(Some(Duration::from_millis(1))) }
                }
                Action::MeasureMemory { id } => Input::BrowserMemory { id, bytes: 1 << 30 },
                _ => continue,
            };
            self.scheduler.handle(answer, self.now);
        }
    }
}

/// Submitting, placing and answering a job, with breakers, health, heartbeats and deadlines: the whole of it, of which
/// their bookkeeping is a part.
pub fn of_a_job() -> Row {
    const JOBS: usize = 500_000;
    const AT_ONCE: usize = 16;
    let run = || {
        let targets = [
            Target::new(Browser::Chrome, Backend::Webgpu),
            Target::new(Browser::Chrome, Backend::Wasm),
            Target::new(Browser::Edge, Backend::Webnn),
            Target::new(Browser::Firefox, Backend::Wasm),
        ];
        let targets: TargetSet = targets.into_iter().collect();
        let policy = Policy { tabs_per_target: 2, ..Policy::default() };
        let mut fleet = Fleet::ready(targets, policy);

        let started = Instant::now();
        for number in 1..=JOBS {
            fleet.now += Duration::from_millis(1);
            if fleet.scheduler.next_deadline().is_some_and(|at| at <= fleet.now) {
                fleet.tell(Input::Timeout);
            }
            let spec = JobSpec {
                model: ModelId(number as u64 % 4),
                family: Family::Other,
                allowed: targets,
                recommended: TargetSet::EMPTY,
                bytes: 4096,
                attempt_timeout: Duration::from_secs(10),
                expires: fleet.now + Duration::from_secs(60),
                turn_by: fleet.now + Duration::from_secs(60),
                attempts: 3,
                priority: Priority::Normal,
                caller: Caller::default(),
                release: false,
                batch: None,
                session: None,
                isolation: Isolation::Shared,
                fallback: Fallback::Off,
            };
            fleet.tell(Input::Submit { job: JobId(number as u64), spec });
            if fleet.handed.len() >= AT_ONCE {
                // Short enough that a tab may hold several.
                fleet.answer_one(Duration::from_millis(1));
            }
        }
        let ns = started.elapsed().as_nanos() as f64 / JOBS as f64;
        assert_eq!(fleet.ended + fleet.handed.len(), JOBS, "every job was handed out");
        ns / 1e3
    };
    let runs: Vec<f64> = (0..7).map(|_| run()).collect();
    let value = median(&runs);
    let runs: Vec<String> = runs.iter().map(|us| format!("{:.0}", us * 1e3)).collect();
    Row {
        measure: "the scheduler's whole cost of a job (µs), of which breakers, health and recovery are a part",
        bar: Bar::AtMost(5.0),
        value,
        numbers: format!("submitted, placed and answered on 4 targets of 2 tabs; runs in ns: {}", runs.join(", ")),
    }
}

/// Queueing, placing and answering a job while many wait, with all that decides about it: priorities, callers, models,
/// deadlines and measured speeds.
pub fn of_a_long_queue() -> [Row; 2] {
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        short.push(behind(10_000, 1_000));
        long.push(behind(100_000, 10_000));
    }
    let (value, tenfold) = (median(&short), median(&long));
    let shown = |times: &[f64]| times.iter().map(|us| format!("{us:.2}")).collect::<Vec<_>>().join(", ");
    [
        Row {
            measure: "queue and placement of a job (µs) with 10,000 queued and 1,000 tabs",
            bar: Bar::AtMost(10.0),
            value,
            numbers: format!(
                "submitted, placed and answered; four priorities, 8 callers, 20 models, ten targets; runs: {}",
                shown(&short)
            ),
        },
        Row {
            measure: "the same with 100,000 queued and 10,000 tabs over it; O(log n) alone would be 1.3, the rest is caches",
            bar: Bar::AtMost(2.5),
            value: tenfold / value,
            numbers: format!("{tenfold:.2} µs; runs: {}", shown(&long)),
        },
    ]
}

/// Microseconds for each job while so many wait in a fleet of so many tabs.
fn behind(queued: usize, tabs: usize) -> f64 {
    const JOBS: usize = 100_000;
    const MODELS: usize = 20;
    const RUN: Duration = Duration::from_millis(20);
    let targets = super::world::every_browser();
    let mut fleet = Fleet::ready(targets, Policy { tabs_per_target: tabs / targets.len(), ..Policy::default() });
    let callers: Vec<Caller> = (1..=8).map(Caller::new).collect();
    let submit = |fleet: &mut Fleet, number: usize| {
        let browser = Browser::ALL[number % Browser::ALL.len()];
        // Most may run anywhere, some in one browser only.
        let narrow = number.is_multiple_of(7);
        let spec = JobSpec {
            model: ModelId((number % MODELS) as u64),
            family: Family::ALL[number % Family::ALL.len()],
            allowed: targets.iter().filter(|target| !narrow || target.browser == browser).collect(),
            recommended: TargetSet::EMPTY,
            bytes: 4096,
            attempt_timeout: Duration::from_secs(600),
            // By turns sooner and later, so that deadlines are no order of arrival.
            expires: fleet.now + Duration::from_secs(3_600 + (number as u64 * 7_919) % 1_000),
            turn_by: fleet.now + Duration::from_secs(3_600 + (number as u64 * 7_919) % 1_000),
            attempts: 3,
            priority: Priority::ALL[number % 11 % Priority::ALL.len()],
            caller: callers[number % 13 % callers.len()],
            release: false,
            batch: None,
            session: None,
            isolation: Isolation::Shared,
            fallback: Fallback::Off,
        };
        fleet.tell(Input::Submit { job: JobId(number as u64 + 1), spec });
    };
    // As much time as passes between two answers of so many tabs.
    let answer = |fleet: &mut Fleet| {
        fleet.now += RUN / tabs as u32;
        if fleet.scheduler.next_deadline().is_some_and(|at| at <= fleet.now) {
            fleet.tell(Input::Timeout);
        }
        fleet.answer_one(RUN);
    };
    let mut number = 0;
    while fleet.scheduler.queued() < queued {
        submit(&mut fleet, number);
        number += 1;
        // Enough answers that every model is measured everywhere and tabs hold as much work as they may.
        if number.is_multiple_of(3) {
            answer(&mut fleet);
        }
    }
    let started = Instant::now();
    for _ in 0..JOBS {
        submit(&mut fleet, number);
        answer(&mut fleet);
        number += 1;
    }
    let us = started.elapsed().as_secs_f64() * 1e6 / JOBS as f64;
    assert!(fleet.scheduler.queued() >= queued, "the queue stayed as long as it was");
    us
}
