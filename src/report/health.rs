//! How well the running fleets are.

use crate::types::FleetHealth;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What `tabfleet health --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// Each fleet that answered, in the order in which they were started.
    pub fleets: Vec<FleetRow>,
}

/// A running fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetRow {
    /// The process that runs it.
    pub pid: u32,
    /// What is done with it: `matrix`, `bench`, …
    pub command: String,
    /// The address of its harness server.
    pub origin: String,
    /// When it was started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// How it is.
    pub health: FleetHealth,
}

#[cfg(test)]
mod tests {
    use crate::report::{HealthReport, sample};

    #[test]
    fn the_json_is_read_back() {
        let report = sample::health();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<HealthReport>(&json).unwrap(), report);
    }
}
