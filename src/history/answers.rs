//! What was answered, kept in the file: what was known of a series, and when.

use super::{
    History, HistoryError,
    database::{Access, Database},
    schema,
    tables::{Columns, OfSeries, RecommendationAnswer, RegressionAnswer, Row, SeriesColumns, TrendAnswer, Utc, append},
};
use crate::{
    report::{Findings, RankedRow, RecommendationRow, RegressionRow, SeriesName, SeriesRow, TrendRow},
    stats::regression::Thresholds,
};
use duckdb::Connection;
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, SystemTime},
};

/// Between the changes of an environment, while they are one text.
const SEPARATOR: char = '\u{1f}';

impl History {
    /// Adds the regressions and improvements, the trends and the recommendations among the findings to
    /// `regression_history`, `trend_analysis` and `browser_recommendations`. What was found in the same runs before is
    /// not added again. `baseline` is the pinned baseline that was compared with. Returns how many rows were added.
    ///
    /// # Errors
    /// Every [`HistoryError`] but those of the writer thread.
    pub fn keep(path: &Path, findings: &Findings, baseline: Option<&str>) -> Result<u64, HistoryError> {
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        keep(&database, findings, baseline)
    }
}

/// See [`History::keep`]; of an open file.
pub(super) fn keep(database: &Database, findings: &Findings, baseline: Option<&str>) -> Result<u64, HistoryError> {
    let at = Utc::from(SystemTime::from(findings.made));
    let series: BTreeMap<&SeriesName, &SeriesRow> = findings.series.iter().map(|row| (&row.name, row)).collect();
    let regressions: Vec<_> = findings.regressions.iter().filter_map(|row| regression(row, at, baseline)).collect();
    let trends: Vec<_> = findings.trends.iter().filter_map(|row| trend(row, at, &series)).collect();
    let recommended = findings.recommendations.iter().filter_map(|row| recommendation(row, findings.made.into()));
    let recommendations: Vec<_> = recommended.collect();
    let write = || {
        let transaction = database.connection().unchecked_transaction()?;
        let of_series = |own: &[&'static str]| [&SeriesColumns::names()[..], own].concat();
        let added = add(&transaction, "regression_history", &of_series(&["run_id", "baseline"]), &regressions)?
            + add(&transaction, "trend_analysis", &of_series(&["points", "last_at"]), &trends)?
            + add(
                &transaction,
                "browser_recommendations",
                &["model", "family", "host", "target", "samples", "attempts", "failures"],
                &recommendations,
            )?;
        transaction.commit()?;
        Ok(added)
    };
    write().map_err(database.failed("written"))
}

/// Adds the rows whose key the table does not have yet.
fn add<R: Row>(connection: &Connection, table: &str, key: &[&str], rows: &[R]) -> duckdb::Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    // A list cannot be appended; as a text it can.
    let has_list = R::names().contains(&"environment");
    let (as_text, as_list) = if has_list {
        ("REPLACE (NULL::VARCHAR AS environment)", "REPLACE (string_split(environment, chr(31)) AS environment)")
    } else {
        ("", "")
    };
    let answers = R::TABLE;
    connection.execute_batch(&format!("CREATE TEMP TABLE {answers} AS SELECT * {as_text} FROM {table} LIMIT 0"))?;
    append(connection, rows)?;
    let same: Vec<_> =
        key.iter().map(|column| format!("known.{column} IS NOT DISTINCT FROM {answers}.{column}")).collect();
    let added = connection.execute(
        &format!(
            "INSERT INTO {table} BY NAME SELECT * {as_list} FROM {answers} \
             WHERE NOT EXISTS (SELECT 1 FROM {table} known WHERE {})",
            same.join(" AND ")
        ),
        [],
    )?;
    connection.execute_batch(&format!("DROP TABLE {answers}"))?;
    Ok(added as u64)
}

/// `None` for what is neither large nor sure enough to be anything.
fn regression(row: &RegressionRow, at: Utc, baseline: Option<&str>) -> Option<OfSeries<RegressionAnswer>> {
    let thresholds = Thresholds::default();
    let severity = thresholds.severity(row.relative, row.p_adjusted);
    let (low, high) = row.shift_interval.map(|[low, high]| (low, high)).unzip();
    let is_something = thresholds.matters(severity, row.p_adjusted) && row.shift != 0.0;
    let answer = is_something.then(|| RegressionAnswer {
        found_at: at,
        run_id: row.candidate.runs.last().copied().unwrap_or_default(),
        baseline: baseline.map(str::to_owned),
        baseline_samples: row.baseline.samples as u64,
        candidate_samples: row.candidate.samples as u64,
        baseline_median: row.baseline.median,
        candidate_median: row.candidate.median,
        shift: row.shift,
        shift_low: low,
        shift_high: high,
        shift_percent: row.relative * 100.0,
        p_value: row.p_value,
        p_adjusted: row.p_adjusted,
        direction: if row.is_regression() { "regression" } else { "improvement" },
        severity: severity.name(),
        environment: (!row.environment_changes.is_empty())
            .then(|| row.environment_changes.join(&SEPARATOR.to_string())),
        git_commit: row.candidate.commits.as_ref().map(|[first, _]| first.clone()),
    });
    answer.map(|answer| OfSeries { series: (&row.series).into(), answer })
}

fn trend(row: &TrendRow, at: Utc, series: &BTreeMap<&SeriesName, &SeriesRow>) -> Option<OfSeries<TrendAnswer>> {
    let points = &series.get(&row.series)?.points;
    let times = || points.iter().map(|point| Utc::from(SystemTime::from(point.at)));
    let answer = TrendAnswer {
        analysed_at: at,
        points: row.points as u64,
        first_at: times().min()?,
        last_at: times().max()?,
        slope_per_day: row.slope_per_day,
        slope_low: row.slope_interval[0],
        slope_high: row.slope_interval[1],
        p_value: row.p_value,
        p_adjusted: row.p_adjusted,
        direction: row.trend.name(),
    };
    Some(OfSeries { series: (&row.series).into(), answer })
}

/// `None` where nothing can be recommended.
fn recommendation(row: &RecommendationRow, made: SystemTime) -> Option<RecommendationAnswer> {
    let fit = |ranked: &&RankedRow| ranked.refused.is_none();
    let mut ranked = row.targets.iter().filter(fit);
    let (best, runner_up) = (ranked.next()?, ranked.next());
    Some(RecommendationAnswer {
        recommended_at: made.into(),
        model: row.family.is_none().then(|| row.model.clone()),
        family: row.family.clone(),
        host: row.host.clone(),
        target: best.target.clone(),
        adapter: best.adapter.clone(),
        runner_up: runner_up.map(|ranked| ranked.target.clone()),
        tie: best.tied,
        confidence: row.confidence?,
        effect_size: row.effect,
        p_value: row.p_adjusted,
        median_ms: best.median_ms?,
        samples: best.samples as u64,
        attempts: best.attempts,
        failures: best.failures,
        // To the second: the age is of a moment after `made`.
        last_at: (made - Duration::from_secs((best.age_days * 86_400.0).round() as u64)).into(),
        reason: row.says.clone(),
    })
}
