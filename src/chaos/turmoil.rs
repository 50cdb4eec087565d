//! The one loop of a run: jobs in, things broken, answers and events out.

use super::{
    ChaosError, ChaosOptions, Notice,
    answers::Answers,
    inject::{self, Done, HarmfulModels, Lasted, Refusal, Victim},
    ledger::{Injected, Injection, Ledger},
    load::{Ended, Load, Outcome},
    plan::{Plan, Strike},
    summary::{injection_row, mode_rows, ms},
};
use crate::{
    fleet::Fleet,
    report::{BadJob, Badness, ChaosReport},
    types::{Browser, BrowserId, Event, FailureMode, Target},
};
use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc,
    },
    task::{JoinError, JoinSet},
};

/// How often it is looked whether the time is over, or something has not recovered.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Most bad jobs: when so many are, the fleet is not going to recover, and more of them would tell nothing.
const ENOUGH: usize = 100;

/// How long is listened, after the last job's end, for what must not come: another end of a job.
const ECHO: Duration = Duration::from_millis(300);

/// Something heard, and when.
enum Heard {
    Event(Instant, Arc<Event>),
    Missed(u64),
}

/// Breaks while there is time, then lets things recover, then lets the jobs end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Breaking,
    Recovering,
    Ending,
}

pub(super) struct Turmoil<'a, N> {
    fleet: &'a Fleet,
    options: &'a ChaosOptions,
    notice: N,
    load: Load,
    models: Arc<HarmfulModels>,
    browsers: Vec<Browser>,
    plan: Plan,
    ledger: Ledger,
    answers: Answers,
    heard: mpsc::UnboundedReceiver<Heard>,
    started: Instant,
    phase: Phase,
    jobs: JoinSet<Ended>,
    /// An injection that is being made: none other is begun, and no event is read, before it is known when it was.
    strikes: JoinSet<Struck>,
    /// What was injected and goes on; its browser is left alone until it is over.
    lasting: JoinSet<(Browser, FailureMode, Lasted)>,
    occupied: BTreeSet<Browser>,
    report: ChaosReport,
}

/// How an attempt to break something went.
struct Struck {
    strike: Strike,
    browser: BrowserId,
    result: Result<Done, Refusal>,
}

impl<'a, N: FnMut(Notice)> Turmoil<'a, N> {
    pub async fn new(
        fleet: &'a Fleet,
        (load, models): (Load, HarmfulModels),
        targets: &[Target],
        options: &'a ChaosOptions,
        report: ChaosReport,
        mut notice: N,
    ) -> Result<Self, ChaosError> {
        let mut plan = Plan::new(options.seed, options.rate, &options.modes, options.each);
        let browsers: BTreeSet<Browser> = targets.iter().map(|target| target.browser).collect();
        for (mode, kind) in options.modes.iter().flat_map(|mode| browsers.iter().map(move |kind| (*mode, *kind))) {
            if let Some(reason) = Victim::unsuited(mode, kind, targets) {
                plan.refuse(mode, kind, reason);
            }
        }
        let (sender, heard) = mpsc::unbounded_channel();
        tokio::spawn(listen(fleet.subscribe(), sender));
        let started = Instant::now();
        let mut ledger = Ledger::default();
        for (tab, browser, target) in fleet.tabs().await? {
            ledger.know(tab, browser, target, started);
        }
        notice(Notice::Begun);
        Ok(Self {
            fleet,
            options,
            notice,
            load,
            models: Arc::new(models),
            browsers: browsers.into_iter().collect(),
            plan,
            ledger,
            answers: Answers::default(),
            heard,
            started,
            phase: Phase::Breaking,
            jobs: JoinSet::new(),
            strikes: JoinSet::new(),
            lasting: JoinSet::new(),
            occupied: BTreeSet::new(),
            report,
        })
    }

    pub async fn run(mut self, mut stop: Pin<&mut impl Future<Output = ()>>) -> ChaosReport {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut silent: Option<Instant> = None;
        loop {
            self.keep_busy();
            tokio::select! {
                () = &mut stop => {
                    self.report.interrupted = true;
                    break;
                }
                Some(heard) = self.heard.recv(), if self.strikes.is_empty() => self.hear(heard),
                Some(struck) = self.strikes.join_next() => self.struck(finished(struck)),
                Some(ended) = self.jobs.join_next() => self.ended(finished(ended)),
                Some(lasted) = self.lasting.join_next() => self.lasted(finished(lasted)),
                _ = look.tick() => self.look(),
            }
            let working = self.phase != Phase::Ending || !self.jobs.is_empty() || !self.lasting.is_empty();
            silent = if working { None } else { silent.or_else(|| Some(Instant::now())) };
            if silent.is_some_and(|since| since.elapsed() >= ECHO) {
                break;
            }
        }
        self.lasting.shutdown().await;
        self.finish()
    }

    /// Submits jobs up to as many as are to be under way, and breaks something when one brings it.
    fn keep_busy(&mut self) {
        while self.phase != Phase::Ending && self.jobs.len() < self.options.in_hand {
            self.jobs.spawn(self.load.job(self.plan.number(), self.options));
            self.report.jobs.submitted += 1;
            if self.phase != Phase::Breaking || !self.strikes.is_empty() {
                continue;
            }
            let mut free = self.ledger.free(Instant::now());
            free.retain(|browser| !self.occupied.contains(browser));
            if let Some(strike) = self.plan.toss(&free) {
                self.strike(strike);
            }
        }
    }

    fn strike(&mut self, strike: Strike) {
        let Some(browser) = self.ledger.running(strike.browser) else { return };
        let victim = Victim { browser, kind: strike.browser, tabs: self.ledger.tabs_of(browser), dice: strike.dice };
        let (fleet, models) = (self.fleet.clone(), self.models.clone());
        self.strikes.spawn(async move {
            let result = inject::inject(strike.mode, victim, &fleet, &models).await;
            Struck { strike, browser, result }
        });
    }

    fn struck(&mut self, Struck { strike, browser, result }: Struck) {
        let Strike { mode, browser: kind, .. } = strike;
        let Done { at, what, lasting, limit } = match result {
            Ok(done) => done,
            Err(Refusal::Never(reason)) => return self.plan.refuse(mode, kind, reason),
            // Its turn is still to come.
            Err(Refusal::NotNow(reason)) => return tracing::debug!(%mode, %kind, reason, "nothing was broken"),
        };
        tracing::debug!(%mode, %kind, what, "broken");
        self.plan.done(strike);
        self.ledger.inject(Injected { mode, browser, kind, what, at, limit });
        if let Some(lasting) = lasting {
            self.occupied.insert(kind);
            self.lasting.spawn(async move { (kind, mode, lasting.await) });
        }
    }

    fn lasted(&mut self, (kind, mode, lasted): (Browser, FailureMode, Lasted)) {
        self.occupied.remove(&kind);
        let now = Instant::now();
        match lasted {
            Lasted::Over => self.ledger.over(kind, now),
            Lasted::Endless(Ok(())) => {
                let message = "a model that never ends was answered".to_owned();
                self.bad(Badness::Wrong, "endless".to_owned(), now, Some(mode), message);
            }
            Lasted::Endless(Err(error)) => tracing::debug!(%error, "the model that never ends was ended"),
        }
    }

    fn hear(&mut self, heard: Heard) {
        let (at, event) = match heard {
            Heard::Event(at, event) => (at, event),
            Heard::Missed(count) => return self.report.missed_events += count,
        };
        if let Some(job) = self.answers.hear(&event.kind) {
            let mode = self.ledger.blame(at, &[]);
            self.bad(Badness::Doubled, job.to_string(), at, mode, "it ended more than once".to_owned());
        }
        if let Some(injection) = self.ledger.hear(at, &event.kind) {
            self.tell(&injection);
        }
    }

    fn ended(&mut self, Ended { case, at, outcome }: Ended) {
        match outcome {
            Outcome::Right { failed_attempts } => {
                self.report.jobs.answered += 1;
                self.report.jobs.retried += u64::from(failed_attempts > 0);
            }
            Outcome::Wrong { browser, mismatch } => {
                let mode = self.ledger.blame(at, browser.as_slice());
                self.bad(Badness::Wrong, case, at, mode, mismatch);
            }
            Outcome::Lost(error) => {
                let tried: Vec<Browser> = error.attempts.iter().map(|attempt| attempt.target.browser).collect();
                self.bad(Badness::Lost, case, at, self.ledger.blame(at, &tried), error.to_string());
            }
        }
    }

    fn bad(&mut self, badness: Badness, job: String, at: Instant, mode: Option<FailureMode>, message: String) {
        let jobs = &mut self.report.jobs;
        *match badness {
            Badness::Lost => &mut jobs.lost,
            Badness::Wrong => &mut jobs.wrong,
            Badness::Doubled => &mut jobs.doubled,
        } += 1;
        let bad = BadJob { badness, job, at_ms: ms(self.started, at), mode, message };
        (self.notice)(Notice::BadJob(bad.clone()));
        self.report.bad_jobs.push(bad);
        if self.report.bad_jobs.len() >= ENOUGH {
            self.report.gave_up = true;
            self.phase = Phase::Ending;
        }
    }

    fn tell(&mut self, injection: &Injection) {
        (self.notice)(Notice::Injection(injection_row(injection, self.started)));
    }

    /// What time brings about.
    fn look(&mut self) {
        let now = Instant::now();
        for late in self.ledger.expire(now) {
            self.tell(&late);
        }
        let over = now >= self.started + self.options.duration || self.plan.is_over(&self.browsers);
        if self.phase == Phase::Breaking && over {
            self.phase = Phase::Recovering;
        }
        let broken = self.ledger.is_open() || !self.strikes.is_empty() || !self.lasting.is_empty();
        if self.phase == Phase::Recovering && !broken {
            self.phase = Phase::Ending;
        }
        (self.notice)(Notice::Time(now - self.started));
    }

    fn finish(mut self) -> ChaosReport {
        let now = Instant::now();
        if self.report.interrupted {
            self.report.jobs.unfinished = self.jobs.len() as u64;
        } else if self.report.missed_events == 0 {
            for job in self.answers.open().clone() {
                let mode = self.ledger.blame(now, &[]);
                self.bad(Badness::Lost, job.to_string(), now, mode, "no end of it was told".to_owned());
            }
        }
        let rows = self.ledger.injections.iter().map(|injection| injection_row(injection, self.started));
        let mut report = self.report;
        report.injections = rows.collect();
        report.elapsed_ms = ms(self.started, now);
        report.modes = mode_rows(&self.options.modes, &report.injections, &report.bad_jobs, &self.plan, &self.browsers);
        report
    }
}

/// What a task returned. None is aborted before the run's end, so an error is a panic, which goes on here.
fn finished<T>(joined: Result<T, JoinError>) -> T {
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Reads events as they come and notes when, however busy the loop is.
async fn listen(mut events: broadcast::Receiver<Arc<Event>>, heard: mpsc::UnboundedSender<Heard>) {
    loop {
        let next = match events.recv().await {
            Ok(event) => Heard::Event(Instant::now(), event),
            Err(RecvError::Lagged(count)) => Heard::Missed(count),
            Err(RecvError::Closed) => return,
        };
        if heard.send(next).is_err() {
            return;
        }
    }
}
