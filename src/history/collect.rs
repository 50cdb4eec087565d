//! Rows as series: everything measured is read once, row group by row group, and kept as columns of numbers.

use super::{
    Metric, RunPoint, Series, SeriesFilter, SeriesKey,
    places::{Names, Runs},
    tables::Utc,
};
use crate::stats;
use duckdb::{
    Connection, Row,
    arrow::{
        array::{Array, AsArray, RecordBatch, StringArray},
        datatypes::{Float64Type, Int64Type, UInt32Type},
    },
    params_from_iter,
    types::{ToSql, Type, Value},
};
use std::{collections::HashMap, sync::Arc, time::SystemTime};

/// Rows read at once: two of DuckDB's row groups, one for each thread. Results come as a whole, never as a stream,
/// because that of duckdb-rs panics on a damaged file.
const ROWS_AT_ONCE: i64 = 2 * 122_880;

/// The model's file, in so many digits that two of one name are told apart.
const MODEL: &str = "left(model_sha256, 9)";

/// A key as numbers of [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ident {
    model: u32,
    operation: u32,
    batch: Option<u32>,
    precision: Option<u32>,
    target: u32,
    adapter: Option<u32>,
    host: u32,
}

/// What a run, or a rolled-up day of it, says of a key.
#[derive(Debug)]
struct Point {
    run: u32,
    environment: u32,
    day: Option<Day>,
    attempts: u64,
    failures: u64,
}

/// A rolled-up day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    number: i32,
    first_at: Utc,
}

/// The samples of a metric, and whose they are.
#[derive(Debug, Default)]
struct Samples {
    points: Vec<u32>,
    values: Vec<f64>,
    /// Count and median of what a day's quantiles stand for.
    sketched: HashMap<u32, (u64, f64)>,
}

#[derive(Debug, Default)]
struct Measured {
    points: Vec<Point>,
    /// The highest run of them.
    latest: Option<u32>,
    by_metric: Vec<Samples>,
}

/// Everything that a filter lets through.
pub(super) struct Collected {
    metrics: Vec<Metric>,
    names: Names,
    runs: Runs,
    numbers: HashMap<Ident, u32>,
    measured: Vec<(Ident, Measured)>,
}

impl Collected {
    pub fn read(connection: &Connection, filter: &SeriesFilter) -> duckdb::Result<Self> {
        let mut names = Names::default();
        let runs = Runs::read(connection, filter, &mut names)?;
        let (numbers, measured) = Default::default();
        let mut all = Self { metrics: filter.wanted(), names, runs, numbers, measured };
        if let Some(span) = all.runs.span() {
            all.read_sketches(connection, filter, span)?;
            all.read_attempts(connection, filter, span)?;
        }
        Ok(all)
    }

    fn read_attempts(
        &mut self,
        connection: &Connection,
        filter: &SeriesFilter,
        span: (i64, i64),
    ) -> duckdb::Result<()> {
        let end: i64 =
            connection
                .query_row("SELECT coalesce(max(rowid) + 1, 0) FROM performance_results", [], |row| row.get(0))?;
        let (condition, values) = filter.series_condition();
        let metrics: Vec<_> = self.metrics.iter().map(|metric| metric.of_attempt()).collect();
        let sql = format!(
            "SELECT run_id, target_id, target, model, operation, batch, precision, success, {MODEL}, {} \
             FROM performance_results \
             WHERE rowid >= ? AND rowid < ? AND run_id BETWEEN ? AND ? AND {condition}",
            metrics.join(", ")
        );
        let mut statement = connection.prepare(&sql)?;
        for from in (0..end).step_by(ROWS_AT_ONCE as usize) {
            let to = from + ROWS_AT_ONCE;
            let numbers = [&from, &to, &span.0, &span.1].into_iter().map(|number| number as &dyn ToSql);
            let texts = values.iter().map(|value| value as &dyn ToSql);
            for batch in statement.query_arrow(params_from_iter(numbers.chain(texts)))? {
                self.add_attempts(&batch)?;
            }
        }
        Ok(())
    }

    fn add_attempts(&mut self, batch: &RecordBatch) -> duckdb::Result<()> {
        let wrong = |column: usize| duckdb::Error::InvalidColumnType(column, String::new(), Type::Any);
        let column = |number: usize| batch.column(number);
        let texts = |number: usize| column(number).as_string_opt::<i32>().ok_or_else(|| wrong(number));
        let small = |number: usize| column(number).as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong(number));
        let run_ids = column(0).as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(0))?;
        let (target_ids, batches) = (small(1)?, small(5)?);
        let (targets, models, operations, precisions) = (texts(2)?, texts(3)?, texts(4)?, texts(6)?);
        let successes = column(7).as_boolean_opt().ok_or_else(|| wrong(7))?;
        let files = texts(8)?;
        let metrics = (9..9 + self.metrics.len())
            .map(|number| column(number).as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(number)))
            .collect::<duckdb::Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let Some(run) = self.runs.number(run_ids.value(row)).filter(|run| self.runs.runs[*run as usize].wanted)
            else {
                continue;
            };
            let place =
                self.runs.runs[run as usize].place(valid(target_ids, row, |it| it.value(row)), targets.value(row));
            let ident = Ident {
                model: self.names.number(models.value(row)),
                operation: self.names.number(text(operations, row).unwrap_or("infer")),
                batch: valid(batches, row, |it| it.value(row)),
                precision: text(precisions, row).map(|precision| self.names.number(precision)),
                target: self.names.number(targets.value(row)),
                adapter: place.adapter,
                host: self.runs.runs[run as usize].host,
            };
            let file = text(files, row).map(|file| self.names.number(file));
            let environment = self.runs.with_model(place.environment, file, &self.names);
            let measured = self.measured(ident);
            let point = measured.point(run, environment, None);
            let counts = &mut measured.points[point as usize];
            counts.attempts += 1;
            counts.failures += u64::from(!successes.value(row));
            for (samples, values) in measured.by_metric.iter_mut().zip(&metrics) {
                if let Some(value) = valid(values, row, |it| it.value(row)).filter(|value| value.is_finite()) {
                    samples.points.push(point);
                    samples.values.push(value);
                }
            }
        }
        Ok(())
    }

    fn read_sketches(
        &mut self,
        connection: &Connection,
        filter: &SeriesFilter,
        span: (i64, i64),
    ) -> duckdb::Result<()> {
        let (condition, values) = filter.series_condition();
        let sql = format!(
            "SELECT run_id, target_id, target, model, operation, batch, precision, metric, datediff('day', DATE \
             '1970-01-01', day)::INTEGER, epoch_us(first_at), attempts, failures, count, median, quantiles, {MODEL} \
             FROM daily_sketches WHERE run_id BETWEEN ? AND ? AND {condition}"
        );
        let numbers = [&span.0, &span.1].into_iter().map(|number| number as &dyn ToSql);
        let texts = values.iter().map(|value| value as &dyn ToSql);
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(numbers.chain(texts)))?;
        while let Some(row) = rows.next()? {
            let Some(run) = self.runs.number(row.get(0)?).filter(|run| self.runs.runs[*run as usize].wanted) else {
                continue;
            };
            let text = |column: usize| row.get::<_, String>(column);
            let target = text(2)?;
            let place = self.runs.runs[run as usize].place(row.get(1)?, &target);
            let ident = Ident {
                model: self.names.number(&text(3)?),
                operation: self.names.number(&text(4)?),
                batch: row.get(5)?,
                precision: row.get::<_, Option<String>>(6)?.map(|precision| self.names.number(&precision)),
                target: self.names.number(&target),
                adapter: place.adapter,
                host: self.runs.runs[run as usize].host,
            };
            let metric = text(7)?;
            let wanted = self.metrics.iter().position(|wanted| wanted.name() == metric);
            let day = Day { number: row.get(8)?, first_at: Utc(row.get(9)?) };
            let file = row.get::<_, Option<String>>(15)?.map(|file| self.names.number(&file));
            let environment = self.runs.with_model(place.environment, file, &self.names);
            let measured = self.measured(ident);
            let point = measured.point(run, environment, Some(day));
            (measured.points[point as usize].attempts, measured.points[point as usize].failures) =
                (row.get(10)?, row.get(11)?);
            let Some(samples) = wanted.map(|wanted| &mut measured.by_metric[wanted]) else { continue };
            for value in doubles(row, 14)? {
                samples.points.push(point);
                samples.values.push(value);
            }
            samples.sketched.insert(point, (row.get(12)?, row.get(13)?));
        }
        Ok(())
    }

    fn measured(&mut self, ident: Ident) -> &mut Measured {
        let next = self.measured.len() as u32;
        let number = *self.numbers.entry(ident).or_insert(next);
        if number == next {
            let by_metric = self.metrics.iter().map(|_| Samples::default()).collect();
            self.measured.push((ident, Measured { by_metric, ..Measured::default() }));
        }
        &mut self.measured[number as usize].1
    }

    /// Makes each series, by key, and gives back its memory before the next.
    pub fn each(mut self, mut visit: impl FnMut(Series)) {
        let mut keyed: Vec<(SeriesKey, Measured)> = Vec::with_capacity(self.measured.len());
        for (ident, measured) in std::mem::take(&mut self.measured) {
            keyed.push((self.key(&ident), measured));
        }
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, mut measured) in keyed {
            let order = self.order(&measured.points);
            for (metric, samples) in self.metrics.iter().zip(std::mem::take(&mut measured.by_metric)) {
                let points = if *metric == Metric::FailureRate {
                    self.failure_rates(&measured.points, &order)
                } else {
                    self.points(&measured.points, samples, &order)
                };
                if !points.is_empty() {
                    visit(Series { key: SeriesKey { metric: *metric, ..key.clone() }, points });
                }
            }
        }
    }

    fn key(&self, ident: &Ident) -> SeriesKey {
        let text = |number: u32| self.names.text(number).to_owned();
        SeriesKey {
            model: text(ident.model),
            operation: text(ident.operation),
            batch: ident.batch,
            precision: ident.precision.map(text),
            target: text(ident.target),
            adapter: ident.adapter.map(text),
            host: text(ident.host),
            metric: Metric::RunMs,
        }
    }

    /// The points' numbers in the order of time; those of a run in the order in which they came.
    fn order(&self, points: &[Point]) -> Vec<u32> {
        let mut order: Vec<u32> = (0..points.len() as u32).collect();
        order.sort_by_key(|number| {
            let point = &points[*number as usize];
            // The rolled-up days of a run come before what is left of it.
            (self.runs.runs[point.run as usize].rank, point.day.map_or(i32::MAX, |day| day.number))
        });
        order
    }

    fn points(&self, points: &[Point], samples: Samples, order: &[u32]) -> Vec<RunPoint> {
        let mut counts = vec![0; points.len()];
        samples.points.iter().for_each(|point| counts[*point as usize] += 1);
        let mut values: Vec<Vec<f64>> = counts.into_iter().map(Vec::with_capacity).collect();
        for (point, value) in samples.points.iter().zip(&samples.values) {
            values[*point as usize].push(*value);
        }
        let mut made = Vec::new();
        for number in order {
            let values = std::mem::take(&mut values[*number as usize]);
            let Some(median) = stats::median(&values) else { continue };
            let of_all = (values.len() as u64, median);
            let (measured, median) = samples.sketched.get(number).copied().unwrap_or(of_all);
            made.push(self.point(&points[*number as usize], values, measured, median));
        }
        made
    }

    fn failure_rates(&self, points: &[Point], order: &[u32]) -> Vec<RunPoint> {
        let tried = order.iter().map(|number| &points[*number as usize]).filter(|point| point.attempts > 0);
        tried
            .map(|point| {
                let rate = point.failures as f64 / point.attempts as f64;
                self.point(point, vec![rate], 1, rate)
            })
            .collect()
    }

    fn point(&self, point: &Point, samples: Vec<f64>, measured: u64, median: f64) -> RunPoint {
        let run = &self.runs.runs[point.run as usize];
        RunPoint {
            run_id: run.run_id,
            at: SystemTime::from(point.day.map_or(run.started, |day| day.first_at)),
            samples,
            measured,
            median,
            attempts: point.attempts,
            failures: point.failures,
            git_commit: run.git_commit.clone(),
            git_branch: run.git_branch.clone(),
            environment: Arc::clone(&self.runs.environments[point.environment as usize]),
        }
    }
}

impl Measured {
    /// The number of that point. Rows come run by run but for a file that another tool wrote, so that it is new or one
    /// of the last few.
    fn point(&mut self, run: u32, environment: u32, day: Option<Day>) -> u32 {
        let same = |point: &Point| {
            (point.run, point.environment, point.day.map(|day| day.number))
                == (run, environment, day.map(|day| day.number))
        };
        if self.latest.is_none_or(|latest| run > latest) {
            self.latest = Some(run);
        } else if let Some(known) = self.points.iter().rposition(same) {
            return known as u32;
        }
        self.points.push(Point { run, environment, day, attempts: 0, failures: 0 });
        (self.points.len() - 1) as u32
    }
}

fn doubles(row: &Row<'_>, column: usize) -> duckdb::Result<Vec<f64>> {
    let Value::List(values) = row.get(column)? else {
        return Err(duckdb::Error::InvalidColumnType(column, "quantiles".to_owned(), Type::Any));
    };
    Ok(values
        .into_iter()
        .filter_map(|value| if let Value::Double(value) = value { Some(value) } else { None })
        .collect())
}

fn valid<A: Array, T>(array: &A, row: usize, value: impl FnOnce(&A) -> T) -> Option<T> {
    array.is_valid(row).then(|| value(array))
}

fn text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}
