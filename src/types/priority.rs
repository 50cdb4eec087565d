//! How much a job matters to whoever asked for it.

use super::names;

/// How much a job matters: what matters more is served first, and moved away from trouble earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Can be done again later: it is tried again where it is cheapest, however often it failed, and is the first to be
    /// refused when the queue is nearly full.
    Low,
    /// As most are.
    #[default]
    Normal,
    /// Goes to another browser or backend after its first failure.
    High,
    /// As high; and while another tab has room, it never goes to one that failed last time.
    Critical,
}
names!(Priority { Low = "low", Normal = "normal", High = "high", Critical = "critical" });
