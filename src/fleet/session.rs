//! Sessions: calls of one model, one after the other, each of which goes on from what the one before left in its tab.

mod book;
mod options;

pub(super) use book::Sessions;
use book::Turn;

use super::{
    Fleet, Inputs, JobError, JobOptions, Model, Output,
    message::Request,
    model::ModelRecord,
    submit::{Payload, failed},
};
use crate::{
    harness::{StateCall, TensorBatch},
    schedule::{LONGEST_WAIT, SessionCall},
    types::{Cause, EventKind, Isolation, SessionId},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How a call of a session may be run, and what it leaves in the tab for the next; made with [`JobOptions::keep`].
#[derive(Clone, Debug)]
pub struct SessionOptions {
    job: JobOptions,
    keep: Vec<(String, String)>,
    time_to_live: Option<Duration>,
    rebuild_within: Option<u64>,
}

impl JobOptions {
    /// For a call of a session: outputs that stay in the tab, each with the input of the session's next call that it
    /// feeds. They do not come back: neither they nor that input cross the wire. What a call does not keep again is gone
    /// after it.
    pub fn keep<O: Into<String>, I: Into<String>>(self, kept: impl IntoIterator<Item = (O, I)>) -> SessionOptions {
        let keep = kept.into_iter().map(|(output, input)| (output.into(), input.into())).collect();
        SessionOptions { job: self, keep, time_to_live: None, rebuild_within: None }
    }
}

impl SessionOptions {
    /// How long the tab keeps the state after this call while no other comes; without it
    /// [`FleetConfig::session_time_to_live`](super::FleetConfig::session_time_to_live), five minutes.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }

    /// When the state is gone, makes it anew: the fleet records the inputs of the session's calls and runs them again on
    /// whichever tab is best, as one more of the call's attempts. To be said from the first call on. The recorded inputs
    /// take so many bytes at the most; a call that would go beyond fails with `memory-limit`, and changes nothing.
    pub fn rebuild_within(mut self, bytes: u64) -> Self {
        self.rebuild_within = Some(bytes);
        self
    }
}

impl Model {
    /// Runs one call of the session of that name: a series of calls of this model, one at a time, each of which goes on
    /// from what the one before [kept](JobOptions::keep) in its tab. The first call brings every input and is placed as
    /// any job; the later ones go where the state is, whatever is done there, and leave out what was kept for them. The
    /// state ends with [`close_session`](Self::close_session), when no call comes for its time to live, with the last
    /// handle of the model, and with its tab's worker.
    ///
    /// # Errors
    /// As [`run`](Self::run); `state-lost` when the state is gone and is not to be [rebuilt](SessionOptions::rebuild_within),
    /// with the reason: the next call may then begin the session anew. A call that is given up while a tab is at it, by
    /// its deadline or because its future is dropped, costs the state, too. One that fails for another cause (wrong
    /// inputs, a node that cannot run) leaves it as it was before.
    pub async fn execute_in_session<'a>(
        &self,
        session: &str,
        inputs: impl Into<Inputs<'a>>,
        options: SessionOptions,
    ) -> Result<Output, JobError> {
        let call =
            Call { fleet: &self.fleet, model: &self.record, session, options: &options, started: Instant::now() };
        call.run(inputs.into()).await.map_err(|mut error| {
            if error.failure.cause == Cause::StateLost {
                error.failure.message = format!("session `{session}`: {}", error.failure.message);
            }
            error
        })
    }

    /// Ends a session: its tab drops what it keeps of it. Tells whether there was one. A call that is under way is waited
    /// for.
    pub async fn close_session(&self, session: &str) -> bool {
        let Some(mut turn) = self.fleet.0.sessions.find(self.record.id, session).await else { return false };
        let state = turn.now_has(None).filter(|state| state.calls > 0);
        *turn.progress_mut() = Progress::default();
        state.into_iter().for_each(|state| self.fleet.request(Request::EndSession(state.session)));
        state.is_some()
    }
}

/// One call on its way.
struct Call<'a> {
    fleet: &'a Fleet,
    model: &'a Arc<ModelRecord>,
    session: &'a str,
    options: &'a SessionOptions,
    started: Instant,
}

/// How far a session has come.
#[derive(Debug, Default)]
struct Progress {
    state: Option<State>,
    /// The inputs of the next call that the state feeds.
    fed: Vec<String>,
    /// The calls that would make the state anew, when that is wanted.
    recorded: Vec<Recorded>,
}

/// A state in a tab.
#[derive(Clone, Copy, Debug)]
struct State {
    session: SessionId,
    /// The calls that it has been through.
    calls: u64,
}

impl State {
    /// One that the next call begins.
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { session: SessionId(NEXT.fetch_add(1, Ordering::Relaxed)), calls: 0 }
    }
}

/// A state that only the call under way knows of: it ends with the call, however that ends, unless it is claimed.
struct Unclaimed<'a> {
    fleet: &'a Fleet,
    session: Option<SessionId>,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        self.session.into_iter().for_each(|session| self.fleet.request(Request::EndSession(session)));
    }
}

#[derive(Clone, Debug)]
struct Recorded {
    inputs: TensorBatch,
    keep: Vec<(String, String)>,
}

impl Call<'_> {
    async fn run(&self, inputs: Inputs<'_>) -> Result<Output, JobError> {
        self.check_keep()?;
        let SessionOptions { job, keep, rebuild_within, .. } = self.options;
        let turn = self.fleet.0.sessions.take(self.model.id, self.session);
        let mut turn = tokio::time::timeout(job.deadline, turn).await.map_err(|_| {
            let why = "the session's earlier calls were not done before the call's deadline";
            failed(self.model, Cause::DeadlineExceeded, why)
        })?;
        self.check_inputs(turn.progress(), &inputs)?;
        let inputs = TensorBatch::encode(inputs.0.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        let call = Recorded { inputs, keep: keep.clone() };
        self.check_recorded(turn.progress(), &call)?;

        let (mut attempts, mut rounds) = (Vec::new(), 0);
        loop {
            rounds += 1;
            match self.attempt(&mut turn, &call).await {
                Ok(mut output) => {
                    let progress = turn.progress_mut();
                    progress.fed = keep.iter().map(|(_, input)| input.clone()).collect();
                    match rebuild_within {
                        Some(_) => progress.recorded.push(call),
                        None => progress.recorded.clear(),
                    }
                    output.failed_attempts.splice(..0, attempts);
                    return Ok(output);
                }
                Err(error) => {
                    attempts.extend(error.attempts);
                    let is_lost = error.failure.cause == Cause::StateLost;
                    if is_lost {
                        turn.now_has(None);
                    }
                    if is_lost && rebuild_within.is_some() && rounds < job.attempts {
                        tracing::info!(session = self.session, failure = %error.failure, "a session is rebuilt");
                        continue;
                    }
                    if is_lost {
                        *turn.progress_mut() = Progress::default();
                    }
                    return Err(JobError { attempts, ..error });
                }
            }
        }
    }

    /// Sends the call where the state is, after making it anew where there is none.
    async fn attempt(&self, turn: &mut Turn, call: &Recorded) -> Result<Output, JobError> {
        let known = turn.progress().state;
        let mut state = known.unwrap_or_else(State::new);
        let session = (state.calls == 0).then_some(state.session);
        let mut unclaimed = Unclaimed { fleet: self.fleet, session };
        if known.is_none() {
            for call in turn.progress().recorded.clone() {
                // A run has to have an output; what is kept is one.
                let outputs = (!call.keep.is_empty()).then(Vec::new);
                self.step(state, &call, outputs).await?;
                state.calls += 1;
            }
        }
        turn.now_has(Some(state));
        if known.is_none() && state.calls > 0 {
            unclaimed.session = None;
            let (State { session, calls }, model) = (state, self.model.tag.clone());
            self.fleet.0.events.emit(|| EventKind::SessionRebuilt { session, model, calls });
        }
        let output = self.step(state, call, self.options.job.outputs.clone()).await?;
        turn.now_has(Some(State { calls: state.calls + 1, ..state }));
        unclaimed.session = None;
        Ok(output)
    }

    async fn step(&self, state: State, call: &Recorded, outputs: Option<Vec<String>>) -> Result<Output, JobError> {
        let State { session, calls } = state;
        let time_to_live =
            self.options.time_to_live.unwrap_or(self.fleet.config().session_time_to_live).min(LONGEST_WAIT);
        let mut options = self.options.job.clone();
        (options.outputs, options.release) = (outputs, false);
        options.deadline = options.deadline.saturating_sub(self.started.elapsed());
        let of_session = SessionCall { session, begins: calls == 0, time_to_live };
        let of_state = StateCall { session, call: calls, keep: call.keep.clone() };
        let payload = Payload { inputs: call.inputs.clone(), session: Some((of_session, of_state)), passing: None };
        self.fleet.submit_payload(self.model, payload, options).await?.await
    }

    fn check_keep(&self) -> Result<(), JobError> {
        let wrong = |why: String| failed(self.model, Cause::BadInput, why);
        if self.model.pipeline.is_some() {
            return Err(wrong("a model in stages has no session: its state would be in several tabs".to_owned()));
        }
        if self.model.isolation != Isolation::Shared {
            let why =
                format!("jobs of the model leave nothing behind ({}), so it has no session", self.model.isolation);
            return Err(wrong(why));
        }
        let kept_and_wanted = self
            .options
            .keep
            .iter()
            .find(|(output, _)| self.options.job.outputs.iter().flatten().any(|name| name == output));
        if let Some((output, _)) = kept_and_wanted {
            return Err(wrong(format!("output `{output}` is kept, and so does not come back: do not ask for it")));
        }
        let Some(file) = &self.model.file else { return Ok(()) };
        file.check_keep(&self.options.keep).map_err(|error| wrong(error.to_string()))
    }

    fn check_inputs(&self, progress: &Progress, inputs: &Inputs<'_>) -> Result<(), JobError> {
        let Some(file) = &self.model.file else { return Ok(()) };
        let Err(error) = file.check_inputs_beside(&inputs.0, &progress.fed) else { return Ok(()) };
        // It leaves out what a call would that goes on from one like itself.
        let fed: Vec<String> = self.options.keep.iter().map(|(_, input)| input.clone()).collect();
        if progress.state.is_none() && file.check_inputs_beside(&inputs.0, &fed).is_ok() {
            let why = format!(
                "the session has no state: it was never begun, was closed, or its time to live was over; {error}"
            );
            return Err(failed(self.model, Cause::StateLost, why));
        }
        Err(failed(self.model, Cause::BadInput, error.to_string()))
    }

    fn check_recorded(&self, progress: &Progress, call: &Recorded) -> Result<(), JobError> {
        let Some(limit) = self.options.rebuild_within else { return Ok(()) };
        if progress.state.is_some_and(|state| state.calls != progress.recorded.len() as u64) {
            let why = "not every call of the session was to be rebuilt: say so from the first one on";
            return Err(failed(self.model, Cause::BadInput, why));
        }
        let recorded: usize = progress.recorded.iter().chain([call]).map(|call| call.inputs.body_len()).sum();
        if recorded as u64 <= limit {
            return Ok(());
        }
        let why = format!(
            "the session's recorded inputs would take {recorded} bytes with this call, and it is to be rebuilt within \
             {limit}: allow more, or close it and begin anew"
        );
        Err(failed(self.model, Cause::MemoryLimit, why))
    }
}
