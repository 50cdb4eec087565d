//! Results as a terminal table, JSON, JUnit and HTML. [`ReportWriter`] keeps all the files of a matrix run current as
//! its results come in.

mod annotations;
mod attention;
mod badges;
mod bench;
mod chaos;
mod chat;
mod diff;
mod doctor;
mod earlier;
mod error;
mod file;
mod findings;
mod gist;
mod health;
mod html;
mod journal;
mod json;
mod junit;
mod markdown;
mod matrix;
mod quantity;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema_check;
mod shard;
mod table;
mod wpt;
mod writer;

pub use annotations::github_annotations;
pub use badges::write_badges;
pub use bench::{BenchFailure, BenchReport, BenchSeries, BenchStage, Comparison};
pub use chaos::{BadJob, Badness, ChaosJobs, ChaosReport, InjectionRow, LeftOut, ModeRow};
pub use chat::chat_message;
pub use diff::{CaseChange, ChangeKind, MatrixDiff, Outcome, Side, SideRow, TargetDiff};
pub use doctor::{DoctorReport, Missing};
pub use earlier::EarlierRuns;
pub use error::ReportError;
pub use findings::{
    AnomalyRow, ChangeRow, CorrelationRow, Findings, ForecastRow, Grade, HealthRow, LookedAt, NotJudged, PointRow,
    Question, RankedRow, RecommendationRow, RegressionRow, SeriesName, SeriesRow, TrendRow, WindowRow,
};
pub(crate) use gist::gist;
pub use health::{FleetRow, HealthReport};
pub use html::{write_history_html, write_html, write_performance_html, write_shard_html};
pub use json::{JsonReport, write_json};
pub use junit::{JunitFlaky, write_junit};
pub use markdown::{diff_markdown, matrix_markdown, write_text};
pub use matrix::{
    CaseResult, CaseRow, CiRun, ErrorRow, Expected, FailedAttempt, MatrixReport, PairRow, SuiteRow, Support, SupportBy,
    SupportTable, TargetBuild, TargetRow,
};
pub use shard::{CrossingRow, NodeRow, ShardReport, StageRow};
pub use table::{
    SuiteCase, SuiteView, TableStyle, answer_table, bench_table, chaos_table, diff_table, doctor_table, health_table,
    history_table, matrix_table, shard_table, suite_table, support_table,
};
pub use wpt::write_wptreports;
pub use writer::{Outputs, ReportWriter};
