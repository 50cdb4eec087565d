//! What a tab says, decoded from its frames.

use super::{
    batch::TensorBatch,
    frame::{Frame, FrameError},
};
use crate::types::{Adapter, Backend, Cause, Failure, KeptTensor, RuntimeInfo, TensorInfo};
use bytes::Bytes;
use serde::Deserialize;

/// How a worker introduces itself, first on every connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hello {
    /// The browser's user agent string.
    pub user_agent: String,
    /// Whether the page is cross-origin isolated: WASM threads and fine timers need it.
    pub cross_origin_isolated: bool,
    /// The logical processors the browser admits to.
    pub hardware_concurrency: u32,
    /// How many workers this page has started, this one included.
    pub worker: u32,
}

/// Everything a tab says after its [`Hello`]. `id` is that of the request it answers.
#[derive(Clone, Debug, PartialEq)]
pub enum TabMessage {
    /// Which backends there are.
    Probed {
        /// The request.
        id: u64,
        /// What was found.
        probe: Probe,
    },
    /// The backend works.
    Ready {
        /// The request.
        id: u64,
        /// What was started.
        ready: Ready,
    },
    /// A model's session was created.
    Loaded {
        /// The request.
        id: u64,
        /// What it took.
        load: LoadReport,
    },
    /// A run brought outputs.
    Result {
        /// The request.
        id: u64,
        /// The outputs and times.
        result: RunReport,
    },
    /// The worker has a channel to another tab's.
    Met {
        /// The request.
        id: u64,
    },
    /// Activations that were handed on, or to the tab.
    Fetched {
        /// The request.
        id: u64,
        /// The activations.
        tensors: TensorBatch,
    },
    /// A session was dropped.
    Released {
        /// The request.
        id: u64,
    },
    /// The worker's event loop turns.
    Pong {
        /// The request.
        id: u64,
        /// The memory of the worker's heap in bytes, where the browser tells.
        heap_bytes: Option<u64>,
    },
    /// A request failed.
    Failed {
        /// The request.
        id: u64,
        /// Where and why.
        failed: FailedReport,
    },
    /// The worker is of no more use; requests not yet answered will not be.
    Lost {
        /// What was lost.
        what: LostWhat,
        /// The browser's words.
        message: String,
    },
}

/// Which backends a browser has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Probe {
    /// WebGPU.
    pub webgpu: WebgpuProbe,
    /// WebNN.
    pub webnn: WebnnProbe,
    /// WebAssembly.
    pub wasm: WasmProbe,
}

/// What a browser has of WebGPU.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WebgpuProbe {
    /// Whether an adapter and a device were granted.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The adapter.
    pub adapter: Option<Adapter>,
    /// Whether shaders can use 16-bit floats.
    pub shader_f16: bool,
}

/// What a browser has of WebNN.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WebnnProbe {
    /// Whether a context was granted.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The device types a context was granted for: of `cpu`, `gpu`, `npu`.
    pub devices: Vec<String>,
}

/// What a browser has of WebAssembly.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WasmProbe {
    /// Whether modules run.
    pub available: bool,
    /// Whether 128-bit SIMD instructions do.
    pub simd: bool,
    /// Whether memory can be shared between threads.
    pub threads: bool,
}

/// A backend as it was started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ready {
    /// The backend.
    pub backend: Backend,
    /// What loads the models.
    pub runtime: RuntimeInfo,
    /// The GPU adapter in use, for WebGPU.
    pub adapter: Option<Adapter>,
    /// The device type of the WebNN context: `cpu`, `gpu` or `npu`.
    pub webnn_device: Option<String>,
    /// The WASM threads in use.
    pub threads: Option<u32>,
}

/// What creating a session took.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LoadReport {
    /// Fetching the model's files, in milliseconds.
    pub download_ms: f64,
    /// Creating the session, in milliseconds.
    pub create_ms: f64,
    /// Whether some nodes needed the CPU; `None` where the runtime cannot tell, and on the wasm backend.
    pub cpu_fallback: Option<bool>,
    /// The names of the model's inputs.
    pub inputs: Vec<String>,
    /// The names of the model's outputs.
    pub outputs: Vec<String>,
}

/// What a run brought.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// The outputs, as views of the frame they came in.
    pub outputs: TensorBatch,
    /// The run in milliseconds, until its outputs can be read.
    pub run_ms: f64,
    /// Reading the outputs back in milliseconds, where the runtime separates it from the run.
    pub readback_ms: Option<f64>,
    /// What loading the model took, when this run did that first.
    pub load: Option<LoadReport>,
    /// For a call of a session: what it left in the tab.
    pub kept: Vec<KeptTensor>,
    /// What went on to another tab.
    pub handed_on: Vec<TensorInfo>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FailedReport {
    /// What the worker was doing.
    pub stage: Stage,
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// The browser's or runtime's words.
    pub message: String,
    /// What loading the model took, when this attempt did that before it failed.
    pub load: Option<LoadReport>,
}

/// What a worker was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Starting the backend.
    Start,
    /// Fetching a model's files.
    Download,
    /// Creating a session.
    Load,
    /// Running it.
    Run,
    /// Reading the request.
    Protocol,
}

/// A failure's kind, as the worker can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The browser does not have it.
    Unavailable,
    /// What was asked for makes no sense: inputs that do not fit the model, say.
    Invalid,
    /// A session's state is not there, or is not the one that was meant; or what one tab handed to another is not.
    NoState,
    /// Memory ran out.
    OutOfMemory,
    /// The WebGPU device or WebNN context was lost.
    DeviceLost,
    /// The WASM module aborted: the worker is of no more use.
    Aborted,
    /// Any other error.
    Error,
}

/// What a worker lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LostWhat {
    /// The WebGPU device.
    WebgpuDevice,
    /// The WebNN context.
    WebnnContext,
    /// The worker itself: an error nobody caught.
    Worker,
}

impl FailedReport {
    /// The failure in the fleet's words. The kind decides where it is specific; else the stage does.
    pub fn failure(&self) -> Failure {
        let cause = match (self.kind, self.stage) {
            (FailureKind::OutOfMemory, _) => Cause::OutOfMemory,
            (FailureKind::DeviceLost, _) => Cause::DeviceLost,
            (FailureKind::Aborted, _) => Cause::WorkerCrashed,
            (FailureKind::NoState, _) => Cause::StateLost,
            (FailureKind::Unavailable, Stage::Start) => Cause::BackendUnavailable,
            (FailureKind::Invalid | FailureKind::Error, Stage::Start) => Cause::TabFailed,
            (FailureKind::Invalid, Stage::Run) => Cause::BadInput,
            (_, Stage::Download) => Cause::ModelDownload,
            (_, Stage::Load) => Cause::ModelLoad,
            (_, Stage::Run) => Cause::ModelRun,
            (_, Stage::Protocol) => Cause::BadFrame,
        };
        Failure::new(cause, self.message.clone())
    }
}

/// A frame from a tab.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FromTab {
    /// The first one.
    Hello(Hello),
    /// Any other.
    Message(TabMessage),
}

/// Reads one binary message. Tensors stay where they are.
pub(super) fn decode(message: Bytes) -> Result<FromTab, FrameError> {
    #[derive(Deserialize)]
    struct Id {
        id: u64,
    }
    #[derive(Deserialize)]
    struct Answer<T> {
        id: u64,
        #[serde(flatten)]
        of: T,
    }
    #[derive(Deserialize)]
    struct Loaded {
        id: u64,
        load: LoadReport,
    }
    #[derive(Deserialize)]
    struct Ran {
        id: u64,
        outputs: Vec<TensorInfo>,
        run_ms: f64,
        readback_ms: Option<f64>,
        load: Option<LoadReport>,
        #[serde(default)]
        kept: Vec<KeptTensor>,
        #[serde(default)]
        handed_on: Vec<TensorInfo>,
    }
    #[derive(Deserialize)]
    struct Fetched {
        id: u64,
        outputs: Vec<TensorInfo>,
    }
    #[derive(Deserialize)]
    struct Pong {
        id: u64,
        heap_bytes: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Lost {
        what: LostWhat,
        message: String,
    }

    let frame = Frame::split(message)?;
    let kind = frame.kind()?;
    if !matches!(&*kind, "result" | "fetched") {
        // Only these have anything after its header.
        frame.tensors(Vec::new())?;
    }
    let message = match &*kind {
        "hello" => return frame.parse().map(FromTab::Hello),
        "probed" => frame.parse().map(|Answer { id, of }| TabMessage::Probed { id, probe: of })?,
        "ready" => frame.parse().map(|Answer { id, of }| TabMessage::Ready { id, ready: of })?,
        "loaded" => frame.parse().map(|Loaded { id, load }| TabMessage::Loaded { id, load })?,
        "result" => {
            let Ran { id, outputs, run_ms, readback_ms, load, kept, handed_on } = frame.parse()?;
            let outputs = frame.tensors(outputs)?;
            TabMessage::Result { id, result: RunReport { outputs, run_ms, readback_ms, load, kept, handed_on } }
        }
        "met" => frame.parse().map(|Id { id }| TabMessage::Met { id })?,
        "fetched" => {
            let Fetched { id, outputs } = frame.parse()?;
            TabMessage::Fetched { id, tensors: frame.tensors(outputs)? }
        }
        "released" => frame.parse().map(|Id { id }| TabMessage::Released { id })?,
        "pong" => frame.parse().map(|Pong { id, heap_bytes }| TabMessage::Pong { id, heap_bytes })?,
        "failed" => frame.parse().map(|Answer { id, of }| TabMessage::Failed { id, failed: of })?,
        "lost" => frame.parse().map(|Lost { what, message }| TabMessage::Lost { what, message })?,
        other => return Err(FrameError::UnknownType { given: other.to_owned() }),
    };
    Ok(FromTab::Message(message))
}

impl TabMessage {
    /// The type it has on the wire.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            TabMessage::Probed { .. } => "probed",
            TabMessage::Ready { .. } => "ready",
            TabMessage::Loaded { .. } => "loaded",
            TabMessage::Result { .. } => "result",
            TabMessage::Met { .. } => "met",
            TabMessage::Fetched { .. } => "fetched",
            TabMessage::Released { .. } => "released",
            TabMessage::Pong { .. } => "pong",
            TabMessage::Failed { .. } => "failed",
            TabMessage::Lost { .. } => "lost",
        }
    }
}
