//! SQL of a person's own.

use super::{History, HistoryError};
use duckdb::types::{TimeUnit, Value};
use serde_json::{Map, Number, Value as Json};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339};

/// What a query answered, as values that JSON has.
///
/// Times are RFC 3339 texts in UTC, numbers that JSON has no room for and intervals are texts, and NaN and the
/// infinities are null.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, each with a value for each column.
    pub rows: Vec<Vec<Json>>,
}

impl History {
    /// Executes the SQL. The history is open to be read: a statement that changes it is refused.
    ///
    /// # Errors
    /// [`HistoryError::ReadOnly`] for such a statement, [`HistoryError::Query`] for one that DuckDB does not understand
    /// or cannot execute.
    pub fn query(&self, sql: &str) -> Result<Answer, HistoryError> {
        let ask = || {
            let mut statement = self.connection().prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut answer =
                Answer { columns: rows.as_ref().map(|it| it.column_names()).unwrap_or_default(), rows: Vec::new() };
            while let Some(row) = rows.next()? {
                let values = (0..answer.columns.len()).map(|column| row.get::<_, Value>(column).map(json));
                answer.rows.push(values.collect::<duckdb::Result<_>>()?);
            }
            Ok(answer)
        };
        ask().map_err(|source: duckdb::Error| {
            let path = self.database.path().to_owned();
            if source.to_string().contains("read-only mode") {
                HistoryError::ReadOnly { path }
            } else {
                HistoryError::Query { path, source: Box::new(source) }
            }
        })
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(it) => it.into(),
        Value::TinyInt(it) => it.into(),
        Value::SmallInt(it) => it.into(),
        Value::Int(it) => it.into(),
        Value::BigInt(it) => it.into(),
        Value::HugeInt(it) => i64::try_from(it).map_or_else(|_| it.to_string().into(), Json::from),
        Value::UHugeInt(it) => u64::try_from(it).map_or_else(|_| it.to_string().into(), Json::from),
        Value::UTinyInt(it) => it.into(),
        Value::USmallInt(it) => it.into(),
        Value::UInt(it) => it.into(),
        Value::UBigInt(it) => it.into(),
        Value::Float(it) => Number::from_f64(f64::from(it)).map_or(Json::Null, Json::Number),
        Value::Double(it) => Number::from_f64(it).map_or(Json::Null, Json::Number),
        Value::Decimal(it) => it.to_string().parse::<Number>().map_or_else(|_| it.to_string().into(), Json::Number),
        Value::Timestamp(unit, it) => moment(unit, it).map_or(Json::Null, Json::from),
        Value::Date32(days) => date(days).map_or(Json::Null, Json::from),
        Value::Text(it) | Value::Enum(it) => it.into(),
        Value::Blob(bytes) | Value::Geometry(bytes) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        Value::Time64(unit, it) => time_of_day(unit, it).map_or(Json::Null, Json::from),
        Value::Interval { months, days, nanos } => format!("{months} months {days} days {nanos} ns").into(),
        Value::List(values) | Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Struct(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), json(value.clone()))).collect::<Map<_, _>>().into()
        }
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| Json::Array(vec![json(key.clone()), json(value.clone())])).collect()
        }
        Value::Union(value) => json(*value),
        // A type that a later DuckDB has.
        other => format!("{other:?}").into(),
    }
}

fn nanos(unit: TimeUnit, count: i64) -> i128 {
    let unit = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    i128::from(count) * unit
}

fn moment(unit: TimeUnit, count: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(nanos(unit, count)).ok()?.format(&Rfc3339).ok()
}

fn date(days: i32) -> Option<String> {
    // The Julian day of 1970-01-01.
    Some(Date::from_julian_day(days.checked_add(2_440_588)?).ok()?.to_string())
}

fn time_of_day(unit: TimeUnit, count: i64) -> Option<String> {
    Some(OffsetDateTime::from_unix_timestamp_nanos(nanos(unit, count)).ok()?.time().to_string())
}
