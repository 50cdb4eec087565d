//! The fleet and its commands with real browsers, real models and really caused faults.
#![allow(missing_docs)]

mod alerts;
mod calls;
mod chaos;
mod command;
mod commands;
mod devtools;
mod faults;
mod fleets;
mod health_command;
mod history;
mod interrupted;
mod matrix;
mod models;
mod nightly;
#[path = "../shared/processes.rs"]
mod processes;
mod recovery;
mod run;
mod runtime;
#[path = "../../src/report/schema_check.rs"]
mod schema_check;
mod types;
mod unusable;
