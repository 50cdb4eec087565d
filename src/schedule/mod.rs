//! Pure decisions: which tab runs which job, what happens when something dies, when to give up.
//!
//! [`Scheduler`] is a state machine without I/O and without a clock: [`Scheduler::handle`] takes what happened and when,
//! and leaves [`Action`]s for the fleet to carry out. So every rule is tested without a browser or a sleep, with the
//! very code that drives the real ones.

mod admission;
pub mod backoff;
mod batching;
mod breaker;
mod breakers;
mod browsers;
mod by_id;
mod channels;
mod jobs;
mod per_target;
mod placement;
mod policy;
mod pools;
mod queue;
mod recovery;
mod retirement;
mod scaling;
mod scheduler;
mod sessions;
mod speeds;
mod stages;
mod tabs;
mod target_set;
mod vitals;

#[cfg(test)]
mod tests;

pub(crate) use admission::{Admission, Entrant};
pub use admission::{Overload, QueueLimits};
pub use batching::{BatchSpec, Batching};
pub use channels::{Channels, Way, WorkerId};
pub use jobs::{Attempt, Fallback, JobSpec};
pub use placement::preferred_browser;
pub use policy::{BreakerPolicy, LONGEST_WAIT, MemoryLimits, Policy, PolicyError, RetryBackoff, SlidingWindowType};
pub use retirement::Retirement;
pub use scaling::Scaling;
pub use scheduler::{Action, Input, Recovery, Scheduler};
pub use sessions::SessionCall;
pub use stages::StageSpec;
pub use target_set::TargetSet;
