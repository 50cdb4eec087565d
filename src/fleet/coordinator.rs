//! The event loop: it alone owns the scheduler and what the scheduler decides about.

use super::{
    Fleet, FleetConfig, FleetError, JobError, Output,
    events::Events,
    handle::Shared,
    message::{Report, Request, Submission},
    recording::Recording,
    tab::{Pending, Tab},
    targets::{Targets, computes_in_software},
};
use crate::{
    browser::{
        self, BrowserError, BrowserSignal, BrowserSignalKind, Catalogue, GpuMode, LaunchOptions, RunningBrowser,
    },
    harness::{
        LostWhat, ModelFiles, RunReport, Server, ServerConfig, StartOptions, TabMessage, TabSignal, TabSignalKind,
    },
    history::Recorder,
    schedule::{Action, Attempt, Input, Scheduler},
    types::{Backend, Browser, BrowserId, Cause, EventKind, Failure, JobId, Provenance, TabId, Target, Timings},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// How long closing a tab politely may hold up anything; the browser's own end takes it anyway.
const FAR_FUTURE: Duration = Duration::from_secs(86_400);

/// Launches a fleet and waits until each of its targets works or is known not to.
pub(super) async fn launch(config: FleetConfig) -> Result<Fleet, FleetError> {
    if config.targets.is_empty() {
        return Err(FleetError::NoTargets);
    }
    let catalogue = Arc::new(config.catalogue()?);
    let recorder = match &config.history {
        Some(path) => Some(Recorder::open(path, config.run.clone())?),
        None => None,
    };
    let server_config =
        ServerConfig { port: config.port, custom_runtime: config.custom_runtime.clone(), ..ServerConfig::default() };
    let server = Server::start(server_config).await?;
    let events = Events::new();
    let recording = recorder.map(|recorder| Recording::start(recorder, events.subscribe()));
    let (requests, inbox) = mpsc::unbounded_channel();
    let room = Semaphore::new(config.queue_limit.min(Semaphore::MAX_PERMITS));
    let coordinator = Coordinator::new(config.clone(), catalogue, server.clone(), events.clone(), recording);
    tokio::spawn(coordinator.run(inbox));
    let fleet = Fleet::new(Shared { config, server, requests, events, room, next_job: AtomicU64::new(1) });
    fleet.settled().await?;
    let targets = fleet.targets().await?;
    if targets.iter().any(|info| info.available) {
        Ok(fleet)
    } else {
        fleet.close().await?;
        Err(FleetError::NothingWorks(targets))
    }
}

/// A job that waits for its result.
struct Job {
    submission: Submission,
    /// When its present attempt was handed to a tab.
    started: Instant,
    attempt: u32,
}

struct Coordinator {
    config: FleetConfig,
    catalogue: Arc<Catalogue>,
    server: Server,
    events: Events,
    recording: Option<Recording>,
    scheduler: Scheduler,
    targets: Targets,
    browsers: HashMap<BrowserId, (Browser, Arc<dyn RunningBrowser>)>,
    launching: HashMap<BrowserId, Browser>,
    tabs: HashMap<TabId, Tab>,
    jobs: HashMap<JobId, Job>,
    /// The result that the scheduler is being told of.
    result: Option<(TabId, RunReport)>,
    /// Browsers whose WebGPU had no hardware adapter: they are launched for a software one.
    without_gpu: HashSet<Browser>,
    awaiting_settled: Vec<oneshot::Sender<()>>,
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
        let scheduler = Scheduler::new(config.policy.clone(), config.targets.iter().copied().collect());
        let targets = Targets::new(config.targets.iter().copied());
        Self {
            config,
            catalogue,
            server,
            events,
            recording,
            scheduler,
            targets,
            browsers: HashMap::new(),
            launching: HashMap::new(),
            tabs: HashMap::new(),
            jobs: HashMap::new(),
            result: None,
            without_gpu: HashSet::new(),
            awaiting_settled: Vec::new(),
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
        self.tell(Input::Close);
        self.tabs.clear();
        let launching = self.launching.len();
        let running: Vec<_> = self.browsers.drain().map(|(_, (_, browser))| browser).collect();
        futures::future::join_all(running.iter().map(|browser| browser.close())).await;
        // A launch under way is waited for, so that what it started is ended here and not by chance.
        for _ in 0..launching {
            while let Some(report) = self.reports_inbox.recv().await {
                if let Report::Launched { result, .. } = report {
                    if let Ok(browser) = result {
                        browser.close().await;
                    }
                    break;
                }
            }
        }
        self.server.close().await;
        self.events.emit(|| EventKind::FleetClosed);
        let recording = self.recording.take();
        drop(self);
        match recording {
            Some(recording) => Ok(recording.finish().await?),
            None => Ok(()),
        }
    }

    // ---- what comes in

    fn request(&mut self, request: Request) {
        match request {
            Request::Submit(submission) => {
                let (job, spec) = (submission.job, submission.spec.clone());
                self.events.emit(|| EventKind::JobQueued { job, model: submission.model.tag.name.clone() });
                let started = submission.submitted;
                self.jobs.insert(job, Job { submission: *submission, started, attempt: 0 });
                self.tell(Input::Submit { job, spec });
            }
            Request::Cancel(job) => self.tell(Input::Cancel { job }),
            Request::Forget(key) => {
                for tab in self.tabs.values_mut().filter(|tab| tab.loaded.contains(&key)) {
                    let id = tab.next_request();
                    tab.loaded.remove(&key);
                    // A tab without a socket has no session left to drop.
                    let _ = tab.link.as_ref().map(|link| link.release(id, &key));
                }
            }
            Request::Targets(reply) => {
                let _ = reply.send(self.targets.all());
            }
            Request::Settled(reply) => {
                self.awaiting_settled.push(reply);
                self.tell_settled();
            }
            Request::Processes(reply) => {
                let ids = self.browsers.iter().filter_map(|(id, (_, browser))| Some((*id, browser.process_id()?)));
                let _ = reply.send(ids.collect());
            }
            Request::Close(_) => {}
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Launched { id, result } => self.launched(id, result),
            Report::TabOpened { result: Ok(()), .. } | Report::WorkerRestarted { result: Ok(()), .. } => {}
            Report::TabOpened { tab, result: Err(error) } => {
                self.tell(Input::TabFailed { tab, failure: error.failure() });
            }
            Report::WorkerRestarted { tab, result: Err(error) } => {
                self.tell(Input::TabLost { tab, failure: error.failure() });
            }
            Report::BrowserClosed { id } => {
                let failure = Failure::new(Cause::BrowserExited, "the browser was restarted");
                self.tell(Input::BrowserExited { id, failure });
            }
        }
    }

    fn launched(&mut self, id: BrowserId, result: Result<Arc<dyn RunningBrowser>, BrowserError>) {
        let Some(kind) = self.launching.remove(&id) else { return };
        match result {
            Ok(browser) => {
                let identity = browser.identity().clone();
                tracing::info!(%id, product = identity.product, version = identity.version, "browser started");
                self.targets.identified(identity.clone());
                self.events.emit(|| EventKind::BrowserStarted { browser: id, identity });
                self.browsers.insert(id, (kind, browser));
                self.tell(Input::BrowserStarted { id });
            }
            Err(error) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                let failure = Failure::new(error.failure().cause, format!("{error}{hint}"));
                tracing::warn!(%kind, %failure, "browser did not start");
                self.events.emit(|| EventKind::BrowserFailed { browser: kind, failure: failure.clone() });
                self.tell(match error {
                    BrowserError::NotFound { .. }
                    | BrowserError::NotExecutable { .. }
                    | BrowserError::DriverNotFound { .. }
                    | BrowserError::DriverTooOld { .. }
                    | BrowserError::BadEndpoint { .. } => Input::BrowserMissing { id, failure },
                    _ => Input::BrowserFailed { id, failure },
                });
            }
        }
    }

    fn browser_signal(&mut self, BrowserSignal { browser, kind }: BrowserSignal) {
        let input = match kind {
            BrowserSignalKind::TabCrashed { tab, message } => {
                Input::TabLost { tab, failure: Failure::new(Cause::TabCrashed, message) }
            }
            BrowserSignalKind::TabClosed { tab } => {
                Input::TabLost { tab, failure: Failure::new(Cause::TabClosed, "somebody closed the tab") }
            }
            BrowserSignalKind::TabNavigated { tab, url } => {
                let failure = Failure::new(Cause::TabClosed, format!("the tab went to another page, {url}"));
                Input::TabLost { tab, failure }
            }
            BrowserSignalKind::Exited { status, last_words } => {
                let words =
                    if last_words.is_empty() { String::new() } else { format!("; its last words: {last_words}") };
                self.browser_ended(browser, Failure::new(Cause::BrowserExited, format!("{status}{words}")))
            }
            BrowserSignalKind::DriverExited { message } => {
                self.browser_ended(browser, Failure::new(Cause::DriverExited, message))
            }
        };
        self.tell(input);
    }

    fn browser_ended(&mut self, id: BrowserId, failure: Failure) -> Input {
        if let Some((_, browser)) = self.browsers.remove(&id) {
            tracing::warn!(%id, %failure, "browser ended");
            self.events.emit(|| EventKind::BrowserEnded { browser: id, failure: Some(failure.clone()) });
            // What is left of it: helpers, its driver, its profile folder.
            tokio::spawn(async move { browser.close().await });
        }
        Input::BrowserExited { id, failure }
    }

    fn tab_signal(&mut self, TabSignal { tab: id, connection, kind }: TabSignal) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        match kind {
            TabSignalKind::Connected { link, .. } => {
                tab.connected(connection, link);
                self.tell(Input::TabConnected { tab: id });
            }
            _ if !tab.listens_to(connection) => {}
            TabSignalKind::Message(message) => self.tab_message(id, message),
            TabSignalKind::Disconnected(failure) => {
                tracing::debug!(tab = %id, %failure, "socket closed");
                tab.forget_worker();
                self.tell(Input::WorkerLost { tab: id, failure });
            }
        }
    }

    fn tab_message(&mut self, id: TabId, message: TabMessage) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        match message {
            TabMessage::Ready { id: request, ready } if tab.answered(request) == Some(Pending::Start) => {
                if computes_in_software(&ready) {
                    self.scheduler.handle(Input::TargetIsSoftware { target: tab.target }, Instant::now());
                }
                let info = self.targets.ready(tab.target, ready);
                tab.info = Some(info.clone());
                let browser = tab.browser;
                self.events.emit(|| EventKind::TabReady { tab: id, browser, info });
                self.tell(Input::TabReady { tab: id });
            }
            TabMessage::Result { id: request, result } => {
                if let Some(Pending::Run(job)) = tab.answered(request) {
                    self.result = Some((id, result));
                    self.tell(Input::AttemptSucceeded { tab: id, job });
                    self.result = None;
                }
            }
            TabMessage::Failed { id: request, failed } => match tab.answered(request) {
                Some(Pending::Run(job)) => {
                    self.tell(Input::AttemptFailed { tab: id, job, failure: failed.failure() });
                }
                Some(Pending::Start) => self.start_failed(id, failed.failure()),
                None => {}
            },
            TabMessage::Lost { what, message } => {
                let cause = match what {
                    LostWhat::WebgpuDevice | LostWhat::WebnnContext => Cause::DeviceLost,
                    LostWhat::Worker => Cause::WorkerCrashed,
                };
                self.tell(Input::WorkerLost { tab: id, failure: Failure::new(cause, message) });
            }
            TabMessage::Ready { .. }
            | TabMessage::Probed { .. }
            | TabMessage::Loaded { .. }
            | TabMessage::Released { .. }
            | TabMessage::Pong { .. } => {}
        }
    }

    /// A backend did not start. WebGPU without an adapter may still work on a software one: its browser is then
    /// launched again for that, once.
    fn start_failed(&mut self, id: TabId, failure: Failure) {
        let Some(tab) = self.tabs.get(&id) else { return };
        if tab.target.backend == Backend::Webgpu
            && self.config.gpu == GpuMode::Auto
            && let Some((kind, browser)) = self.browsers.get(&tab.browser)
            && browser.gpu() == GpuMode::Hardware
            && self.without_gpu.insert(*kind)
        {
            tracing::info!(browser = %kind, "no hardware WebGPU adapter: launching again for a software one");
            self.end_browser(tab.browser);
            return;
        }
        self.tell(Input::TabFailed { tab: id, failure });
    }

    // ---- what goes out

    fn tell(&mut self, input: Input) {
        self.scheduler.handle(input, Instant::now());
        self.carry_out();
        self.tell_settled();
    }

    fn tell_settled(&mut self) {
        if !self.awaiting_settled.is_empty() && self.scheduler.settled() {
            for reply in self.awaiting_settled.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.scheduler.next_action() {
            match action {
                Action::StartAttempt { tab, job, attempt } => self.start_attempt(tab, job, attempt),
                Action::EndWithResult { job, attempts } => self.end_with_result(job, attempts),
                Action::EndWithFailure { job, failure, attempts } => self.end_with_failure(job, failure, attempts),
                Action::AttemptFailed { job, number, attempt } => self.attempt_failed(job, number, attempt),
                Action::LaunchBrowser { id, browser } => self.launch_browser(id, browser),
                Action::EndBrowser { id } => self.end_browser(id),
                Action::OpenTab { tab, browser, target } => self.open_tab(tab, browser, target),
                Action::StartBackend { tab, target } => self.start_backend(tab, target),
                Action::RestartWorker { tab, failure } => self.restart_worker(tab, failure),
                Action::CloseTab { tab, failure } => self.close_tab(tab, failure),
                Action::GiveUpTarget { target, failure } => {
                    tracing::warn!(%target, %failure, "target given up");
                    let info = self.targets.unavailable(target, &failure);
                    self.events.emit(|| EventKind::TargetUnavailable { info });
                }
            }
        }
    }

    fn launch_browser(&mut self, id: BrowserId, browser: Browser) {
        self.launching.insert(id, browser);
        let backends = self.config.targets.iter().filter(|target| target.browser == browser).map(|t| t.backend);
        let options = LaunchOptions {
            browser,
            backends: backends.collect(),
            gpu: if self.without_gpu.contains(&browser) { GpuMode::Software } else { self.config.gpu },
            headless: self.config.headless,
            launch_timeout: self.config.launch_timeout,
            command_timeout: self.config.command_timeout,
        };
        let (catalogue, overrides) = (self.catalogue.clone(), self.config.overrides.clone());
        let (reports, signals) = (self.reports.clone(), self.browser_signals.clone());
        tokio::spawn(async move {
            let result = browser::launch(&catalogue, &overrides, id, &options, signals).await;
            let _ = reports.send(Report::Launched { id, result });
        });
    }

    fn end_browser(&mut self, id: BrowserId) {
        if let Some((_, browser)) = self.browsers.remove(&id) {
            self.events.emit(|| EventKind::BrowserEnded { browser: id, failure: None });
            let reports = self.reports.clone();
            tokio::spawn(async move {
                browser.close().await;
                let _ = reports.send(Report::BrowserClosed { id });
            });
        }
    }

    fn open_tab(&mut self, tab: TabId, browser: BrowserId, target: Target) {
        let Some((_, running)) = self.browsers.get(&browser) else { return };
        let invitation = self.server.invite(tab, self.tab_signals.clone());
        let (running, url, reports) = (running.clone(), invitation.url(), self.reports.clone());
        self.tabs.insert(tab, Tab::new(browser, target, invitation));
        tokio::spawn(async move {
            let result = running.open_tab(tab, &url).await;
            let _ = reports.send(Report::TabOpened { tab, result });
        });
    }

    fn start_backend(&mut self, id: TabId, target: Target) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let options = StartOptions {
            backend: target.backend,
            webnn_device: self.config.webnn_device,
            threads: self.config.threads,
            custom_runtime: self.config.custom_runtime.is_some(),
        };
        let request = tab.expect(Pending::Start);
        // A closed socket is told by its own signal.
        let _ = tab.link.as_ref().map(|link| link.start(request, &options));
    }

    fn restart_worker(&mut self, id: TabId, failure: Failure) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let target = tab.target;
        tracing::info!(tab = %id, %target, %failure, "worker restarted");
        tab.forget_worker();
        let Some((_, browser)) = self.browsers.get(&tab.browser) else { return };
        let (browser, reports) = (browser.clone(), self.reports.clone());
        tokio::spawn(async move {
            let result = browser.restart_worker(id).await;
            let _ = reports.send(Report::WorkerRestarted { tab: id, result });
        });
    }

    fn close_tab(&mut self, id: TabId, failure: Failure) {
        let Some(tab) = self.tabs.remove(&id) else { return };
        tracing::info!(tab = %id, target = %tab.target, %failure, "tab lost");
        self.events.emit(|| EventKind::TabLost { tab: id, target: tab.target, failure });
        if let Some((_, browser)) = self.browsers.get(&tab.browser) {
            let browser = browser.clone();
            tokio::spawn(async move {
                if let Err(error) = browser.close_tab(id).await {
                    tracing::debug!(tab = %id, %error, "a lost tab could not be closed");
                }
            });
        }
    }

    fn start_attempt(&mut self, tab_id: TabId, id: JobId, attempt: u32) {
        let (Some(tab), Some(job)) = (self.tabs.get_mut(&tab_id), self.jobs.get_mut(&id)) else { return };
        job.started = Instant::now();
        job.attempt = attempt;
        let Submission { model, run, .. } = &job.submission;
        let files: &Arc<ModelFiles> = &model.served;
        if !run.release {
            tab.loaded.insert(model.key.clone());
        }
        let request = tab.expect(Pending::Run(id));
        // A closed socket is told by its own signal, and the job is then placed again.
        let _ = tab.link.as_ref().map(|link| link.run(request, files, run));
        let target = tab.target;
        self.events.emit(|| EventKind::AttemptStarted { job: id, attempt, tab: tab_id, target });
    }

    fn attempt_failed(&mut self, id: JobId, number: u32, attempt: Attempt) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Attempt { target, tab, failure, elapsed_ms } = attempt;
        tracing::debug!(job = %id, %target, %failure, "attempt failed");
        let model = job.submission.model.tag.clone();
        self.events.emit(|| EventKind::AttemptFailed {
            job: id,
            attempt: number,
            tab,
            target,
            model,
            severity: failure.severity(),
            failure,
            elapsed_ms,
        });
    }

    fn end_with_result(&mut self, id: JobId, failed_attempts: Vec<Attempt>) {
        let (Some(job), Some((tab_id, report))) = (self.jobs.remove(&id), self.result.take()) else { return };
        let Some(tab) = self.tabs.get(&tab_id) else { return };
        let Some(info) = tab.info.clone() else { return };
        let timings = timings(&job, &report);
        let cpu_fallback = report.load.as_ref().and_then(|load| load.cpu_fallback);
        let (target, attempt, model) = (tab.target, job.attempt, job.submission.model.tag.clone());
        let provenance =
            Provenance { target, backend: target.backend, cpu_fallback, browser_id: tab.browser, tab: tab_id, info };
        self.events.emit(|| EventKind::AttemptSucceeded {
            job: id,
            attempt,
            tab: tab_id,
            target,
            model,
            timings,
            cpu_fallback,
        });
        let result = match report.outputs.tensors() {
            Ok(tensors) => Ok(Output { tensors, provenance, timings, failed_attempts }),
            Err(error) => Err(JobError {
                model: job.submission.model.tag.name.clone(),
                failure: Failure::new(Cause::BadFrame, format!("the tab's outputs cannot be read: {error}")),
                attempts: failed_attempts,
            }),
        };
        let failure = result.as_ref().err().map(|error| error.failure.clone());
        self.events.emit(|| EventKind::JobEnded { job: id, attempts: attempt, failure });
        // Whoever no longer waits has cancelled the job.
        let _ = job.submission.reply.send(result);
    }

    fn end_with_failure(&mut self, id: JobId, failure: Failure, attempts: Vec<Attempt>) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let count = attempts.len() as u32;
        self.events.emit(|| EventKind::JobEnded { job: id, attempts: count, failure: Some(failure.clone()) });
        let model = job.submission.model.tag.name.clone();
        let _ = job.submission.reply.send(Err(JobError { model, failure, attempts }));
    }
}

fn timings(job: &Job, report: &RunReport) -> Timings {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let load = report.load.as_ref();
    let (download_ms, create_ms) = (load.map(|load| load.download_ms), load.map(|load| load.create_ms));
    let measured =
        report.run_ms + report.readback_ms.unwrap_or(0.0) + download_ms.unwrap_or(0.0) + create_ms.unwrap_or(0.0);
    Timings {
        queue_ms: ms(job.started.saturating_duration_since(job.submission.submitted)),
        download_ms,
        create_ms,
        run_ms: report.run_ms,
        readback_ms: report.readback_ms,
        wire_ms: (ms(job.started.elapsed()) - measured).max(0.0),
        total_ms: ms(job.submission.submitted.elapsed()),
    }
}
