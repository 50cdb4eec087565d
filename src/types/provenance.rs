//! Where a number came from.

use super::{Backend, Browser, BrowserId, Failure, Placement, TabId, Target};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a running browser says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The slot it was launched for.
    pub browser: Browser,
    /// The product as it names itself: `Chrome`, `HeadlessChrome`, `firefox`, `WebKitGTK MiniBrowser`.
    pub product: String,
    /// The full version, as it says it.
    pub version: String,
    /// Whether it runs without a window.
    pub headless: bool,
    /// How it is driven: `cdp 1.3`, `geckodriver 0.37.1`, `WebKitWebDriver 2.50.4`.
    pub driver: String,
    /// Whether it is another product than the slot is named for.
    pub stand_in: bool,
}

/// The GPU adapter a backend uses, as the browser describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// For instance `nvidia`, `google`, `mesa`; empty where the browser does not say.
    pub vendor: String,
    /// For instance `hopper`, `swiftshader`; empty where the browser does not say.
    pub architecture: String,
    /// The device's identifier; empty where the browser does not say.
    pub device: String,
    /// For people, with the driver's version where the browser tells it; empty where it does not say.
    pub description: String,
    /// Whether it computes on the CPU: `None` where neither the browser nor the description tells.
    pub software: Option<bool>,
}

/// The inference runtime inside the harness page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// For instance `ONNX Runtime Web`.
    pub name: String,
    /// Its version, as it says it.
    pub version: String,
}

/// A target as it was found to be on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// The target.
    pub target: Target,
    /// Who fills the browser's slot; `None` when it could not be launched.
    pub identity: Option<Identity>,
    /// Whether models can run on it.
    pub available: bool,
    /// Why not, when they cannot; with what would help.
    pub reason: Option<String>,
    /// The GPU adapter, for WebGPU.
    pub adapter: Option<Adapter>,
    /// The device type a WebNN context was given: `cpu`, `gpu` or `npu`.
    pub webnn_device: Option<String>,
    /// The runtime that loads the models.
    pub runtime: Option<RuntimeInfo>,
    /// WASM threads in use.
    pub threads: Option<u32>,
}

/// What really ran a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ran_on", rename_all = "lowercase")]
pub enum Provenance {
    /// A tab of a browser.
    Browser(BrowserRun),
    /// This process itself, because no target could take the job and it had leave to
    /// ([`Fallback`](crate::schedule::Fallback)). It tells nothing of any browser.
    Native(NativeRun),
}

impl Provenance {
    /// The tab that ran it; `None` when no browser did.
    pub const fn browser(&self) -> Option<&BrowserRun> {
        match self {
            Self::Browser(run) => Some(run),
            Self::Native(_) => None,
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Browser(run) => run.target.fmt(f),
            Self::Native(_) => f.pad("native"),
        }
    }
}

/// The tab that ran a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrowserRun {
    /// The target.
    pub target: Target,
    /// The execution provider that was asked for and created the session.
    pub backend: Backend,
    /// Whether the session needed the CPU for some nodes; `None` where the runtime cannot tell.
    pub cpu_fallback: Option<bool>,
    /// The browser process tree.
    pub browser_id: BrowserId,
    /// The tab.
    pub tab: TabId,
    /// The target's whole description.
    pub info: std::sync::Arc<TargetInfo>,
    /// Why it ran there and not elsewhere.
    pub placement: Placement,
    /// How many jobs ran together, this one included: the times of the run are then those of all of them.
    pub batch: u32,
}

/// A run in this process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NativeRun {
    /// What computed it.
    pub runtime: RuntimeInfo,
    /// Why no target could take the job.
    pub why: Failure,
}
