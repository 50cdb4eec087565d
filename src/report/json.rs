//! Reports as JSON.

use super::{BenchReport, ChaosReport, Findings, MatrixDiff, MatrixReport, ReportError, ShardReport, file};
use serde::Serialize;
use std::path::Path;

/// A report that is one JSON document, which docs/JSON.md describes field by field.
pub trait JsonReport: Serialize {}

impl JsonReport for BenchReport {}
impl JsonReport for ChaosReport {}
impl JsonReport for Findings {}
impl JsonReport for MatrixDiff {}
impl JsonReport for MatrixReport {}
impl JsonReport for ShardReport {}

/// Writes the report's JSON. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old file is then left as it was.
pub fn write_json(report: &impl JsonReport, path: &Path) -> Result<(), ReportError> {
    file::write_json(path, report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{sample, schema_check::departures};
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use std::fmt::Debug;

    fn fits_and_is_read_back<R: JsonReport + DeserializeOwned + PartialEq + Debug>(report: &R, schema: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write_json(report, &path).unwrap();
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(departures(&serde_json::from_str(schema).unwrap(), &json), Vec::<String>::new());
        assert_eq!(serde_json::from_value::<R>(json).unwrap(), *report);
    }

    #[test]
    fn what_is_written_fits_its_schema_and_is_read_back() {
        fits_and_is_read_back(&sample::bench(), include_str!("../../docs/bench.schema.json"));
        fits_and_is_read_back(&sample::chaos(), include_str!("../../docs/chaos.schema.json"));
        fits_and_is_read_back(&sample::shard(), include_str!("../../docs/shard.schema.json"));
    }
}
