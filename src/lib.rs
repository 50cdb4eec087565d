//! tabfleet turns real, installed browsers into a fault-tolerant fleet that runs ONNX models on WebGPU, WebNN and WASM.
//!
//! A [`Fleet`] launches browsers, opens tabs in them and keeps both alive; a [`Model`] is a handle to an ONNX file that
//! any of them can run. Every job ends exactly once: with an [`Output`], which says what really ran it and where its
//! time went, or with a [`JobError`], which carries each attempt. Nothing is ever simulated.
//!
//! ```no_run
//! use tabfleet::{Browser, Family, Fleet, ModelSpec, Tensor};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let fleet = Fleet::builder().browsers([Browser::Chrome, Browser::Firefox]).tabs_per_browser(2).launch().await?;
//! let vit = fleet.get_model(ModelSpec::onnx("vit.onnx").family(Family::Vision)).await?;
//! let image = Tensor::from_values([1, 3, 32, 32], &vec![0.5_f32; 3 * 32 * 32])?;
//! let output = vit.run([("pixel_values", image)]).await?;
//! println!("{} in {:.1} ms", output.provenance, output.timings.run_ms);
//! fleet.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! All of it works within a tokio runtime: call it from an `async fn main` under `#[tokio::main]`, or within
//! `Runtime::block_on`.
//!
//! # Where to look
//!
//! | to | see |
//! |---|---|
//! | launch a fleet, and decide what it is made of | [`Fleet::builder`], [`FleetBuilder`], [`FleetConfig`] |
//! | run jobs | [`Model::run`], [`Model::run_with`] and [`JobOptions`], [`Fleet::execute_concurrent`] |
//! | run several jobs of a small model at once | [`ModelSpec::batched`] and [`Batching`] |
//! | keep state in a tab from call to call, as a decoder its KV cache | [`Model::execute_in_session`], [`JobOptions::keep`] |
//! | run a model in several tabs | [`ModelSpec::sharded`] and [`Shards`], [`ModelSpec::pipeline`] |
//! | make and read tensors | [`Tensor`]; from and to ndarray, `.npy` and TensorProto in [`onnx`] |
//! | know what a target is on this machine | [`Fleet::targets`], [`TargetInfo`] |
//! | watch what happens | [`Fleet::subscribe`], [`EventKind`] |
//! | know how well it is, from within or from another program | [`Fleet::health`], [`fleet::RunningFleet`] |
//! | tell failures apart | [`Failure`], its [`Cause`], [`Category`] and [`Severity`] |
//! | run suites of cases on every target, and compare outputs | [`matrix`], [`onnx::Suite`], [`onnx::compare`] |
//! | measure | [`mod@bench`] |
//! | break a fleet on purpose, and see what becomes of its jobs | [`chaos`] |
//! | keep and query what was measured | [`history`] |
//! | write results as tables, JSON, JUnit and HTML | [`report`] |
//!
//! The rooms below that, which the fleet is built on, can be used by themselves: [`browser`] launches and drives
//! browsers, [`harness`] serves the page they open and speaks its protocol, [`schedule`] decides, without I/O and
//! without a clock. docs/ARCHITECTURE.md in the repository shows how they fit together and why.

#![deny(missing_docs)]
#![warn(rustdoc::broken_intra_doc_links)]

pub mod bench;
pub mod browser;
pub mod chaos;
pub mod ci;
pub mod cli;
pub mod fleet;
pub mod harness;
pub mod history;
pub mod host;
pub mod matrix;
pub mod onnx;
pub mod report;
pub mod schedule;
pub mod stats;
pub mod types;

pub use browser::GpuMode;
pub use fleet::{
    Fleet, FleetBuilder, FleetConfig, FleetError, Inputs, JobError, JobHandle, JobOptions, Model, ModelSpec,
    ModelSpecError, Output, SessionOptions, Shards, StageRun,
};
pub use harness::{CpuFallback, WebnnDevice};
pub use schedule::{Batching, Fallback};
pub use types::{
    Adapter, Backend, Basis, Browser, BrowserRun, Caller, Category, Cause, Dtype, Element, Event, EventKind, Failure,
    Family, Identity, Isolation, KeptLocation, KeptTensor, NativeRun, Placement, Priority, Provenance, Severity,
    Target, TargetInfo, Tensor, TensorError, Timings, Verdict,
};

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
