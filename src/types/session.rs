//! Why what a session has in its tab ends.

use super::names;

/// Why the state of a session is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionEnd {
    /// The session was closed, or nobody has a handle to its model any more.
    Closed,
    /// No call came for its time to live.
    Expired,
    /// The worker that held it has ended, or no longer has it.
    Lost,
    /// A call was given up while a tab was at it.
    GivenUp,
    /// Its tab is worn out, and was kept for it as long as one is.
    WornOut,
}
names!(SessionEnd {
    Closed = "closed",
    Expired = "expired",
    Lost = "lost",
    GivenUp = "given-up",
    WornOut = "worn-out",
});
