//! What `tabfleet doctor` found on this machine.

use super::TargetRow;
use crate::{host::Host, types::Browser};
use serde::{Deserialize, Serialize};

/// What works on this machine, what does not, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// The version of tabfleet that looked.
    pub tabfleet: String,
    /// The machine.
    pub host: Host,
    /// Every target, those that do not work here included.
    pub targets: Vec<TargetRow>,
    /// What is not installed.
    pub missing: Vec<Missing>,
}

impl DoctorReport {
    /// What this tabfleet found on this machine.
    pub fn new(targets: Vec<TargetRow>, missing: Vec<Missing>) -> Self {
        Self { tabfleet: env!("CARGO_PKG_VERSION").to_owned(), host: Host::detect(), targets, missing }
    }
}

/// Something that is not installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The browser that does not run for want of it.
    pub browser: Browser,
    /// What: a program, a driver, a library.
    pub what: String,
    /// How to get it.
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use crate::report::{DoctorReport, sample};

    #[test]
    fn the_json_is_read_back() {
        let report = sample::doctor();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<DoctorReport>(&json).unwrap(), report);
    }
}
