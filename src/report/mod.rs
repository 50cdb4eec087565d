//! Results as a terminal table, JSON, JUnit and HTML. [`ReportWriter`] keeps all the files of a matrix run current as
//! its results come in.

mod bench;
mod chaos;
mod doctor;
mod error;
mod file;
mod health;
mod history;
mod html;
mod journal;
mod junit;
mod matrix;
mod quantity;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema_check;
mod table;
mod writer;

pub use bench::{BenchFailure, BenchReport, BenchSeries, Comparison, write_bench_json};
pub use chaos::{BadJob, Badness, ChaosJobs, ChaosReport, InjectionRow, LeftOut, ModeRow, write_chaos_json};
pub use doctor::{DoctorReport, Missing};
pub use error::ReportError;
pub use health::{FleetRow, HealthReport};
pub use history::{
    AnomalyRow, ChangeRow, CorrelationRow, Findings, ForecastRow, NotJudged, PointRow, RankedRow, RecommendationRow,
    RegressionRow, SeriesName, SeriesRow, TrendRow, WindowRow, write_history_json,
};
pub use html::{write_history_html, write_html};
pub use junit::write_junit;
pub use matrix::{
    CaseResult, CaseRow, Change, CiRun, Differences, ErrorRow, Expected, FailedAttempt, MatrixReport, SuiteRow,
    Support, SupportBy, SupportTable, TargetBuild, TargetRow, write_matrix_json,
};
pub use table::{
    SuiteCase, SuiteView, TableStyle, answer_table, bench_table, chaos_table, diff_table, doctor_table, health_table,
    history_table, matrix_table, suite_table, support_table,
};
pub use writer::{Outputs, ReportWriter};
