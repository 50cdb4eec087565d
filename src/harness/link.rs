//! The fleet's end of a tab's socket: requests out.

use super::{
    batch::TensorBatch,
    direct::{Direct, HandOn},
    error::LinkClosed,
    frame,
    model::{CpuFallback, ModelFiles},
};
use crate::types::{Backend, HandoverId, SessionId, TabId, TensorInfo, names};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// Sends requests to one tab, without ever waiting. A clone is another handle to the same socket; a new socket of the
/// same tab comes with a new link.
#[derive(Clone)]
pub struct TabLink(Arc<Inner>);

struct Inner {
    origin: Arc<str>,
    max_frame_bytes: usize,
    queue: mpsc::UnboundedSender<Bytes>,
    /// The models this connection was told about. A std mutex, because it is never held across an await; it also keeps
    /// a declaration and the request it is for in order.
    declared: Mutex<HashSet<String>>,
}

/// How a worker is to start its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// The backend.
    pub backend: Backend,
    /// The device type to ask WebNN for.
    pub webnn_device: WebnnDevice,
    /// WASM threads; 0 lets the runtime decide.
    pub threads: u32,
    /// Whether models are loaded by the module the server was given instead of ONNX Runtime Web.
    pub custom_runtime: bool,
}

/// A WebNN device type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WebnnDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The graphics processor.
    Gpu,
    /// The neural processor.
    Npu,
}
names!(WebnnDevice { Cpu = "cpu", Gpu = "gpu", Npu = "npu" });

/// One run of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// The inputs.
    pub inputs: TensorBatch,
    /// The names of the outputs wanted; `None` for all.
    pub outputs: Option<Vec<String>>,
    /// Whether the session is dropped after this run.
    pub release: bool,
    /// For a call of a session: what it goes on from, and what it keeps.
    pub state: Option<StateCall>,
}

/// Which call of a session a run is, and what it leaves in the tab for the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateCall {
    /// The session.
    pub session: SessionId,
    /// How many calls the state has been through before this one; 0 begins it.
    pub call: u64,
    /// The outputs that stay in the tab, each with the input of the next call that it feeds.
    pub keep: Vec<(String, String)>,
}

/// A request's header.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Request<'a> {
    Probe {
        id: u64,
    },
    Start {
        id: u64,
        backend: Backend,
        webnn_device: WebnnDevice,
        threads: u32,
        runtime: Option<String>,
        max_frame_bytes: usize,
    },
    Model {
        model: &'a str,
        name: &'a str,
        files: Vec<File<'a>>,
        cpu_fallback: CpuFallback,
        session_options: &'a Map<String, Value>,
    },
    Load {
        id: u64,
        model: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        zeros: Option<&'a [TensorInfo]>,
    },
    Run {
        id: u64,
        model: &'a str,
        inputs: &'a [TensorInfo],
        outputs: Option<&'a [String]>,
        release: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<&'a StateCall>,
        #[serde(skip_serializing_if = "Option::is_none")]
        handed: Option<HandoverId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hand_on: Option<&'a HandOn>,
    },
    Release {
        id: u64,
        model: &'a str,
    },
    Forget {
        id: u64,
        session: SessionId,
    },
    Meet {
        id: u64,
        peer: TabId,
        name: &'a str,
    },
    Fetch {
        id: u64,
        handover: HandoverId,
    },
    Drop {
        id: u64,
        handover: HandoverId,
    },
    Ping {
        id: u64,
    },
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    url: String,
    bytes: u64,
}

impl TabLink {
    /// A link that puts its frames into `queue`; URLs in them start with `origin`, and the tab is to send no larger
    /// messages than `max_frame_bytes`.
    pub(super) fn new(origin: Arc<str>, max_frame_bytes: usize, queue: mpsc::UnboundedSender<Bytes>) -> Self {
        Self(Arc::new(Inner { origin, max_frame_bytes, queue, declared: Mutex::default() }))
    }

    /// Asks which backends there are; answered by `Probed`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn probe(&self, id: u64) -> Result<(), LinkClosed> {
        self.send(&Request::Probe { id }, &[])
    }

    /// Starts a backend; answered by `Ready` or `Failed`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn start(&self, id: u64, options: &StartOptions) -> Result<(), LinkClosed> {
        let runtime = options.custom_runtime.then(|| format!("{}/runtime/custom.js", self.0.origin));
        let StartOptions { backend, webnn_device, threads, .. } = *options;
        let max_frame_bytes = self.0.max_frame_bytes;
        self.send(&Request::Start { id, backend, webnn_device, threads, runtime, max_frame_bytes }, &[])
    }

    /// Loads a model, declaring it first when this connection has not been told about it, and runs it once on inputs of
    /// zeros, if any are given; answered by `Loaded` or `Failed`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn load(&self, id: u64, model: &Arc<ModelFiles>, zeros: Option<&[TensorInfo]>) -> Result<(), LinkClosed> {
        let mut declared = self.declared();
        self.declare(&mut declared, model)?;
        self.send(&Request::Load { id, model: &model.key, zeros }, &[])
    }

    /// Runs a model, declaring it first when this connection has not been told about it; answered by `Result` or
    /// `Failed`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn run(&self, id: u64, model: &Arc<ModelFiles>, run: &RunRequest) -> Result<(), LinkClosed> {
        self.run_directly(id, model, run, &Direct::default())
    }

    /// As [`run`](Self::run), where some of what goes in or comes out does not come to the fleet.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn run_directly(
        &self,
        id: u64,
        model: &Arc<ModelFiles>,
        run: &RunRequest,
        direct: &Direct,
    ) -> Result<(), LinkClosed> {
        let RunRequest { inputs, outputs, release, state } = run;
        let header = Request::Run {
            id,
            model: &model.key,
            inputs: inputs.infos(),
            outputs: outputs.as_deref(),
            release: *release,
            state: state.as_ref(),
            handed: direct.handed,
            hand_on: direct.hand_on.as_ref(),
        };
        self.run_frame(frame::join(&header, inputs.body()), model, *release)
    }

    /// Runs a model once for several requests that differ in nothing but their rows: their inputs go one after the other,
    /// along the first dimension. As many inputs as all have are sent, in the order of the first request's.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn run_together(&self, id: u64, model: &Arc<ModelFiles>, runs: &[&RunRequest]) -> Result<(), LinkClosed> {
        let Some(first) = runs.first() else { return Ok(()) };
        let (outputs, release) = (first.outputs.as_deref(), first.release);
        let batches: Vec<&TensorBatch> = runs.iter().map(|run| &run.inputs).collect();
        let infos = TensorBatch::stacked_infos(&batches);
        let (model_key, state, handed, hand_on) = (&model.key, None, None, None);
        let header = Request::Run { id, model: model_key, inputs: &infos, outputs, release, state, handed, hand_on };
        let frame = frame::join_with(&header, |body| TensorBatch::stack(&batches, body));
        self.run_frame(frame, model, release)
    }

    fn run_frame(&self, frame: Bytes, model: &ModelFiles, release: bool) -> Result<(), LinkClosed> {
        let mut declared = self.declared();
        self.declare(&mut declared, model)?;
        if release {
            declared.remove(&model.key);
        }
        self.0.queue.send(frame).map_err(|_| LinkClosed)
    }

    /// Drops a model's session; answered by `Released`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn release(&self, id: u64, model_key: &str) -> Result<(), LinkClosed> {
        let mut declared = self.declared();
        declared.remove(model_key);
        self.send(&Request::Release { id, model: model_key }, &[])
    }

    /// Drops what a session has kept in the tab; answered by `Released`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn forget(&self, id: u64, session: SessionId) -> Result<(), LinkClosed> {
        self.send(&Request::Forget { id, session }, &[])
    }

    /// Has the tab's worker meet that of another tab of its browser, which is told the same name; answered by `Met` or
    /// `Failed`, and other requests are served meanwhile.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn meet(&self, id: u64, peer: TabId, name: &str) -> Result<(), LinkClosed> {
        self.send(&Request::Meet { id, peer, name }, &[])
    }

    /// Asks for what the tab handed on, or was handed; answered by `Fetched` or `Failed`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn fetch(&self, id: u64, handover: HandoverId) -> Result<(), LinkClosed> {
        self.send(&Request::Fetch { id, handover }, &[])
    }

    /// Drops what the tab handed on, there and where it was handed to, or what it was handed; answered by `Released`.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn drop_handover(&self, id: u64, handover: HandoverId) -> Result<(), LinkClosed> {
        self.send(&Request::Drop { id, handover }, &[])
    }

    /// Asks for a sign of life; answered by `Pong`, before the requests that wait.
    ///
    /// # Errors
    /// [`LinkClosed`], as all requests.
    pub fn ping(&self, id: u64) -> Result<(), LinkClosed> {
        self.send(&Request::Ping { id }, &[])
    }

    fn declare(&self, declared: &mut HashSet<String>, model: &ModelFiles) -> Result<(), LinkClosed> {
        if declared.contains(&model.key) {
            return Ok(());
        }
        let url = |sha256: &str| format!("{}/models/{sha256}", self.0.origin);
        let files = model
            .files
            .iter()
            .map(|file| File { path: &file.path, url: url(&file.sha256), bytes: file.bytes })
            .collect();
        let header = Request::Model {
            model: &model.key,
            name: &model.name,
            files,
            cpu_fallback: model.cpu_fallback,
            session_options: &model.session_options,
        };
        self.send(&header, &[])?;
        declared.insert(model.key.clone());
        Ok(())
    }

    fn declared(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, header: &Request<'_>, body: &[u8]) -> Result<(), LinkClosed> {
        self.0.queue.send(frame::join(header, body)).map_err(|_| LinkClosed)
    }
}

impl fmt::Debug for TabLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TabLink").field("closed", &self.0.queue.is_closed()).finish_non_exhaustive()
    }
}
