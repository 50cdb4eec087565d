//! What was measured, kept in one DuckDB file: [`Recorder`] writes it off the hot path, [`History`] reads it.
//!
//! The tables are described in `docs/HISTORY.md`, for any tool that reads DuckDB.

pub mod analysis;
mod answers;
mod baselines;
mod cases;
mod collect;
mod database;
mod environment;
mod error;
mod export;
mod health;
mod import;
mod metric;
mod places;
mod query;
mod read;
mod recorder;
mod retention;
mod rows;
mod run_info;
mod schema;
mod series;
mod spool;
mod tables;

pub use baselines::Baseline;
pub use cases::RecordedCase;
pub use environment::Environment;
pub use error::HistoryError;
pub use export::ExportFormat;
pub use import::Imported;
pub use metric::Metric;
pub use query::Answer;
pub use read::{History, RecordedRun};
pub use recorder::{HistoryMode, Recorded, Recorder};
pub use retention::RolledUp;
pub use run_info::RunInfo;
pub use series::{RunPoint, Series, SeriesFilter, SeriesKey};
pub use spool::Merged;

#[cfg(test)]
mod answers_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod health_tests;
#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod odd_series_tests;
#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod series_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upkeep_tests;
