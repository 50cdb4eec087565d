//! What of a run goes from tab to tab and not through the fleet (PROTOCOL.md, "From tab to tab").

use crate::types::{HandoverId, TabId};
use serde::Serialize;

/// What of a run does not cross the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Direct {
    /// What was handed to the tab, or by it: it feeds the run, under its own names.
    pub handed: Option<HandoverId>,
    /// What of the outputs goes on to another tab.
    pub hand_on: Option<HandOn>,
}

/// Outputs that go on to another tab directly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandOn {
    /// What they are called together.
    pub handover: HandoverId,
    /// The tab, which was [met](super::TabLink::meet); `None` for the tab that makes them.
    pub to: Option<TabId>,
    /// The outputs.
    pub outputs: Vec<String>,
    /// Those of fewer bytes come to the fleet.
    pub at_least: u64,
}
