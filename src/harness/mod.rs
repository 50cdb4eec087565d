//! The fleet's side of the harness page: [`Server`] serves the page and the models, and turns each tab's WebSocket into
//! typed signals and a [`TabLink`]. The wire format is written down in `harness-pages/PROTOCOL.md`.

mod batch;
mod bundle;
mod connection;
mod direct;
mod error;
mod files;
mod frame;
mod health;
mod link;
mod message;
mod model;
mod pages;
mod server;
mod tabs;
#[cfg(test)]
mod tests;

pub use batch::TensorBatch;
pub use direct::{Direct, HandOn};
pub use error::{HarnessError, LinkClosed};
pub use files::ModelStore;
pub use frame::FrameError;
pub use health::HealthQuestion;
pub use link::{RunRequest, StartOptions, StateCall, TabLink, WebnnDevice};
pub use message::{
    FailedReport, FailureKind, Hello, LoadReport, LostWhat, Probe, Ready, RunReport, Stage, TabMessage, WasmProbe,
    WebgpuProbe, WebnnProbe,
};
pub use model::{CpuFallback, ModelFiles, ServedFile};
pub use server::{Server, ServerConfig};
pub use tabs::{Invitation, TabSignal, TabSignalKind};
