//! The tables as types: a row is a struct whose fields are the columns, in name and in order.

use crate::report::SeriesName;
use duckdb::{
    Connection, ToSql,
    types::{TimeUnit, ToSqlOutput, Value},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Columns and their values.
pub(super) trait Columns {
    fn names() -> Vec<&'static str>;
    fn values(&self) -> Vec<&dyn ToSql>;
}

/// A row of one table.
pub(super) trait Row: Columns {
    const TABLE: &'static str;
}

macro_rules! columns {
    ($(#[$doc:meta])* $row:ident { $($column:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $row { $(pub $column: $type),+ }

        impl Columns for $row {
            fn names() -> Vec<&'static str> {
                vec![$(stringify!($column)),+]
            }
            fn values(&self) -> Vec<&dyn ToSql> {
                vec![$(&self.$column),+]
            }
        }
    };
}

macro_rules! table {
    ($(#[$doc:meta])* $row:ident in $table:literal { $($column:ident: $type:ty),+ $(,)? }) => {
        columns!($(#[$doc])* $row { $($column: $type),+ });

        impl Row for $row {
            const TABLE: &'static str = $table;
        }
    };
}

table!(
    /// One description of a target in a run.
    TargetRow in "targets" {
        run_id: i64,
        target_id: u32,
        target: String,
        browser: Option<&'static str>,
        backend: Option<&'static str>,
        available: bool,
        reason: Option<String>,
        product: Option<String>,
        version: Option<String>,
        headless: Option<bool>,
        driver: Option<String>,
        stand_in: Option<bool>,
        adapter_vendor: Option<String>,
        adapter_architecture: Option<String>,
        adapter_device: Option<String>,
        adapter_description: Option<String>,
        adapter_software: Option<bool>,
        webnn_device: Option<String>,
        runtime: Option<String>,
        runtime_version: Option<String>,
        threads: Option<u32>,
    }
);

table!(
    /// One attempt.
    ResultRow in "performance_results" {
        run_id: i64,
        happened_at: Utc,
        job: u64,
        attempt: u32,
        tab: u64,
        target_id: Option<u32>,
        target: String,
        model: String,
        model_sha256: String,
        family: &'static str,
        success: bool,
        queue_ms: Option<f64>,
        download_ms: Option<f64>,
        create_ms: Option<f64>,
        run_ms: Option<f64>,
        readback_ms: Option<f64>,
        wire_ms: Option<f64>,
        total_ms: Option<f64>,
        elapsed_ms: Option<f64>,
        cpu_fallback: Option<bool>,
        category: Option<&'static str>,
        cause: Option<&'static str>,
        severity: Option<&'static str>,
        message: Option<String>,
        batch: Option<u32>,
        precision: Option<&'static str>,
        memory_bytes: Option<u64>,
        operation: &'static str,
    }
);

table!(
    /// One attempt that a report tells of.
    ImportedRow in "performance_results" {
        run_id: i64,
        happened_at: Utc,
        job: u64,
        attempt: u32,
        target_id: Option<u32>,
        target: String,
        model: String,
        family: Option<&'static str>,
        success: bool,
        create_ms: Option<f64>,
        run_ms: Option<f64>,
        cpu_fallback: Option<bool>,
        category: Option<String>,
        cause: Option<String>,
        message: Option<String>,
        operation: String,
        throughput_per_s: Option<f64>,
    }
);

table!(
    /// One thing that happened to a browser or a tab.
    BrowserEventRow in "browser_events" {
        run_id: i64,
        happened_at: Utc,
        event: &'static str,
        browser: Option<&'static str>,
        browser_id: Option<u64>,
        tab: Option<u64>,
        target: Option<String>,
        product: Option<String>,
        version: Option<String>,
        category: Option<&'static str>,
        cause: Option<&'static str>,
        severity: Option<&'static str>,
        message: Option<String>,
    }
);

table!(
    /// A circuit breaker changed its state.
    BreakerEventRow in "breaker_events" {
        run_id: i64,
        happened_at: Utc,
        target: String,
        model: Option<String>,
        model_sha256: Option<String>,
        from_state: &'static str,
        to_state: &'static str,
        reason: String,
        wait_ms: Option<f64>,
    }
);

table!(
    /// Something was done about a failure.
    RecoveryRow in "recoveries" {
        run_id: i64,
        happened_at: Utc,
        browser: &'static str,
        target: Option<String>,
        tab: Option<u64>,
        job: Option<u64>,
        category: &'static str,
        cause: &'static str,
        message: String,
        strategy: &'static str,
        succeeded: bool,
        elapsed_ms: f64,
    }
);

table!(
    /// A tab was asked something whose answer is known.
    HealthCheckRow in "health_checks" {
        run_id: i64,
        happened_at: Utc,
        tab: u64,
        target: String,
        success: bool,
        category: Option<&'static str>,
        cause: Option<&'static str>,
        message: Option<String>,
    }
);

columns!(
    /// Which series an answer is about.
    SeriesColumns {
        model: String,
        operation: String,
        batch: Option<u32>,
        precision: Option<String>,
        target: String,
        adapter: Option<String>,
        host: String,
        metric: String,
    }
);

impl From<&SeriesName> for SeriesColumns {
    fn from(name: &SeriesName) -> Self {
        let SeriesName { model, operation, batch, precision, target, adapter, host, metric, unit: _ } = name.clone();
        Self { model, operation, batch, precision, target, adapter, host, metric }
    }
}

/// An answer about a series.
#[derive(Debug)]
pub(super) struct OfSeries<R> {
    pub series: SeriesColumns,
    pub answer: R,
}

impl<R: Columns> Columns for OfSeries<R> {
    fn names() -> Vec<&'static str> {
        [SeriesColumns::names(), R::names()].concat()
    }
    fn values(&self) -> Vec<&dyn ToSql> {
        [self.series.values(), self.answer.values()].concat()
    }
}

impl<R: Row> Row for OfSeries<R> {
    const TABLE: &'static str = R::TABLE;
}

table!(
    /// A difference that was found, on its way into `regression_history`.
    RegressionAnswer in "found_regressions" {
        found_at: Utc,
        run_id: i64,
        baseline: Option<String>,
        baseline_samples: u64,
        candidate_samples: u64,
        baseline_median: f64,
        candidate_median: f64,
        shift: f64,
        shift_low: Option<f64>,
        shift_high: Option<f64>,
        shift_percent: f64,
        p_value: f64,
        p_adjusted: f64,
        direction: &'static str,
        severity: &'static str,
        environment: Option<String>,
        git_commit: Option<String>,
    }
);

table!(
    /// A trend that was found, on its way into `trend_analysis`.
    TrendAnswer in "found_trends" {
        analysed_at: Utc,
        points: u64,
        first_at: Utc,
        last_at: Utc,
        slope_per_day: f64,
        slope_low: f64,
        slope_high: f64,
        p_value: f64,
        p_adjusted: f64,
        direction: &'static str,
    }
);

table!(
    /// A recommendation, on its way into `browser_recommendations`.
    RecommendationAnswer in "found_recommendations" {
        recommended_at: Utc,
        model: Option<String>,
        family: Option<String>,
        host: String,
        target: String,
        adapter: Option<String>,
        runner_up: Option<String>,
        tie: bool,
        confidence: f64,
        effect_size: Option<f64>,
        p_value: Option<f64>,
        median_ms: f64,
        samples: u64,
        attempts: u64,
        failures: u64,
        last_at: Utc,
        reason: String,
    }
);

/// Appends the rows to their table.
pub(super) fn append<R: Row>(connection: &Connection, rows: &[R]) -> duckdb::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // By name, so that a column that a later schema version adds is no concern of this one.
    let mut appender = connection.appender_with_columns(R::TABLE, &R::names())?;
    rows.iter().try_for_each(|row| appender.append_row(row.values().as_slice()))?;
    appender.flush()
}

/// A moment as DuckDB keeps it: microseconds since 1970 in UTC, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Utc(pub i64);

impl From<SystemTime> for Utc {
    fn from(at: SystemTime) -> Self {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(at.duration_since(UNIX_EPOCH).map_or_else(|before| -micros(before.duration()), micros))
    }
}

impl From<Utc> for SystemTime {
    fn from(Utc(micros): Utc) -> Self {
        let span = Duration::from_micros(micros.unsigned_abs());
        if micros < 0 { UNIX_EPOCH - span } else { UNIX_EPOCH + span }
    }
}

impl ToSql for Utc {
    fn to_sql(&self) -> duckdb::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Timestamp(TimeUnit::Microsecond, self.0)))
    }
}
