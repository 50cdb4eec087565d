//! Browsers without a fleet: each is really launched, really used and really killed.
#![allow(missing_docs)]

mod backends;
mod chromium;
#[path = "../shared/devtools.rs"]
mod devtools;
mod guard;
mod heartbeat;
mod launch;
mod memory;
#[path = "../shared/missing.rs"]
mod missing;
mod pages;
#[path = "../shared/processes.rs"]
mod processes;
mod report_site;
#[path = "../../benchmarks/report/sample.rs"]
mod sample;
mod webdriver;
