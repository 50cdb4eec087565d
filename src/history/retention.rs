//! Old results as a few numbers a day.

use super::{
    History, HistoryError, Metric,
    database::{Access, Database},
    schema,
    tables::Utc,
};
use duckdb::{Connection, params};
use std::{path::Path, time::SystemTime};

const DAY_MICROS: i64 = 86_400_000_000;

/// What was rolled up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolledUp {
    /// Runs whose results were.
    pub runs: u64,
    /// Rows of `performance_results` that are gone.
    pub results: u64,
    /// Rows of `daily_sketches` that stand for them.
    pub sketches: u64,
}

impl History {
    /// Rolls up the results of every run whose last result is of an earlier day, in UTC, than `older_than`, but for those
    /// of baselines, which are compared with run by run. All of it is one transaction: a crash leaves every result in one form.
    ///
    /// # Errors
    /// Every [`HistoryError`] but those of the writer thread.
    pub fn roll_up(path: &Path, older_than: SystemTime) -> Result<RolledUp, HistoryError> {
        drop(Self::open(path)?);
        let database = Database::open(path, Access::Write)?;
        schema::migrate(&database)?;
        let day = Utc::from(older_than).0.div_euclid(DAY_MICROS);
        roll_up(database.connection(), day).map_err(database.failed("rolled up"))
    }
}

fn roll_up(connection: &Connection, before: i64) -> duckdb::Result<RolledUp> {
    connection.execute_batch("DROP TABLE IF EXISTS temp.old_runs")?;
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(
        "CREATE TEMP TABLE old_runs AS SELECT run_id, count(*) AS attempts, count(*) FILTER (NOT success) AS failures \
         FROM performance_results GROUP BY run_id HAVING max(happened_at) < make_timestamp(?) \
         AND run_id NOT IN (SELECT unnest(run_ids) FROM baselines)",
        params![before.saturating_mul(DAY_MICROS)],
    )?;
    let runs = transaction.query_row("SELECT count(*)::UBIGINT FROM old_runs", [], |row| row.get(0))?;
    let days: Vec<i64> = transaction
        .prepare(
            "SELECT DISTINCT epoch_us(happened_at) // 86400000000 FROM performance_results SEMI JOIN old_runs USING (run_id)",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<duckdb::Result<_>>()?;
    let mut sketches = 0;
    // Day by day, because what aggregates keep lies in memory.
    for day in days {
        for metric in Metric::ALL {
            let span = params![day * DAY_MICROS, (day + 1) * DAY_MICROS];
            sketches += transaction.execute(&sketch(metric), span)? as u64;
        }
    }
    transaction.execute(
        "UPDATE runs SET attempts_rolled_up = attempts_rolled_up + attempts, \
         failures_rolled_up = failures_rolled_up + failures FROM old_runs WHERE runs.run_id = old_runs.run_id",
        [],
    )?;
    let results = transaction
        .execute("DELETE FROM performance_results WHERE run_id IN (SELECT run_id FROM old_runs)", [])?
        as u64;
    transaction.commit()?;
    // Only then is the room on disk used again.
    connection.execute_batch("DROP TABLE temp.old_runs; CHECKPOINT")?;
    Ok(RolledUp { runs, results, sketches })
}

/// One metric's sketches of the attempts between two moments. What is grouped by is a series' key, less what a run's
/// host and a target's description add to it, and an environment.
fn sketch(metric: Metric) -> String {
    let quantiles: Vec<_> = (0..32).map(|number| format!("{}", (f64::from(number) + 0.5) / 32.0)).collect();
    let quantiles = quantiles.join(", ");
    let (value, numbers) = match metric {
        // Counted over the day: one number.
        Metric::FailureRate => {
            let rate = "count(*) FILTER (NOT success) / count(*)";
            ("CAST(NULL AS DOUBLE)", format!("1, {rate}, {rate}, {rate}, {rate}, [{rate}]"))
        }
        _ => (
            metric.of_attempt(),
            format!(
                "count(value), min(value), max(value), avg(value), median(value), CASE WHEN count(value) <= 32 \
                 THEN list_sort(list(value) FILTER (value IS NOT NULL)) ELSE quantile_cont(value, [{quantiles}]) END"
            ),
        ),
    };
    let having = if metric == Metric::FailureRate { "" } else { "HAVING count(value) > 0" };
    format!(
        "INSERT INTO daily_sketches BY POSITION \
         WITH attempts AS ( \
             SELECT *, {value} AS measured FROM performance_results SEMI JOIN old_runs USING (run_id) \
             WHERE happened_at >= make_timestamp(?) AND happened_at < make_timestamp(?) \
         ), only_ones AS ( \
             SELECT run_id, target, any_value(target_id) AS only_id FROM targets GROUP BY ALL HAVING count(*) = 1 \
         ), placed AS ( \
             SELECT attempts.* EXCLUDE (target_id, measured), coalesce(target_id, only_id) AS target_id, \
             CASE WHEN isfinite(measured) THEN measured END AS value \
             FROM attempts LEFT JOIN only_ones USING (run_id, target) \
         ) \
         SELECT CAST(happened_at AS DATE), max(p.run_id), arg_max(p.target_id, p.run_id), p.target, model, \
         coalesce(operation, 'infer'), batch, precision, '{}', min(happened_at), count(*), \
         count(*) FILTER (NOT success), {numbers}, model_sha256 \
         FROM placed p JOIN runs r USING (run_id) LEFT JOIN targets t ON t.run_id = p.run_id AND t.target_id = p.target_id \
         GROUP BY CAST(happened_at AS DATE), p.target, model, coalesce(operation, 'infer'), batch, precision, model_sha256, r.tabfleet, \
         r.git_branch, r.host_name, r.os, r.arch, r.cpu, r.cores, t.product, t.version, t.headless, t.adapter_vendor, \
         t.adapter_architecture, t.adapter_device, t.adapter_description, t.webnn_device, t.runtime, t.runtime_version, \
         t.threads {having}",
        metric.name()
    )
}
