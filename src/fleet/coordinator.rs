//! The event loop: it alone owns the scheduler and what the scheduler decides about.

mod attempts;
mod fallback;
mod handing;
mod incoming;
mod outgoing;
mod row_check;

pub(super) use row_check::{Held, RowCheck};

use super::{
    Fleet, FleetConfig, FleetError,
    alerts::Watch,
    announcement::{self, Announcement},
    batch::Part,
    canary::{self, Canary},
    events::Events,
    gate::Gate,
    handle::Shared,
    handover::Handover,
    measured::{self, Measured},
    message::{Report, Request, Submission},
    metrics::{self, Counting},
    native::Natives,
    recording::Recording,
    session::Sessions,
    tab::Tab,
    targets::Targets,
    warm::WarmUps,
};
use crate::{
    browser::{BrowserSignal, Catalogue, RunningBrowser},
    harness::{FrameError, HealthQuestion, ModelFiles, RunReport, Server, ServerConfig, TabSignal},
    history::{HistoryError, HistoryMode, Recorder},
    schedule::{Channels, Fallback, Input, Policy, QueueLimits, Scaling, Scheduler},
    types::{Browser, BrowserId, EventKind, JobId, ModelId, ModelTag, Placement, TabId, Target, Tensor, TensorInfo},
};
use row_check::Seen;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZero,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

/// When the loop wakes though nothing is due: as good as never.
const FAR_FUTURE: Duration = Duration::from_secs(86_400);

/// How long browsers that end already may take to, when the fleet is closed: as long as one that does not end is waited
/// for.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Launches a fleet and waits until each of its targets works or is known not to.
pub(super) async fn launch(config: FleetConfig) -> Result<Fleet, FleetError> {
    if config.targets.is_empty() {
        return Err(FleetError::NoTargets);
    }
    config.policy.validate()?;
    let catalogue = Arc::new(config.catalogue()?);
    let (recorder, measured) = match config.history.clone() {
        Some(path) => {
            let (run, mode) = (config.run.clone(), config.history_mode);
            // Nobody reads the file while it is being written: what it says is asked first.
            let opened = tokio::task::spawn_blocking(move || {
                let measured = measured::read(&path, &run.host_class());
                let recorder = match mode {
                    HistoryMode::Direct => Recorder::open(&path, run),
                    HistoryMode::Spool => Recorder::open_or_spool(&path, run),
                };
                recorder.map(|recorder| (recorder, measured))
            });
            let (recorder, measured) = opened.await.unwrap_or(Err(HistoryError::WriterPanicked))?;
            (Some(recorder), measured)
        }
        None => (None, Measured::new()),
    };
    let FleetConfig { port, max_frame_bytes, .. } = config;
    let server_config = ServerConfig { port, custom_runtime: config.custom_runtime.clone(), max_frame_bytes };
    let server = Server::start(server_config).await?;
    let metrics_listener = match config.metrics {
        Some(address) => Some(metrics::listen(address).await?),
        None => None,
    };
    let events = Events::new();
    let (metrics, questions) = mpsc::unbounded_channel();
    tokio::spawn(Counting::default().run(events.subscribe(), questions));
    let recorded_run = recorder.as_ref().and_then(Recorder::run_id);
    let (recording, history) = recorder.map(|recorder| Recording::start(recorder, events.subscribe())).unzip();
    let watch = match &config.alerts {
        Some(alerts) => Some(Watch::start(alerts.clone(), &config.run.command, events.subscribe())?),
        None => None,
    };
    let (requests, inbox) = mpsc::unbounded_channel();
    let sessions = Sessions::default();
    let gate = Gate::of_queue(QueueLimits { jobs: config.queue_limit, bytes: config.queue_bytes }, &config.policy);
    let (announcement, questions) = config.announce.then(|| announce(&server, &config)).flatten().unzip();
    let mut coordinator = Coordinator::new(config.clone(), catalogue, server.clone(), events.clone(), recording);
    coordinator.announcement = announcement;
    coordinator.watch = watch;
    coordinator.sessions = sessions.clone();
    tokio::spawn(coordinator.run(inbox));
    let fleet = Fleet::new(Shared {
        config,
        server,
        requests,
        events,
        gate,
        next_job: AtomicU64::new(1),
        measured,
        metrics,
        sessions,
        history,
        recorded_run,
    });
    if let Some(questions) = questions {
        tokio::spawn(announcement::answer(questions, Arc::downgrade(&fleet.0)));
    }
    metrics_listener.into_iter().for_each(|listener| metrics::serve(listener, &fleet));
    fleet.settled().await?;
    let targets = fleet.targets().await?;
    if targets.iter().any(|info| info.available) || fleet.config().fallback == Fallback::Native {
        Ok(fleet)
    } else {
        fleet.close().await?;
        Err(FleetError::NothingWorks(targets))
    }
}

/// Lets other programs find the fleet. It works as well without.
fn announce(server: &Server, config: &FleetConfig) -> Option<(Announcement, mpsc::Receiver<HealthQuestion>)> {
    Announcement::publish(server, &config.run)
        .inspect_err(|error| tracing::warn!(%error, "`tabfleet health` will not find this fleet"))
        .ok()
}

/// A job that waits for its result.
struct Job {
    submission: Submission,
    /// When its present attempt was handed to a tab.
    started: Instant,
    attempt: u32,
    /// Why it went where it is; `None` until it is handed out.
    placement: Option<Placement>,
    /// Its rows in the present attempt, when that is a run of several jobs.
    part: Option<Part>,
    /// What its present attempt may hand to the next stage's tab.
    handover: Option<Handover>,
    /// The present attempt, within the job's own span.
    span: tracing::Span,
}

impl Job {
    /// The rows of its inputs.
    fn rows(&self) -> Option<u32> {
        self.submission.run.inputs.rows()
    }
}

/// A tab's result.
struct Answer {
    tab: TabId,
    report: RunReport,
    outputs: Result<Vec<(String, Tensor<'static>)>, FrameError>,
    /// How many jobs were told of it.
    told: u32,
    /// How long the tab did something for the fleet's own sake before it was taken, in milliseconds.
    aside_ms: f64,
}

/// A model that jobs were asked for.
struct KnownModel {
    tag: Arc<ModelTag>,
    served: Arc<ModelFiles>,
    /// Inputs that it can be tried on, where its file tells their shapes.
    zeros: Option<Vec<TensorInfo>>,
    /// Whether its jobs may run together, if they were to.
    may_batch: bool,
    /// Where it was seen that they can.
    seen: BTreeMap<Target, Seen>,
}

struct Coordinator {
    config: FleetConfig,
    catalogue: Arc<Catalogue>,
    server: Server,
    events: Events,
    recording: Option<Recording>,
    announcement: Option<Announcement>,
    watch: Option<Watch>,
    scheduler: Scheduler,
    targets: Targets,
    browsers: HashMap<BrowserId, (Browser, Arc<dyn RunningBrowser>)>,
    launching: HashMap<BrowserId, (Browser, AbortHandle)>,
    tabs: HashMap<TabId, Tab>,
    jobs: HashMap<JobId, Job>,
    /// The models that jobs were asked for, by the scheduler's name for them.
    models: HashMap<ModelId, KnownModel>,
    warm_ups: WarmUps,
    sessions: Sessions,
    channels: Channels,
    next_handover: u64,
    natives: Natives,
    canary: Option<canary::Published>,
    /// The result that the scheduler is being told of.
    result: Option<Answer>,
    /// Browsers whose WebGPU had no hardware adapter: they are launched for a software one.
    without_gpu: HashSet<Browser>,
    awaiting_settled: Vec<oneshot::Sender<()>>,
    awaiting_stages: Vec<(ModelId, oneshot::Sender<bool>)>,
    reports: mpsc::UnboundedSender<Report>,
    tab_signals: mpsc::UnboundedSender<TabSignal>,
    browser_signals: mpsc::UnboundedSender<BrowserSignal>,
    reports_inbox: mpsc::UnboundedReceiver<Report>,
    tab_inbox: mpsc::UnboundedReceiver<TabSignal>,
    browser_inbox: mpsc::UnboundedReceiver<BrowserSignal>,
}

impl Coordinator {
    fn new(
        config: FleetConfig,
        catalogue: Arc<Catalogue>,
        server: Server,
        events: Events,
        recording: Option<Recording>,
    ) -> Self {
        let (reports, reports_inbox) = mpsc::unbounded_channel();
        let (tab_signals, tab_inbox) = mpsc::unbounded_channel();
        let (browser_signals, browser_inbox) = mpsc::unbounded_channel();
        let canary = config.canary().map(|canary: Canary| canary.publish(server.models()));
        let cores = || std::thread::available_parallelism().ok().map(NonZero::get);
        let scaling = Scaling { cores: config.policy.scaling.cores.or_else(cores), ..config.policy.scaling };
        let policy = Policy { canary: canary.is_some(), scaling, ..config.policy.clone() };
        let scheduler = Scheduler::new(policy, config.targets.iter().copied().collect(), Instant::now());
        let targets = Targets::new(config.targets.iter().copied());
        Self {
            config,
            catalogue,
            server,
            events,
            recording,
            announcement: None,
            watch: None,
            scheduler,
            targets,
            browsers: HashMap::new(),
            launching: HashMap::new(),
            tabs: HashMap::new(),
            jobs: HashMap::new(),
            models: HashMap::new(),
            warm_ups: WarmUps::default(),
            sessions: Sessions::default(),
            channels: Channels::default(),
            next_handover: 1,
            natives: Natives::new(),
            canary,
            result: None,
            without_gpu: HashSet::new(),
            awaiting_settled: Vec::new(),
            awaiting_stages: Vec::new(),
            reports,
            tab_signals,
            browser_signals,
            reports_inbox,
            tab_inbox,
            browser_inbox,
        }
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        self.carry_out();
        let closed = loop {
            let deadline = self.scheduler.next_deadline().unwrap_or_else(|| Instant::now() + FAR_FUTURE);
            tokio::select! {
                // What tabs say comes first: an answer that arrived before its tab's end counts.
                biased;
                Some(signal) = self.tab_inbox.recv() => self.tab_signal(signal),
                Some(signal) = self.browser_inbox.recv() => self.browser_signal(signal),
                Some(report) = self.reports_inbox.recv() => self.report(report),
                request = inbox.recv() => match request {
                    Some(Request::Close(reply)) => break Some(reply),
                    Some(request) => self.request(request),
                    None => break None,
                },
                () = tokio::time::sleep_until(deadline.into()) => self.tell(Input::Timeout),
            }
        };
        let result = self.close().await;
        // Nobody may be waiting for it: the last handle was dropped.
        let _ = closed.map(|reply| reply.send(result));
    }

    async fn close(mut self) -> Result<(), FleetError> {
        self.announcement = None;
        self.tell(Input::Close);
        self.close_natives();
        self.tabs.clear();
        self.launching.drain().for_each(|(_, (_, launch))| launch.abort());
        let running: Vec<_> = self.browsers.drain().map(|(_, (_, browser))| browser).collect();
        futures::future::join_all(running.iter().map(|browser| browser.close())).await;
        self.server.close().await;
        let (events, recording, watch) = (self.events.clone(), self.recording.take(), self.watch.take());
        let mut browser_inbox = std::mem::replace(&mut self.browser_inbox, mpsc::unbounded_channel().1);
        // With it goes what was launched and not yet taken.
        drop(self);
        // Of browsers that were launching, or being ended already, something may be left. It has a sender of signals.
        let all_gone = async { while browser_inbox.recv().await.is_some() {} };
        if tokio::time::timeout(GONE_WITHIN, all_gone).await.is_err() {
            tracing::warn!("a browser that was being ended may be left");
        }
        events.emit(|| EventKind::FleetClosed);
        if let Some(watch) = watch {
            watch.finish().await;
        }
        match recording {
            Some(recording) => Ok(recording.finish().await?),
            None => Ok(()),
        }
    }
}
