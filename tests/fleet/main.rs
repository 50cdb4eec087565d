//! The fleet and its commands with real browsers, real models and really caused faults.
#![allow(missing_docs)]

mod calls;
mod devtools;
mod faults;
mod fleets;
mod models;
#[path = "../shared/processes.rs"]
mod processes;
mod run;
mod runtime;
mod types;
mod unusable;
