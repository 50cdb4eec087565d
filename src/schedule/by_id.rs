//! Maps from what the fleet numbers itself.

use foldhash::fast::FixedState;
use std::collections::HashMap;

/// A value for each job, tab or model. Nobody outside chooses their numbers, so their hash is the fastest one, and the same
/// in every process: what the same inputs decide is the same.
pub(super) type ById<Id, T> = HashMap<Id, T, FixedState>;
