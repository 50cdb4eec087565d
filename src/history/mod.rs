//! What was measured, kept in one DuckDB file: [`Recorder`] writes it off the hot path, [`History`] reads it.
//!
//! The tables are described in `docs/HISTORY.md`, for any tool that reads DuckDB.

mod database;
mod error;
mod read;
mod recorder;
mod rows;
mod run_info;
mod schema;
mod tables;

pub use error::HistoryError;
pub use read::{History, RecordedRun};
pub use recorder::{Recorded, Recorder};
pub use run_info::RunInfo;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
