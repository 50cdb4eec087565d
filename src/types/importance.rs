//! How much a job matters to whoever asked for it.

use super::names;

/// How much a job matters: what matters more is moved away from trouble earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Importance {
    /// Can be done again later: it is tried again where it is cheapest, however often it failed.
    Low,
    /// As most are.
    #[default]
    Normal,
    /// Goes to another browser or backend after its first failure.
    High,
    /// As high; and while another tab has room, it never goes to one that failed last time.
    Critical,
}
names!(Importance { Low = "low", Normal = "normal", High = "high", Critical = "critical" });
