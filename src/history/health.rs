//! How well targets were: what failed, and what was done about it.

use super::{
    History, HistoryError, SeriesFilter,
    places::{Names, Runs},
    tables::Utc,
};
use crate::report::HealthRow;
use duckdb::{Row, ToSql, params_from_iter};
use std::time::SystemTime;

impl History {
    /// What became of each target's attempts in the runs that the filter lets through, of the model and operation that
    /// it names, those of rolled-up days included; how often circuit breakers opened, what was done about failures and
    /// how much of that helped, and how the health checks went. Its metrics do not matter.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn target_health(&self, filter: &SeriesFilter) -> Result<Vec<HealthRow>, HistoryError> {
        self.read_health(filter).map_err(self.database.failed("read"))
    }

    fn read_health(&self, filter: &SeriesFilter) -> duckdb::Result<Vec<HealthRow>> {
        let runs = Runs::read(self.connection(), filter, &mut Names::default())?;
        let wanted: Vec<String> = runs.runs.iter().filter(|run| run.wanted).map(|run| run.run_id.to_string()).collect();
        let (of_results, asked) = filter.condition();
        let of_target = if filter.target.is_some() { "target = ?" } else { "true" };
        let target = filter.target.as_slice();
        let values = asked.iter().chain(&asked).map(|value| value as &dyn ToSql);
        let values = values.chain([target; 3].into_iter().flatten().map(|value| value as &dyn ToSql));
        let mut statement = self.connection().prepare(&sql(&wanted.join(", "), &of_results, of_target))?;
        statement.query_map(params_from_iter(values), row)?.collect()
    }
}

fn sql(wanted: &str, of_results: &str, of_target: &str) -> String {
    format!(
        "WITH wanted AS (SELECT unnest(CAST([{wanted}] AS BIGINT[])) AS run_id), results AS ( \
             SELECT target, 1 AS attempts, CAST(NOT success AS INTEGER) AS failures, happened_at AS ended \
             FROM performance_results SEMI JOIN wanted USING (run_id) WHERE {of_results} \
             UNION ALL SELECT target, attempts, failures, first_at \
             FROM daily_sketches SEMI JOIN wanted USING (run_id) WHERE metric = 'failure_rate' AND {of_results} \
         ), attempts AS ( \
             SELECT target, sum(attempts)::UBIGINT AS attempts, sum(failures)::UBIGINT AS failures, \
             epoch_us(max(ended)) AS last_at FROM results GROUP BY target \
         ), circuits AS ( \
             SELECT target, count(*) FILTER (to_state = 'open') AS opened \
             FROM breaker_events SEMI JOIN wanted USING (run_id) WHERE {of_target} GROUP BY target \
         ), mended AS ( \
             SELECT target, count(*) AS recoveries, count(*) FILTER (succeeded) AS helped, \
             median(elapsed_ms) FILTER (succeeded) AS recovery_ms \
             FROM recoveries SEMI JOIN wanted USING (run_id) WHERE target IS NOT NULL AND {of_target} GROUP BY target \
         ), checks AS ( \
             SELECT target, count(*) AS checks, count(*) FILTER (NOT success) AS failed_checks \
             FROM health_checks SEMI JOIN wanted USING (run_id) WHERE {of_target} GROUP BY target \
         ) \
         SELECT target, coalesce(attempts, 0)::UBIGINT, coalesce(failures, 0)::UBIGINT, coalesce(opened, 0)::UBIGINT, \
         coalesce(recoveries, 0)::UBIGINT, coalesce(helped, 0)::UBIGINT, recovery_ms, coalesce(checks, 0)::UBIGINT, \
         coalesce(failed_checks, 0)::UBIGINT, last_at \
         FROM attempts FULL JOIN circuits USING (target) FULL JOIN mended USING (target) FULL JOIN checks USING (target) \
         ORDER BY target"
    )
}

fn row(row: &Row<'_>) -> duckdb::Result<HealthRow> {
    Ok(HealthRow {
        target: row.get(0)?,
        attempts: row.get(1)?,
        failures: row.get(2)?,
        circuit_opened: row.get(3)?,
        recoveries: row.get(4)?,
        helped: row.get(5)?,
        recovery_ms: row.get(6)?,
        health_checks: row.get(7)?,
        failed_checks: row.get(8)?,
        last_at: row.get::<_, Option<i64>>(9)?.map(|at| SystemTime::from(Utc(at)).into()),
    })
}
