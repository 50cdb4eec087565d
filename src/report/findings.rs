//! What the history answers, as values: what tables, JSON and pages show. Described field by field in docs/JSON.md.

mod comparison;
mod course;
mod series;
mod targets;

pub use comparison::{Grade, RegressionRow, WindowRow};
pub use course::{AnomalyRow, ChangeRow, ForecastRow, TrendRow};
pub use series::{NotJudged, PointRow, SeriesName, SeriesRow};
pub use targets::{CorrelationRow, HealthRow, RankedRow, RecommendationRow};

use crate::types::names;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path};
use time::OffsetDateTime;

/// What a question to the history was answered with. Only what was asked for is filled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The version of tabfleet that answered.
    pub tabfleet: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// The history file.
    pub file: String,
    /// What was asked.
    pub question: Question,
    /// How much was looked at.
    #[serde(default)]
    pub looked_at: LookedAt,
    /// The series that were looked at, with their points; empty where nobody asked for them.
    pub series: Vec<SeriesRow>,
    /// Differences between two windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regressions: Vec<RegressionRow>,
    /// Places where a series changed its level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_points: Vec<ChangeRow>,
    /// Where series are going.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trends: Vec<TrendRow>,
    /// Points that stand out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anomalies: Vec<AnomalyRow>,
    /// What is to be expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<ForecastRow>,
    /// Metrics that move together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlations: Vec<CorrelationRow>,
    /// Where models run best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommendations: Vec<RecommendationRow>,
    /// How well targets were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthRow>,
    /// Series that could not be judged, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
}

/// What a history can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Every series, with its points.
    Show,
    /// What differs from a baseline.
    Regressions,
    /// Where series changed their level.
    ChangePoints,
    /// Where series are going.
    Trends,
    /// Which runs stand out.
    Anomalies,
    /// What is to be expected.
    Forecast,
    /// Which metrics move together.
    Correlations,
    /// Where models run best.
    Recommend,
    /// How well targets were.
    Health,
    /// All that a fleet asks of its own history.
    Report,
}
names!(Question {
    Show = "show",
    Regressions = "regressions",
    ChangePoints = "change-points",
    Trends = "trends",
    Anomalies = "anomalies",
    Forecast = "forecast",
    Correlations = "correlations",
    Recommend = "recommend",
    Health = "health",
    Report = "report",
});

impl Findings {
    /// An answer without anything in it yet.
    pub fn new(question: Question, path: &Path) -> Self {
        Self {
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            made: OffsetDateTime::now_utc(),
            file: path.display().to_string(),
            question,
            looked_at: LookedAt::default(),
            series: Vec::new(),
            regressions: Vec::new(),
            change_points: Vec::new(),
            trends: Vec::new(),
            anomalies: Vec::new(),
            forecasts: Vec::new(),
            correlations: Vec::new(),
            recommendations: Vec::new(),
            health: Vec::new(),
            not_judged: Vec::new(),
        }
    }

    /// The same with these series, which were looked at.
    #[must_use]
    pub fn with_series(mut self, series: Vec<SeriesRow>) -> Self {
        let runs: BTreeSet<i64> = series.iter().flat_map(|row| row.points.iter().map(|point| point.run_id)).collect();
        self.looked_at = LookedAt { series: series.len(), runs: runs.len() };
        self.series = series;
        self
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedAt {
    /// Series.
    pub series: usize,
    /// Runs that have a point in any of them.
    pub runs: usize,
}
