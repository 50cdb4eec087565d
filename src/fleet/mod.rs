//! The coordinator: the public API and the one event loop that ties decisions to I/O.
//!
//! [`Fleet`] and [`Model`] are cheap handles. Behind them one task, the coordinator, owns the pure
//! [`Scheduler`](crate::schedule::Scheduler) and everything it decides about: it tells the scheduler what happened,
//! and carries out what the scheduler answers. Whatever takes time (launching, opening, closing) runs in tasks of its
//! own and reports back, so that the loop never waits for a browser.

mod alerts;
mod announcement;
mod batch;
mod builder;
mod canary;
mod coordinator;
mod error;
mod events;
mod gate;
mod handle;
mod handover;
mod http;
mod job;
mod measured;
mod message;
mod metrics;
mod model;
mod native;
mod performance;
mod pipeline;
mod recording;
mod running;
mod session;
mod shards;
mod submit;
mod tab;
mod targets;
mod warm;

pub use alerts::{Alert, AlertConfig, AlertConfigError, AlertKind, Alerts};
pub(crate) use alerts::{check_webhook, post_json};
pub use builder::{FleetBuilder, FleetConfig};
pub use canary::Canary;
pub use error::{FleetError, JobError, ModelSpecError};
pub use handle::Fleet;
pub use job::{Inputs, JobOptions, Output, StageRun};
pub use metrics::{MetricKind, MetricName, Metrics};
pub use model::{Model, ModelSpec};
pub use running::{RunningFleet, RunningFleetError};
pub use session::SessionOptions;
pub use shards::Shards;
pub use submit::JobHandle;
