//! What was found of models and targets: which metrics belong together, which target is best, how well each was.

use super::SeriesName;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Two metrics of the same model and target that move together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationRow {
    /// The one series.
    pub a: SeriesName,
    /// The other.
    pub b: SeriesName,
    /// Spearman's rho, from -1 to 1.
    pub rho: f64,
    /// By how many runs `b` follows `a`; negative when it goes before.
    pub lag: i64,
    /// How likely it would be without any connection, corrected for all pairs and lags looked at.
    pub p_adjusted: f64,
    /// Runs both have.
    pub points: usize,
    /// In words: "wire time rises with memory".
    pub says: String,
}

/// Where a model runs best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecommendationRow {
    /// The model, or `family NAME (3 models)` for all models of a family.
    pub model: String,
    /// The family, where it is for all models of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The class of machine.
    pub host: String,
    /// The best first.
    pub targets: Vec<RankedRow>,
    /// How sure the first place is, from 0 to 1; `None` when none can be recommended.
    pub confidence: Option<f64>,
    /// Cliff's delta between the second and the first: how much more often the first is the faster one.
    #[serde(default)]
    pub effect: Option<f64>,
    /// How likely such a difference would be if there were none, corrected for all that were compared with the first.
    #[serde(default)]
    pub p_adjusted: Option<f64>,
    /// In words.
    pub says: String,
}

/// A target in a recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedRow {
    /// Which.
    pub target: String,
    /// The adapter that it was last measured with, where the browser names one.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Median run time in milliseconds.
    pub median_ms: Option<f64>,
    /// Samples.
    pub samples: usize,
    /// Attempts, the failed ones included.
    #[serde(default)]
    pub attempts: u64,
    /// Failed ones.
    #[serde(default)]
    pub failures: u64,
    /// Their share.
    pub failure_share: f64,
    /// Days since the newest sample.
    pub age_days: f64,
    /// Whether it is as good as the first, as far as the data tell.
    pub tied: bool,
    /// Why it is not recommended, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// How well a target was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthRow {
    /// Which.
    pub target: String,
    /// Attempts, the failed ones included.
    pub attempts: u64,
    /// Failed ones.
    pub failures: u64,
    /// How often one of its circuit breakers opened.
    pub circuit_opened: u64,
    /// What was done about failures, counted.
    pub recoveries: u64,
    /// How much of that helped.
    pub helped: u64,
    /// The median time from a failure until what was done had helped, in milliseconds.
    pub recovery_ms: Option<f64>,
    /// How often it was asked something whose answer is known.
    pub health_checks: u64,
    /// How often it did not answer that rightly and in time.
    pub failed_checks: u64,
    /// When its last attempt ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_at: Option<OffsetDateTime>,
}
