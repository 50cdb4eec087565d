//! What the scheduler decided, carried out.

use super::Coordinator;
use crate::{
    browser::{self, BrowserError, GpuMode, LaunchOptions},
    fleet::{
        message::Report,
        tab::{Pending, Tab},
    },
    harness::StartOptions,
    schedule::{Action, Input, LONGEST_WAIT, Recovery},
    types::{Browser, BrowserId, Cause, EventKind, Failure, JobId, ModelId, SessionId, TabId, Target},
};
use std::time::Instant;

/// What a tab does with a model that it has loaded before a job needs it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterLoad {
    Nothing,
    /// Runs it on zeros, where it is known how many.
    RunOnce,
}

impl Coordinator {
    pub(super) fn tell(&mut self, input: Input) {
        self.scheduler.handle(input, Instant::now());
        self.carry_out();
        self.tell_settled();
        self.answer_warm_ups();
        self.tell_of_stages();
    }

    /// Answers those who wait for a stage to be loaded, when it is or will not be.
    pub(super) fn tell_of_stages(&mut self) {
        for (stage, reply) in std::mem::take(&mut self.awaiting_stages) {
            match self.scheduler.stage_is_loaded(stage) {
                // Whoever no longer waits does not need to know.
                Some(is_loaded) => drop(reply.send(is_loaded)),
                None => self.awaiting_stages.push((stage, reply)),
            }
        }
    }

    pub(super) fn tell_settled(&mut self) {
        if !self.awaiting_settled.is_empty() && self.scheduler.settled() {
            for reply in self.awaiting_settled.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.scheduler.next_action() {
            match action {
                Action::StartAttempt { tab, job, attempt, placement, with } if with.is_empty() => {
                    self.start_attempt(tab, job, attempt, placement);
                }
                Action::StartAttempt { tab, job, attempt, placement, with } => {
                    let jobs: Vec<(JobId, u32)> = std::iter::once((job, attempt)).chain(with).collect();
                    self.start_together(tab, &jobs, placement);
                }
                Action::BatchSplit { tab, target, model, jobs, failure } => {
                    let Some(model) = self.models.get(&model).map(|known| known.tag.clone()) else { continue };
                    tracing::debug!(%tab, %target, jobs, %failure, "a run of several jobs failed: they go on in halves");
                    self.events.emit(|| EventKind::BatchSplit { tab, target, model, jobs, failure });
                }
                Action::EndWithResult { job, attempts } => self.end_with_result(job, attempts),
                Action::EndWithFailure { job, failure, attempts } => self.end_with_failure(job, failure, attempts),
                Action::FallBack { job, failure, attempts } => self.fall_back(job, failure, attempts),
                Action::AttemptFailed { job, model, number, severity, attempt } => {
                    self.attempt_failed(job, model, number, severity, attempt);
                }
                Action::DropModel { tab, model } => self.drop_model(tab, model),
                Action::ForgetSession { tab, session } => self.forget_session(tab, session),
                Action::SessionEnded { session } => self.sessions.ended(session),
                Action::StateBegun { session, model, tab, target } => {
                    let Some(model) = self.models.get(&model).map(|known| known.tag.clone()) else { continue };
                    tracing::debug!(%session, model = model.name, %tab, %target, "session begun");
                    self.events.emit(|| EventKind::SessionBegun { session, model, tab, target });
                }
                Action::StateEnded { session, target, why } => {
                    tracing::debug!(%session, %target, %why, "session ended");
                    self.events.emit(|| EventKind::SessionEnded { session, target, why });
                }
                Action::RunCanary { tab } => self.run_canary(tab),
                Action::LoadModel { tab, model } => self.load_model(tab, model, AfterLoad::Nothing),
                Action::WarmModel { tab, model } => self.load_model(tab, model, AfterLoad::RunOnce),
                Action::RetireTab { tab, target, reason } => {
                    tracing::info!(%tab, %target, reason, "tab retired");
                    self.events.emit(|| EventKind::TabClosed { tab, target });
                    self.take_tab_away(tab);
                }
                Action::Scaled { target, from, to, reason } => {
                    tracing::info!(%target, from, to, reason, "another number of tabs");
                    self.events.emit(|| EventKind::Scaled { target, from, to, reason });
                }
                Action::PingTab { tab } => self.ping_tab(tab),
                Action::PingBrowser { id } => self.ping_browser(id),
                Action::MeasureMemory { id } => self.measure_memory(id),
                Action::BreakerChanged { target, model, from, to, reason, wait } => {
                    let model = model.and_then(|id| Some(self.models.get(&id)?.tag.clone()));
                    let of = model.as_ref().map(|tag| tag.name.as_str()).unwrap_or("every model");
                    tracing::warn!(%target, model = of, %from, %to, reason, "circuit breaker");
                    let wait_ms = wait.map(|wait| wait.as_secs_f64() * 1e3);
                    self.events.emit(|| EventKind::BreakerChanged { target, model, from, to, reason, wait_ms });
                }
                Action::Disconnected { tab, target, failure } => {
                    self.events.emit(|| EventKind::TabDisconnected { tab, target, failure });
                }
                Action::HealthChecked { tab, target, failure } => {
                    if let Some(failure) = &failure {
                        tracing::warn!(%tab, %target, %failure, "health check failed");
                    }
                    self.events.emit(|| EventKind::HealthChecked { tab, target, failure });
                }
                Action::Recovered(recovery) => self.recovered(recovery),
                Action::LaunchBrowser { id, browser } => self.launch_browser(id, browser),
                Action::EndBrowser { id } => self.end_browser(id),
                Action::OpenTab { tab, browser, target } => self.open_tab(tab, browser, target),
                Action::StartBackend { tab, target } => self.start_backend(tab, target),
                Action::RestartWorker { tab, reason } => self.restart_worker(tab, &reason),
                Action::CloseTab { tab, failure } => self.close_tab(tab, failure),
                Action::GiveUpTarget { target, failure } => {
                    tracing::info!(%target, %failure, "target given up");
                    let info = self.targets.unavailable(target, &failure);
                    self.events.emit(|| EventKind::TargetUnavailable { info });
                }
            }
        }
    }

    pub(super) fn launch_browser(&mut self, id: BrowserId, browser: Browser) {
        let backends = self.config.targets.iter().filter(|target| target.browser == browser).map(|t| t.backend);
        let options = LaunchOptions {
            browser,
            backends: backends.collect(),
            gpu: if self.without_gpu.contains(&browser) { GpuMode::Software } else { self.config.gpu },
            headless: self.config.headless,
            launch_timeout: self.config.launch_timeout,
            command_timeout: self.config.command_timeout.min(LONGEST_WAIT),
        };
        let (catalogue, overrides) = (self.catalogue.clone(), self.config.overrides.clone());
        let (reports, signals) = (self.reports.clone(), self.browser_signals.clone());
        let launch = tokio::spawn(async move {
            let result = browser::launch(&catalogue, &overrides, id, &options, signals).await;
            let _ = reports.send(Report::Launched { id, result });
        });
        self.launching.insert(id, (browser, launch.abort_handle()));
    }

    pub(super) fn end_browser(&mut self, id: BrowserId) {
        if let Some((_, browser)) = self.browsers.remove(&id) {
            self.events.emit(|| EventKind::BrowserEnded { browser: id, failure: None });
            let reports = self.reports.clone();
            tokio::spawn(async move {
                browser.close().await;
                let _ = reports.send(Report::BrowserClosed { id });
            });
        }
    }

    pub(super) fn open_tab(&mut self, tab: TabId, browser: BrowserId, target: Target) {
        let Some((_, running)) = self.browsers.get(&browser) else { return };
        let invitation = self.server.invite(tab, self.tab_signals.clone());
        let (running, url, reports) = (running.clone(), invitation.url(), self.reports.clone());
        self.tabs.insert(tab, Tab::new(browser, target, invitation));
        tokio::spawn(async move {
            let result = running.open_tab(tab, &url).await;
            let _ = reports.send(Report::TabOpened { tab, browser, result });
        });
    }

    pub(super) fn start_backend(&mut self, id: TabId, target: Target) {
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

    pub(super) fn restart_worker(&mut self, id: TabId, reason: &str) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let target = tab.target;
        tracing::info!(tab = %id, %target, reason, "worker restarted");
        tab.forget_worker();
        self.channels.lost(id);
        let Some(tab) = self.tabs.get(&id) else { return };
        let Some((_, browser)) = self.browsers.get(&tab.browser) else { return };
        let (browser, reports) = (browser.clone(), self.reports.clone());
        tokio::spawn(async move {
            let result = browser.restart_worker(id).await;
            let _ = reports.send(Report::WorkerRestarted { tab: id, result });
        });
    }

    pub(super) fn close_tab(&mut self, id: TabId, failure: Failure) {
        let Some(target) = self.tabs.get(&id).map(|tab| tab.target) else { return };
        tracing::info!(tab = %id, %target, %failure, "tab lost");
        self.events.emit(|| EventKind::TabLost { tab: id, target, failure });
        self.take_tab_away(id);
    }

    fn take_tab_away(&mut self, id: TabId) {
        let Some(tab) = self.tabs.remove(&id) else { return };
        self.channels.lost(id);
        self.close_page(id, tab.browser);
    }

    pub(super) fn close_page(&self, id: TabId, browser: BrowserId) {
        let Some((_, browser)) = self.browsers.get(&browser) else { return };
        let browser = browser.clone();
        tokio::spawn(async move {
            if let Err(error) = browser.close_tab(id).await {
                tracing::debug!(tab = %id, %error, "a tab could not be closed");
            }
        });
    }

    fn drop_model(&mut self, id: TabId, model: ModelId) {
        let Some(served) = self.models.get(&model).map(|known| known.served.clone()) else { return };
        if self.another_has(&served.key, model) {
            return;
        }
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        if tab.loaded.remove(served.key.as_str()).is_some() {
            let request = tab.next_request();
            // A tab without a socket has no session left to drop.
            let _ = tab.link.as_ref().map(|link| link.release(request, &served.key));
        }
    }

    fn forget_session(&mut self, id: TabId, session: SessionId) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let request = tab.next_request();
        // A tab without a socket keeps nothing any more.
        let _ = tab.link.as_ref().map(|link| link.forget(request, session));
    }

    fn run_canary(&mut self, id: TabId) {
        let (Some(tab), Some(canary)) = (self.tabs.get_mut(&id), &self.canary) else { return };
        let request = tab.expect(Pending::Canary);
        // A closed socket is told by its own signal.
        let _ = tab.link.as_ref().map(|link| link.run(request, &canary.served, &canary.run));
    }

    fn load_model(&mut self, id: TabId, model: ModelId, then: AfterLoad) {
        let (Some(tab), Some(known)) = (self.tabs.get_mut(&id), self.models.get(&model)) else {
            let failure = Some(Failure::new(Cause::Cancelled, "nobody has a handle to the model any more"));
            self.scheduler.handle(Input::ModelLoaded { tab: id, model, failure }, Instant::now());
            return;
        };
        let request = tab.expect(Pending::Load(model));
        // A closed socket is told by its own signal.
        let zeros = known.zeros.as_deref().filter(|_| then == AfterLoad::RunOnce);
        let _ = tab.link.as_ref().map(|link| link.load(request, &known.served, zeros));
    }

    fn ping_tab(&mut self, id: TabId) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let request = tab.expect(Pending::Ping);
        // As above.
        let _ = tab.link.as_ref().map(|link| link.ping(request));
    }

    fn ping_browser(&mut self, id: BrowserId) {
        let Some((_, browser)) = self.browsers.get(&id) else { return };
        let (browser, reports, timeout) = (browser.clone(), self.reports.clone(), self.config.policy.heartbeat_timeout);
        tokio::spawn(async move {
            let asked = Instant::now();
            let kind = browser.identity().browser;
            let hung = BrowserError::Hung { browser: kind, command: "answer a heartbeat", after: timeout };
            let result = tokio::time::timeout(timeout, browser.heartbeat()).await.unwrap_or(Err(hung));
            let _ = reports.send(Report::Heartbeat { id, result, took: asked.elapsed() });
        });
    }

    fn measure_memory(&self, id: BrowserId) {
        let Some(pid) = self.browsers.get(&id).and_then(|(_, browser)| browser.process_id()) else { return };
        let reports = self.reports.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(bytes) = browser::tree_memory(pid) {
                let _ = reports.send(Report::Memory { id, bytes });
            }
        });
    }

    fn recovered(&mut self, recovery: Recovery) {
        let Recovery { browser, target, tab, job, failure, strategy, succeeded, took } = recovery;
        tracing::info!(%browser, %strategy, succeeded, ?took, %failure, "recovery");
        let elapsed_ms = took.as_secs_f64() * 1e3;
        self.events.emit(|| EventKind::Recovery {
            browser,
            target,
            tab,
            job,
            failure,
            strategy,
            succeeded,
            elapsed_ms,
        });
    }
}
