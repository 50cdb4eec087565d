//! A simulated world around the real scheduler: browsers and tabs that take their time, fail and lie, on a clock of its
//! own. Everything random is drawn from one seed.

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    time::{Duration, Instant, SystemTime},
};
use tabfleet::{
    Browser, Cause, Failure, Family, Target,
    schedule::{Action, Fallback, Input, JobSpec, Policy, Scheduler, TargetSet},
    types::{BrowserId, Caller, Isolation, JobId, ModelId, Priority, TabId},
};

/// What is simulated.
pub struct Setting {
    pub targets: TargetSet,
    pub policy: Policy,
    pub jobs: usize,
    /// Jobs that arrive in a second.
    pub rate: f64,
    pub seed: u64,
}

/// What happens by chance each time that it could.
mod chance {
    pub const BROWSER_FAILS: f64 = 0.05;
    pub const TAB_FAILS: f64 = 0.0005;
    pub const WORKER_STAYS_AWAY: f64 = 0.02;
    pub const JOB_CANCELLED: f64 = 0.005;
    pub const ATTEMPT_FAILS: f64 = 0.02;
    pub const ATTEMPT_HANGS: f64 = 0.0005;
    pub const ATTEMPT_SLOW: f64 = 0.005;
    pub const WORKER_CRASHES: f64 = 0.001;
    pub const SOCKET_CUT: f64 = 0.001;
    pub const TAB_CRASHES: f64 = 0.0003;
    pub const CANARY_WRONG: f64 = 0.0001;
    pub const CANARY_FAILS: f64 = 0.002;
    pub const PING_UNANSWERED: f64 = 0.001;
    pub const BROWSER_PING_UNANSWERED: f64 = 0.01;
    pub const TAB_SWELLS: f64 = 0.0001;
}

/// How long a browser lives on average.
const BROWSER_LIFE: Duration = Duration::from_secs(300);
/// Jobs that wait when the fleet has opened: more than ever wait later, so that what memory does from then on is not
/// tables that grow with a queue.
const BACKLOG: usize = 100_000;
const MODELS: u64 = 20;
/// What an attempt may fail with, while its tab lives.
const CAUSES: [Cause; 6] =
    [Cause::ModelRun, Cause::ModelLoad, Cause::ModelDownload, Cause::BadInput, Cause::OutOfMemory, Cause::DeviceLost];

enum Event {
    Arrival,
    BrowserDies,
    /// Told to the scheduler whatever happened meanwhile.
    Tell(Box<Input>),
    /// Told to it if the tab still has this worker.
    TellOf(TabId, u32, Box<Input>),
    /// The worker is done with the first in its line.
    Done(TabId, u32),
}

/// When, and in which order of those at the same time.
struct Due(Instant, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Job(JobId),
    Canary,
    Load(ModelId),
}

/// A tab and its worker, which are numbered so that what an ended one had begun is not answered.
struct Tab {
    worker: u32,
    line: VecDeque<Work>,
}

/// What a simulation counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Calls of [`Scheduler::handle`].
    pub decisions: u64,
    pub actions: u64,
    pub ended: usize,
    /// The most jobs that were under way at once.
    pub most_unfinished: usize,
    pub with_result: usize,
    pub failed: BTreeMap<Cause, usize>,
    pub attempts_failed: u64,
    pub browsers_launched: u64,
    pub tabs_opened: u64,
    pub tabs_retired: u64,
    pub workers_restarted: u64,
    pub breaker_changes: u64,
    pub recoveries: u64,
    pub targets_given_up: u64,
}

pub struct World {
    scheduler: Scheduler,
    setting: Setting,
    random: ChaCha8Rng,
    now: Instant,
    events: BinaryHeap<Reverse<Due>>,
    next_event: u64,
    browsers: BTreeMap<BrowserId, Browser>,
    tabs: HashMap<TabId, Tab>,
    submitted: usize,
    /// Of each job, whether it is still to end.
    awaited: Vec<bool>,
    /// The job that was answered with a result just now.
    answered: Option<JobId>,
    pub counts: Counts,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let now = Instant::now();
        let mut world = Self {
            scheduler: Scheduler::new(setting.policy.clone(), setting.targets, now),
            random: ChaCha8Rng::seed_from_u64(setting.seed),
            now,
            events: BinaryHeap::new(),
            next_event: 0,
            browsers: BTreeMap::new(),
            tabs: HashMap::new(),
            submitted: 0,
            awaited: vec![true; setting.jobs],
            answered: None,
            counts: Counts::default(),
            setting,
        };
        world.carry_out();
        world
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets tabs come up before jobs arrive and browsers die.
    pub fn open(&mut self) {
        while !self.scheduler.settled() {
            self.step();
        }
        (0..BACKLOG.min(self.setting.jobs)).for_each(|_| self.submit());
        self.happens(Event::Arrival, Duration::ZERO);
        let life = self.about(BROWSER_LIFE / self.browsers.len().max(1) as u32);
        self.happens(Event::BrowserDies, life);
    }

    /// Goes on until so many jobs have ended.
    pub fn run_until_ended(&mut self, jobs: usize) {
        while self.counts.ended < jobs {
            self.step();
        }
    }

    /// All jobs have ended: nothing of them is left anywhere, neither now nor when the fleet is closed.
    pub fn check_nothing_is_left(&mut self) {
        assert_eq!((self.submitted, self.counts.ended), (self.setting.jobs, self.setting.jobs), "every job ends");
        assert_eq!((self.scheduler.queued(), self.scheduler.unfinished()), (0, 0), "no job is left");
        // What tabs still work on although its job has ended is answered, or ended with its worker.
        let until = self.now + Duration::from_secs(60);
        while self.now < until {
            self.step();
        }
        let tabs = self.scheduler.health(self.now, SystemTime::now(), |model| model.to_string()).tabs;
        let at_jobs = |tab: &Tab| tab.line.iter().any(|work| matches!(work, Work::Job(_)));
        assert_eq!(self.tabs.values().filter(|tab| at_jobs(tab)).count(), 0, "tabs are at jobs that have ended");
        assert_eq!(tabs.len(), self.tabs.len(), "the scheduler knows the tabs that there are, and no others");
        // No timer outlives the fleet, and none lies in the past.
        self.tell(Input::Close);
        assert!(self.scheduler.next_deadline().is_none_or(|at| at >= self.now), "a timer was left behind");
        assert_eq!(self.counts.ended, self.setting.jobs, "a job ended again");
    }

    /// The next thing that happens, or the next time-out.
    fn step(&mut self) {
        let event = self.events.peek().map(|Reverse(due)| due.0);
        match self.scheduler.next_deadline() {
            Some(deadline) if event.is_none_or(|at| deadline <= at) => {
                self.now = self.now.max(deadline);
                self.tell(Input::Timeout);
            }
            _ => {
                let Some(Reverse(Due(at, _, event))) = self.events.pop() else {
                    panic!("{} jobs have not ended, and nothing will ever happen", self.scheduler.unfinished());
                };
                self.now = at;
                self.happen(event);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::BrowserDies => {
                let life = self.about(BROWSER_LIFE / self.browsers.len().max(1) as u32);
                self.happens(Event::BrowserDies, life);
                let running: Vec<BrowserId> = self.browsers.keys().copied().collect();
                let Some(id) = running.choose(&mut self.random).copied() else { return };
                let exited = self.exited(id);
                self.tell(exited);
            }
            Event::Tell(input) => self.tell(*input),
            Event::TellOf(tab, worker, input) => {
                if self.tabs.get(&tab).is_some_and(|tab| tab.worker == worker) {
                    self.tell(*input);
                }
            }
            Event::Done(tab, worker) => self.done(tab, worker),
        }
    }

    fn arrive(&mut self) {
        if self.submitted == self.setting.jobs {
            return;
        }
        let pause = -self.random.random::<f64>().max(f64::MIN_POSITIVE).ln() / self.setting.rate;
        self.happens(Event::Arrival, Duration::from_secs_f64(pause));
        self.submit();
    }

    fn submit(&mut self) {
        self.submitted += 1;
        let job = JobId(self.submitted as u64);
        let spec = self.spec();
        if self.random.random_bool(chance::JOB_CANCELLED) {
            let after = self.about(Duration::from_secs(1));
            self.happens(Event::Tell(Box::new(Input::Cancel { job })), after);
        }
        self.tell(Input::Submit { job, spec });
    }

    fn spec(&mut self) -> JobSpec {
        let model = self.random.random_range(0..MODELS);
        let family = [Family::Other, Family::Text, Family::Vision, Family::Audio][model as usize % 4];
        let priority = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        // Most may run anywhere, some in one browser only, as a caller asks.
        let browser = Browser::ALL[model as usize % Browser::ALL.len()];
        let narrow = model % 5 == 0;
        JobSpec {
            model: ModelId(model),
            family,
            allowed: self.setting.targets.iter().filter(|target| !narrow || target.browser == browser).collect(),
            recommended: TargetSet::EMPTY,
            bytes: 1 << self.random.random_range(8..20),
            attempt_timeout: Duration::from_secs(10),
            expires: self.now + Duration::from_secs(60),
            turn_by: self.now + Duration::from_secs(60),
            attempts: 3,
            caller: Caller::default(),
            release: false,
            batch: None,
            session: None,
            isolation: Isolation::Shared,
            fallback: Fallback::Off,
            priority: *priority.choose(&mut self.random).unwrap_or(&Priority::Normal),
        }
    }

    /// What the worker says of the first in its line, or what becomes of the worker instead.
    fn done(&mut self, id: TabId, worker: u32) {
        let Some(tab) = self.tabs.get_mut(&id).filter(|tab| tab.worker == worker) else { return };
        let Some(work) = tab.line.pop_front() else { return };
        self.turn_to_first(id);
        let job = match work {
            Work::Job(job) => job,
            Work::Canary => return self.answer_canary(id),
            Work::Load(model) => return self.tell(Input::ModelLoaded { tab: id, model, failure: None }),
        };
        let fate: f64 = self.random.random();
        let lots = [chance::WORKER_CRASHES, chance::SOCKET_CUT, chance::TAB_CRASHES, chance::ATTEMPT_FAILS];
        let mut upto = 0.0;
        let lot = lots.iter().position(|lot| {
            upto += lot;
            fate < upto
        });
        match lot {
            Some(0) => self.lose_worker(id, Cause::WorkerCrashed),
            Some(1) => self.cut(id),
            Some(2) => {
                self.end_worker(id);
                self.tell(Input::TabLost { tab: id, failure: failure(Cause::TabCrashed) });
            }
            Some(_) => {
                let cause = *CAUSES.choose(&mut self.random).unwrap_or(&Cause::ModelRun);
                self.tell(Input::AttemptFailed { tab: id, job, failure: failure(cause) });
            }
            None => {
                let run = Duration::from_millis(self.random.random_range(500..1500));
                self.answered = Some(job);
                self.tell(Input::AttemptSucceeded { tab: id, job, run });
                self.answered = None;
            }
        }
    }

    fn answer_canary(&mut self, tab: TabId) {
        let cause = match self.random.random::<f64>() {
            lot if lot < chance::CANARY_WRONG => Some(Cause::WrongOutput),
            lot if lot < chance::CANARY_FAILS => Some(Cause::DeviceLost),
            _ => None,
        };
        self.tell(Input::CanaryAnswered { tab, failure: cause.map(failure) });
    }

    fn lose_worker(&mut self, tab: TabId, cause: Cause) {
        self.end_worker(tab);
        self.tell(Input::WorkerLost { tab, failure: failure(cause) });
    }

    /// A socket closes: because its tab crashed, which is told a moment later, or for no reason that is ever told.
    fn cut(&mut self, tab: TabId) {
        self.lose_worker(tab, Cause::SocketClosed);
        let Some(worker) = self.tabs.get(&tab).map(|tab| tab.worker) else { return };
        match self.random.random_range(0..3) {
            0 => {
                let crashed = Input::TabLost { tab, failure: failure(Cause::TabCrashed) };
                self.happens(Event::TellOf(tab, worker, Box::new(crashed)), Duration::from_millis(25));
            }
            1 => {
                let connected = Event::TellOf(tab, worker, Box::new(Input::TabConnected { tab }));
                self.happens(connected, Duration::from_millis(100));
            }
            _ => {}
        }
    }

    /// Nothing that the tab was handed is answered any more.
    fn end_worker(&mut self, tab: TabId) {
        if let Some(tab) = self.tabs.get_mut(&tab) {
            tab.worker += 1;
            tab.line.clear();
        }
    }

    fn hand(&mut self, id: TabId, work: Work) {
        let tab = self.tabs.get_mut(&id).expect("work is handed to an open tab");
        tab.line.push_back(work);
        if tab.line.len() == 1 {
            self.turn_to_first(id);
        }
    }

    fn turn_to_first(&mut self, id: TabId) {
        let Some((tab, work)) = self.tabs.get(&id).and_then(|tab| Some((tab, *tab.line.front()?))) else { return };
        let worker = tab.worker;
        if self.random.random_bool(chance::ATTEMPT_HANGS) {
            return;
        }
        let usual = if work == Work::Canary { Duration::from_millis(20) } else { Duration::from_secs(1) };
        let slow = self.random.random_bool(chance::ATTEMPT_SLOW);
        let takes = self.about(if slow { 4 * usual } else { usual });
        self.happens(Event::Done(id, worker), takes);
    }

    fn tell(&mut self, input: Input) {
        self.counts.decisions += 1;
        self.scheduler.handle(input, self.now);
        self.counts.most_unfinished = self.counts.most_unfinished.max(self.scheduler.unfinished());
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.scheduler.next_action() {
            self.counts.actions += 1;
            match action {
                Action::LaunchBrowser { .. } | Action::EndBrowser { .. } | Action::PingBrowser { .. } => {
                    self.drive_browser(action);
                }
                Action::OpenTab { tab, .. } => {
                    self.counts.tabs_opened += 1;
                    self.tabs.insert(tab, Tab { worker: 0, line: VecDeque::new() });
                    let fails = self.random.random_bool(chance::TAB_FAILS);
                    let failed = Input::TabFailed { tab, failure: failure(Cause::TabFailed) };
                    self.soon(tab, if fails { failed } else { Input::TabConnected { tab } }, 200);
                }
                Action::StartBackend { tab, .. } => self.soon(tab, Input::TabReady { tab }, 100),
                Action::RestartWorker { tab, .. } => {
                    self.counts.workers_restarted += 1;
                    self.end_worker(tab);
                    if !self.random.random_bool(chance::WORKER_STAYS_AWAY) {
                        self.soon(tab, Input::TabConnected { tab }, 100);
                    }
                }
                Action::CloseTab { tab, .. } => drop(self.tabs.remove(&tab)),
                Action::StartAttempt { tab, job, .. } => {
                    assert!(self.awaited[job.0 as usize - 1], "{job} was handed out after its end");
                    self.hand(tab, Work::Job(job));
                }
                // No stages are declared here, there are no sessions, and no job may fall back.
                Action::DropModel { .. } | Action::ForgetSession { .. } | Action::SessionEnded { .. } => {}
                Action::FallBack { .. } => {}
                Action::RunCanary { tab } => self.hand(tab, Work::Canary),
                Action::LoadModel { tab, model } | Action::WarmModel { tab, model } => {
                    self.hand(tab, Work::Load(model))
                }
                Action::RetireTab { tab, .. } => {
                    self.counts.tabs_retired += 1;
                    self.tabs.remove(&tab);
                }
                Action::PingTab { tab } => {
                    let swollen = self.random.random_bool(chance::TAB_SWELLS);
                    let heap_bytes = Some(if swollen { 3_500 << 20 } else { 100 << 20 });
                    if !self.random.random_bool(chance::PING_UNANSWERED) {
                        self.soon(tab, Input::TabAlive { tab, heap_bytes }, 2);
                    }
                }
                Action::MeasureMemory { id } => {
                    let measured = Event::Tell(Box::new(Input::BrowserMemory { id, bytes: 4 << 30 }));
                    self.happens(measured, Duration::from_millis(20));
                }
                Action::EndWithResult { job, .. } => {
                    assert_eq!(self.answered, Some(job), "a result that no tab has given");
                    self.counts.with_result += 1;
                    self.end(job);
                }
                Action::EndWithFailure { job, failure, .. } => {
                    *self.counts.failed.entry(failure.cause).or_default() += 1;
                    self.end(job);
                }
                Action::AttemptFailed { .. } => self.counts.attempts_failed += 1,
                Action::BreakerChanged { .. } => self.counts.breaker_changes += 1,
                Action::Recovered(_) => self.counts.recoveries += 1,
                Action::GiveUpTarget { .. } => self.counts.targets_given_up += 1,
                // No jobs run together here.
                Action::HealthChecked { .. } | Action::Disconnected { .. } | Action::BatchSplit { .. } => {}
                Action::StateBegun { .. } | Action::StateEnded { .. } | Action::Scaled { .. } => {}
            }
        }
    }

    fn drive_browser(&mut self, action: Action) {
        match action {
            Action::LaunchBrowser { id, browser } => {
                self.counts.browsers_launched += 1;
                let answer = if self.random.random_bool(chance::BROWSER_FAILS) {
                    Input::BrowserFailed { id, failure: failure(Cause::LaunchFailed) }
                } else {
                    self.browsers.insert(id, browser);
                    Input::BrowserStarted { id }
                };
                self.happens(Event::Tell(Box::new(answer)), Duration::from_millis(500));
            }
            Action::EndBrowser { id } => {
                let exited = self.exited(id);
                self.happens(Event::Tell(Box::new(exited)), Duration::from_millis(100));
            }
            Action::PingBrowser { id } => {
                let hung = self.random.random_bool(chance::BROWSER_PING_UNANSWERED);
                let answer = if hung { Err(failure(Cause::DriverHung)) } else { Ok(Some(Duration::from_millis(1))) };
                let answered = Event::Tell(Box::new(Input::BrowserHeartbeat { id, answer }));
                self.happens(answered, Duration::from_millis(1));
            }
            _ => {}
        }
    }

    fn exited(&mut self, id: BrowserId) -> Input {
        self.browsers.remove(&id);
        Input::BrowserExited { id, failure: failure(Cause::BrowserExited) }
    }

    fn end(&mut self, job: JobId) {
        let awaited = std::mem::replace(&mut self.awaited[job.0 as usize - 1], false);
        assert!(awaited, "{job} ended twice");
        self.counts.ended += 1;
    }

    /// Tells it after about so many milliseconds, if the tab then still has its worker.
    fn soon(&mut self, tab: TabId, input: Input, ms: u64) {
        let Some(worker) = self.tabs.get(&tab).map(|tab| tab.worker) else { return };
        let after = self.about(Duration::from_millis(ms));
        self.happens(Event::TellOf(tab, worker, Box::new(input)), after);
    }

    fn happens(&mut self, event: Event, after: Duration) {
        self.events.push(Reverse(Due(self.now + after, self.next_event, event)));
        self.next_event += 1;
    }

    /// From half as long to half as long again.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.random.random_range(0.5..1.5))
    }
}

fn failure(cause: Cause) -> Failure {
    Failure::new(cause, "simulated")
}

/// Ten targets in four browsers.
pub(super) fn every_browser() -> TargetSet {
    use tabfleet::Backend::{Wasm, Webgpu, Webnn};
    let gpu = [Browser::Chrome, Browser::Edge]
        .into_iter()
        .flat_map(|browser| [Webgpu, Webnn, Wasm].into_iter().map(move |backend| Target::new(browser, backend)));
    let rest = [Browser::Firefox, Browser::Webkit]
        .into_iter()
        .flat_map(|browser| [Webgpu, Wasm].into_iter().map(move |backend| Target::new(browser, backend)));
    gpu.chain(rest).collect()
}
