//! Small integer names for what the fleet keeps track of. Never reused within one fleet.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// One launch of a browser; a restarted browser gets a new one.
    BrowserId, "browser-"
);
id!(
    /// One harness page; a replaced tab gets a new one, a restarted worker keeps its tab's.
    TabId, "tab-"
);
id!(
    /// One inference asked for.
    JobId, "job-"
);
id!(
    /// One model known to the fleet.
    ModelId, "model-"
);
id!(
    /// One state that calls of a session go on from; when it is rebuilt, the new one has another.
    SessionId, "session-"
);
id!(
    /// Activations that a stage's tab hands to the next one's, past the fleet.
    HandoverId, "handover-"
);
id!(
    /// One model that was cut into stages.
    PipelineId, "pipeline-"
);
