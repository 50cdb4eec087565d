//! What of one job the next may find.

use super::names;

/// What of a model's jobs may be left in the tab for the jobs after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// Jobs share a worker and the model's runtime session in it.
    #[default]
    Shared,
    /// Each job has a runtime session of its own, created for it and dropped after it. What the runtime's module keeps for
    /// itself is shared.
    FreshSession,
    /// Each job has a worker of its own, in which no other job of any model ran before it and none does after it: no
    /// JavaScript or WebAssembly state, no GPU device and no thread outlives it. What the browser stores for the page's
    /// origin (IndexedDB, the Cache API, the origin's private files, its HTTP cache) belongs to its profile, and is kept
    /// until the browser is launched again.
    FreshTab,
}
names!(Isolation { Shared = "shared", FreshSession = "fresh-session", FreshTab = "fresh-tab" });
