//! The fleet and its commands with real browsers, real models and really caused faults.
#![allow(missing_docs)]

mod alerts;
mod batching;
#[path = "../../src/onnx/tests/build.rs"]
#[allow(dead_code)]
mod build;
mod calls;
mod chaos;
mod ci_templates;
mod command;
mod commands;
#[path = "../shared/devtools.rs"]
mod devtools;
mod faults;
mod fleets;
mod handovers;
mod health_command;
mod history;
mod interrupted;
mod isolation;
mod lifecycle;
mod limits;
mod matrix;
mod metrics;
#[path = "../shared/missing.rs"]
mod missing;
mod models;
mod native;
#[path = "../../src/onnx/tests/nets.rs"]
#[allow(dead_code)]
mod nets;
mod nightly;
mod pipelines;
#[path = "../shared/processes.rs"]
mod processes;
mod queue;
mod recovery;
mod run;
mod runtime;
mod scaling;
#[path = "../../src/report/schema_check.rs"]
mod schema_check;
mod sessions;
mod shards;
mod types;
mod unusable;
