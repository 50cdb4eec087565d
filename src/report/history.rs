//! What the history answers, as values: what tables, JSON and pages show. Described field by field in docs/JSON.md.

use crate::stats::regression::Severity;
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
    /// What was asked: `show`, `regressions`, ….
    pub question: String,
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

impl Findings {
    /// An answer without anything in it yet.
    pub fn new(question: &str, path: &Path) -> Self {
        Self {
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            made: OffsetDateTime::now_utc(),
            file: path.display().to_string(),
            question: question.to_owned(),
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

/// Which series it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesName {
    /// The model.
    pub model: String,
    /// What was done with it: `infer`, or what an import calls it.
    pub operation: String,
    /// How many inputs at once, where known.
    pub batch: Option<u32>,
    /// The element type that it computes in, where known.
    pub precision: Option<String>,
    /// Where.
    pub target: String,
    /// The adapter, where the browser names one.
    pub adapter: Option<String>,
    /// The class of machine: operating system, processor, cores.
    pub host: String,
    /// What was measured: `run_ms`, ….
    pub metric: String,
    /// In which unit.
    pub unit: String,
}

/// A series and its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// Which one.
    #[serde(flatten)]
    pub name: SeriesName,
    /// Whether less of it is better.
    pub lower_is_better: bool,
    /// Its runs, the oldest first.
    pub points: Vec<PointRow>,
}

/// One run in a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointRow {
    /// Which run.
    pub run_id: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The median of its samples.
    pub median: f64,
    /// The lower and the upper quartile of its samples.
    pub quartiles: [f64; 2],
    /// How many there are.
    pub samples: usize,
    /// Attempts of the run, the failed ones included.
    pub attempts: u64,
    /// Failed ones.
    pub failures: u64,
    /// The commit it ran on.
    pub commit: Option<String>,
    /// What changed in its environment since the point before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_changes: Vec<String>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowRow {
    /// Its runs, the oldest first.
    pub runs: Vec<i64>,
    /// All their samples.
    pub samples: usize,
    /// Their median.
    pub median: f64,
    /// The commits of its oldest and its newest run.
    pub commits: Option<[String; 2]>,
}

/// A difference between a baseline and a candidate window of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// `critical`, `severe`, `moderate`, `minor`, or `improvement`.
    pub severity: String,
    /// What it was.
    pub baseline: WindowRow,
    /// What it is.
    pub candidate: WindowRow,
    /// How much larger the candidate is (Hodges–Lehmann), in the series' unit.
    pub shift: f64,
    /// The 95 % confidence interval of that, where the samples are enough for one.
    pub shift_interval: Option<[f64; 2]>,
    /// The shift by the baseline's median.
    pub relative: f64,
    /// How likely such a difference would be if there were none (Mann–Whitney, corrected for runs that are alike).
    pub p_value: f64,
    /// The same, corrected for all series of the scan (Benjamini–Hochberg).
    pub p_adjusted: f64,
    /// Cliff's delta: how much more often a candidate's sample is the larger one, from -1 to 1.
    pub effect: f64,
    /// The smallest relative change that these windows would have shown 19 times of 20, where it can be told.
    pub detectable: Option<f64>,
    /// What differs between the environments of the two windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_changes: Vec<String>,
    /// What weakens the comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl RegressionRow {
    /// Whether it is one, rather than an improvement.
    pub fn is_regression(&self) -> bool {
        self.severity().is_some()
    }

    /// How bad it is; `None` for what is no regression.
    pub fn severity(&self) -> Option<Severity> {
        let all = [Severity::Minor, Severity::Moderate, Severity::Severe, Severity::Critical];
        all.into_iter().find(|severity| severity.to_string() == self.severity)
    }
}

/// A place where a series changed its level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// The first point of the new level, counted from 0.
    pub index: usize,
    /// Its run.
    pub run_id: i64,
    /// When that was.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The level before.
    pub before: f64,
    /// The level since.
    pub after: f64,
    /// The change by the level before; `None` when that is 0.
    pub relative: Option<f64>,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// Whether it is for the worse.
    pub worse: bool,
    /// The commit of the last point before, and that of the first since.
    pub commits: Option<[String; 2]>,
    /// What changed in the environment at that point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_changes: Vec<String>,
}

/// Where a series is going.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// `improving`, `stable` or `degrading`.
    pub trend: String,
    /// Theil–Sen slope: units a day.
    pub slope_per_day: f64,
    /// Its 95 % confidence interval.
    pub slope_interval: [f64; 2],
    /// What that is in 30 days, by the series' median; `None` when that is 0.
    pub relative_per_30_days: Option<f64>,
    /// Mann–Kendall, corrected for autocorrelation.
    pub p_value: f64,
    /// Points it is of.
    pub points: usize,
}

/// A point that stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// Its place, counted from 0.
    pub index: usize,
    /// Its run.
    pub run_id: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What was measured.
    pub value: f64,
    /// What was to be expected.
    pub expected: f64,
    /// How far off that is, in robust standard deviations.
    pub deviations: f64,
    /// The commit it ran on.
    pub commit: Option<String>,
}

/// What is to be expected of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// The first run that it was made of: the last change of level, or the series' start.
    pub from_run: i64,
    /// Share of future points that are to lie within the intervals.
    pub level: f64,
    /// The days that a step takes: the median between two runs; `None` where all came at once.
    pub step_days: Option<f64>,
    /// For each step ahead: the point, and its interval.
    pub points: Vec<[f64; 3]>,
    /// The budget that was asked about.
    pub budget: Option<f64>,
    /// What is to be said of it: "will cross it in 12 days, likely between 8 and 20".
    pub crossing: Option<String>,
}

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

/// A series that could not be judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotJudged {
    /// Which.
    #[serde(flatten)]
    pub series: SeriesName,
    /// Why, and what would help.
    pub reason: String,
}
