//! What comes in, told to the scheduler.

use super::{Answer, Coordinator, Job, KnownModel};
use crate::{
    browser::{BrowserError, BrowserSignal, BrowserSignalKind, GpuMode, Heartbeat, RunningBrowser},
    fleet::{
        message::{Report, Request},
        model::ModelRecord,
        tab::Pending,
        targets::computes_in_software,
        warm::WarmUp,
    },
    harness::{LostWhat, RunReport, TabMessage, TabSignal, TabSignalKind},
    onnx::ModelFile,
    schedule::{Input, LONGEST_WAIT},
    types::{Backend, BrowserId, Cause, EventKind, Failure, FleetHealth, JobId, ModelId, TabId, TensorInfo},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

impl Coordinator {
    pub(super) fn request(&mut self, request: Request) {
        match request {
            Request::Submit(submission) => {
                let (job, spec) = (submission.job, submission.spec.clone());
                self.events.emit(|| EventKind::JobQueued { job, model: submission.model.tag.name.clone() });
                let started = submission.submitted;
                self.know(&submission.model);
                let span = tracing::Span::none();
                let submission = *submission;
                let waits = Job { submission, started, attempt: 0, placement: None, part: None, handover: None, span };
                self.jobs.insert(job, waits);
                self.tell(Input::Submit { job, spec });
            }
            Request::WarmUp(warm_up) => self.warm_up(warm_up),
            Request::AwaitStage(stage, reply) => {
                self.awaiting_stages.push((stage, reply));
                self.tell_of_stages();
            }
            Request::FetchHandover { id, holders, reply } => self.fetch_handover(id, holders, reply),
            Request::DropHandover { id, holders } => self.drop_handover(id, holders),
            Request::Cancel(job) => {
                let cancelled = Failure::new(Cause::Cancelled, "the job was cancelled");
                if !self.stop_native(job, cancelled) {
                    self.tell(Input::Cancel { job });
                }
            }
            Request::DeclareStage(stage, spec) => {
                let model = stage.id;
                self.know(&stage);
                self.tell(Input::DeclareStage { model, spec });
            }
            Request::Places(allowed, reply) => {
                let hopeful = self.scheduler.hopeful().intersection(allowed);
                let _ = reply.send(hopeful.len() * self.config.policy.tabs_per_target);
            }
            Request::EndSession(session) => self.tell(Input::EndSession { session }),
            Request::Forget(model, key) => {
                self.models.remove(&model);
                self.natives.forget(model);
                self.tell(Input::ForgetModel { model });
                if self.another_has(&key, model) {
                    return;
                }
                for tab in self.tabs.values_mut() {
                    if tab.loaded.remove(&key).is_none() {
                        continue;
                    }
                    let id = tab.next_request();
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
            Request::Health(reply) => {
                let _ = reply.send(self.health());
            }
            Request::Tabs(reply) => {
                let _ = reply.send(self.tabs.iter().map(|(id, tab)| (*id, tab.browser, tab.target)).collect());
            }
            Request::CutSocket(tab, reply) => {
                let _ = reply.send(self.tabs.get(&tab).is_some_and(|tab| tab.invitation.cut()));
            }
            Request::Close(_) => {}
        }
    }

    fn know(&mut self, model: &ModelRecord) {
        self.models.entry(model.id).or_insert_with(|| KnownModel {
            tag: model.tag.clone(),
            served: model.served.clone(),
            zeros: model.file.as_ref().and_then(ModelFile::zeros),
            may_batch: true,
            seen: BTreeMap::new(),
        });
    }

    /// Whether another model is the same files with the same options, and so shares what tabs hold of them.
    pub(super) fn another_has(&self, key: &str, model: ModelId) -> bool {
        self.models.iter().any(|(id, known)| *id != model && known.served.key == key)
    }

    fn warm_up(&mut self, WarmUp { model, tabs, reply }: WarmUp) {
        self.know(&model);
        // Its first job may take as long.
        self.tell(Input::WarmUp { model: model.id, tabs, timeout: self.config.job_deadline });
        self.warm_ups.wait(&model, reply);
        self.answer_warm_ups();
    }

    /// Tells those who wait for models to be warm, when they are.
    pub(super) fn answer_warm_ups(&mut self) {
        let Self { warm_ups, scheduler, tabs, .. } = self;
        let count = |key: &str| tabs.values().filter(|tab| tab.loaded.contains_key(key)).count();
        warm_ups.answer(|model| scheduler.is_warming(model), count);
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Launched { id, result } => self.launched(id, result),
            // It was given up while it was being opened, when there was nothing to be closed yet.
            Report::TabOpened { tab, browser, result: Ok(()) } if !self.tabs.contains_key(&tab) => {
                self.close_page(tab, browser);
            }
            Report::TabOpened { tab, result: Ok(()), .. } | Report::WorkerRestarted { tab, result: Ok(()) } => {
                self.tell(Input::WorkerStarts { tab });
            }
            Report::TabOpened { tab, result: Err(error), .. } => {
                self.tell(Input::TabFailed { tab, failure: error.failure() });
            }
            Report::WorkerRestarted { tab, result: Err(error) } => {
                self.tell(Input::TabLost { tab, failure: error.failure() });
            }
            Report::Heartbeat { id, result, took } => {
                let answer = match result {
                    Ok(Heartbeat::Answered) => Ok(Some(took)),
                    Ok(Heartbeat::NotAsked) => Ok(None),
                    Err(error) => Err(error.failure()),
                };
                self.tell(Input::BrowserHeartbeat { id, answer });
            }
            Report::RanNatively { job, result } => self.ran_natively(job, result),
            Report::Memory { id, bytes } => self.tell(Input::BrowserMemory { id, bytes }),
            Report::BrowserClosed { id } => {
                let failure = Failure::new(Cause::BrowserExited, "the browser was restarted");
                self.tell(Input::BrowserExited { id, failure });
            }
        }
    }

    fn health(&self) -> FleetHealth {
        let name = |id| self.models.get(&id).map_or_else(|| id.to_string(), |model| model.tag.name.clone());
        let mut health = self.scheduler.health(Instant::now(), SystemTime::now(), name);
        health.browsers.iter_mut().for_each(|browser| {
            browser.pid = self.browsers.get(&browser.id).and_then(|(_, running)| running.process_id());
        });
        health
    }

    pub(super) fn launched(&mut self, id: BrowserId, result: Result<Arc<dyn RunningBrowser>, BrowserError>) {
        let Some((kind, _)) = self.launching.remove(&id) else { return };
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
                tracing::info!(%kind, %failure, "browser did not start");
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

    pub(super) fn browser_signal(&mut self, BrowserSignal { browser, kind }: BrowserSignal) {
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

    pub(super) fn browser_ended(&mut self, id: BrowserId, failure: Failure) -> Input {
        if let Some((_, browser)) = self.browsers.remove(&id) {
            tracing::warn!(%id, %failure, "browser ended");
            self.events.emit(|| EventKind::BrowserEnded { browser: id, failure: Some(failure.clone()) });
            // What is left of it: helpers, its driver, its profile folder.
            tokio::spawn(async move { browser.close().await });
        }
        Input::BrowserExited { id, failure }
    }

    pub(super) fn tab_signal(&mut self, TabSignal { tab: id, connection, kind }: TabSignal) {
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
                tab.lost = tab.job_at_work().and_then(|job| Some((job, self.jobs.get(&job)?.rows())));
                tab.forget_worker();
                self.channels.lost(id);
                self.tell(Input::WorkerLost { tab: id, failure });
            }
        }
    }

    pub(super) fn tab_message(&mut self, id: TabId, message: TabMessage) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        match message {
            TabMessage::Ready { id: request, ready } if tab.answered(request) == Some(Pending::Start) => {
                if computes_in_software(&ready) {
                    self.scheduler.handle(Input::TargetIsSoftware { target: tab.target }, Instant::now());
                }
                if let (Backend::Wasm, Some(threads)) = (tab.target.backend, ready.threads) {
                    let (target, threads) = (tab.target, threads as usize);
                    self.scheduler.handle(Input::TargetThreads { target, threads }, Instant::now());
                }
                let info = self.targets.ready(tab.target, ready);
                tab.info = Some(info.clone());
                let browser = tab.browser;
                self.events.emit(|| EventKind::TabReady { tab: id, browser, info });
                self.tell(Input::TabReady { tab: id });
            }
            TabMessage::Result { id: request, result } => match tab.answered(request) {
                Some(Pending::Run(job)) if !self.keeps_what_it_should(job, &result) => {
                    let message = format!("{job} was answered by a tab that did not keep or hand on what it was to");
                    self.tell(Input::WorkerLost { tab: id, failure: Failure::new(Cause::BadFrame, message) });
                }
                Some(Pending::Run(job)) => self.ran(id, job, result, 0.0),
                Some(Pending::RunTogether(job, rows)) => self.ran_together(id, job, rows, result),
                Some(Pending::Alone(check)) => self.ran_alone(id, check, &result),
                Some(Pending::Canary) => {
                    let failure = self.canary.as_ref().and_then(|canary| canary.check(&result));
                    self.tell(Input::CanaryAnswered { tab: id, failure });
                }
                _ => {}
            },
            TabMessage::Failed { id: request, failed } => match tab.answered(request) {
                Some(Pending::Run(job) | Pending::RunTogether(job, _)) => {
                    let failure = failed.failure();
                    if let Cause::ModelLoad | Cause::ModelDownload = failure.cause
                        && let Some(job) = self.jobs.get(&job)
                    {
                        tab.loaded.remove(&job.submission.model.key);
                    }
                    self.distrust_channel(job, &failure);
                    self.tell(Input::AttemptFailed { tab: id, job, failure });
                }
                Some(Pending::Alone(check)) => self.failed_alone(id, check, failed.failure()),
                Some(Pending::Start) => self.start_failed(id, failed.failure()),
                Some(Pending::Canary) => {
                    self.tell(Input::CanaryAnswered { tab: id, failure: Some(failed.failure()) });
                }
                Some(Pending::Load(model)) => {
                    self.tell(Input::ModelLoaded { tab: id, model, failure: Some(failed.failure()) });
                }
                Some(Pending::Meet(whom)) => self.cannot_meet(id, whom, &failed.failure()),
                // Whoever waits hears that nothing comes.
                Some(Pending::Fetch) => drop(tab.fetches.remove(&request)),
                Some(Pending::Ping) | None => {}
            },
            TabMessage::Lost { what, message } => {
                let cause = match what {
                    LostWhat::WebgpuDevice | LostWhat::WebnnContext => Cause::DeviceLost,
                    LostWhat::Worker => Cause::WorkerCrashed,
                };
                self.tell(Input::WorkerLost { tab: id, failure: Failure::new(cause, message) });
            }
            TabMessage::Pong { id: request, heap_bytes } if tab.answered(request) == Some(Pending::Ping) => {
                tab.heap_bytes = heap_bytes;
                self.tell(Input::TabAlive { tab: id, heap_bytes });
            }
            TabMessage::Loaded { id: request, load } => {
                if let Some(Pending::Load(model)) = tab.answered(request) {
                    if let Some(known) = self.models.get(&model) {
                        tab.loaded.insert(known.served.key.as_str().into(), load.cpu_fallback);
                    }
                    self.tell(Input::ModelLoaded { tab: id, model, failure: None });
                }
            }
            TabMessage::Met { id: request } => {
                if let Some(Pending::Meet(whom)) = tab.answered(request) {
                    self.met(id, whom);
                }
            }
            TabMessage::Fetched { id: request, tensors } => {
                tab.answered(request);
                // Whoever no longer waits has cancelled the job.
                let _ = tab.fetches.remove(&request).map(|reply| reply.send(tensors));
            }
            TabMessage::Ready { .. }
            | TabMessage::Probed { .. }
            | TabMessage::Released { .. }
            | TabMessage::Pong { .. } => {}
        }
    }

    pub(super) fn ran(&mut self, tab: TabId, job: JobId, report: RunReport, aside_ms: f64) {
        let run = Duration::try_from_secs_f64(report.run_ms / 1e3).unwrap_or_default().min(LONGEST_WAIT);
        let outputs = report.outputs.tensors();
        self.result = Some(Answer { tab, report, outputs, told: 0, aside_ms });
        self.tell(Input::AttemptSucceeded { tab, job, run });
        self.result = None;
    }

    /// Whether a tab says that it kept what the job told it to, and nothing else, and handed on nothing else than that.
    fn keeps_what_it_should(&self, job: JobId, result: &RunReport) -> bool {
        let Some(job) = self.jobs.get(&job) else { return true };
        let told = job.submission.run.state.iter().flat_map(|state| &state.keep).map(|(output, _)| output.as_str());
        let may_go_on = job.handover.as_ref().and(job.submission.passing.as_ref()).and_then(|way| way.next.as_ref());
        let goes_on = |info: &TensorInfo| may_go_on.is_some_and(|next| next.outputs.contains(&info.name));
        told.collect::<BTreeSet<_>>() == result.kept.iter().map(|kept| kept.info.name.as_str()).collect()
            && result.handed_on.iter().all(goes_on)
    }

    /// A backend did not start. WebGPU without an adapter may still work on a software one: its browser is then
    /// launched again for that, once. What tabs of a browser that is being ended say is no longer about anything.
    pub(super) fn start_failed(&mut self, id: TabId, failure: Failure) {
        let Some(tab) = self.tabs.get(&id) else { return };
        let Some((kind, browser)) = self.browsers.get(&tab.browser) else { return };
        if tab.target.backend == Backend::Webgpu
            && self.config.gpu == GpuMode::Auto
            && browser.gpu() == GpuMode::Hardware
            && self.without_gpu.insert(*kind)
        {
            tracing::warn!(browser = %kind, %failure, "no hardware WebGPU adapter: launching again for a software one");
            self.end_browser(tab.browser);
            return;
        }
        self.tell(Input::TabFailed { tab: id, failure });
    }
}
