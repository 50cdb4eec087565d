//! JSON as Google Benchmark writes it, and those that write the same.

use super::{Machine, Report, Wrong, bare_target, moment};
use crate::history::tables::{ImportedRow, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[derive(Deserialize)]
struct File {
    context: Context,
    benchmarks: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Context {
    date: String,
    host_name: Option<String>,
    num_cpus: Option<usize>,
}

#[derive(Deserialize)]
struct Benchmark {
    name: String,
    run_name: Option<String>,
    #[serde(default)]
    run_type: RunType,
    aggregate_name: Option<String>,
    real_time: Option<f64>,
    #[serde(default)]
    time_unit: Unit,
    items_per_second: Option<f64>,
    #[serde(default)]
    error_occurred: bool,
    error_message: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RunType {
    #[default]
    Iteration,
    Aggregate,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    Ns,
    Us,
    Ms,
    S,
}

impl Unit {
    const fn in_ms(self) -> f64 {
        match self {
            Self::Ns => 1e-6,
            Self::Us => 1e-3,
            Self::Ms => 1.0,
            Self::S => 1e3,
        }
    }
}

/// A repetition is an attempt of the model that the benchmark is named for, on the target `native`. Of a benchmark of
/// which only aggregates were written, the median counts, or else the mean.
pub(super) fn read(text: &str) -> Result<Report, Wrong> {
    let file: File = serde_json::from_str(text)?;
    let started = OffsetDateTime::parse(&file.context.date, &Rfc3339)
        .map_err(|error| Wrong::new("context.date", format!("`{}` is no time: {error}", file.context.date)))?;
    let mut by_name: BTreeMap<&str, Vec<&Benchmark>> = BTreeMap::new();
    for benchmark in &file.benchmarks {
        by_name.entry(benchmark.run_name.as_ref().unwrap_or(&benchmark.name)).or_default().push(benchmark);
    }
    let mut results: Vec<_> = by_name
        .into_iter()
        .flat_map(|(name, all)| counted(&all).into_iter().map(move |one| row(name, one, moment(started))))
        .collect();
    results.iter_mut().zip(1..).for_each(|(row, job)| row.job = job);
    Ok(Report {
        kind: "google-benchmark",
        run: None,
        noted: 0,
        started: moment(started),
        ended: None,
        tabfleet: None,
        machine: Machine { name: file.context.host_name, cores: file.context.num_cpus, ..Machine::default() },
        targets: vec![bare_target(0, "native")],
        results,
    })
}

fn counted<'a>(all: &[&'a Benchmark]) -> Vec<&'a Benchmark> {
    let single = |one: &&&Benchmark| one.run_type == RunType::Iteration;
    if all.iter().any(|one| single(&one)) {
        return all.iter().filter(single).copied().collect();
    }
    let aggregate = |name: &str| all.iter().find(|one| one.aggregate_name.as_deref() == Some(name)).copied();
    aggregate("median").or_else(|| aggregate("mean")).into_iter().collect()
}

fn row(name: &str, one: &Benchmark, happened_at: Utc) -> ImportedRow {
    ImportedRow {
        happened_at,
        attempt: 1,
        target_id: Some(0),
        target: "native".to_owned(),
        model: name.to_owned(),
        success: !one.error_occurred,
        run_ms: one.real_time.filter(|_| !one.error_occurred).map(|time| time * one.time_unit.in_ms()),
        throughput_per_s: one.items_per_second.filter(|_| !one.error_occurred),
        message: one.error_message.clone(),
        operation: "benchmark".to_owned(),
        ..ImportedRow::default()
    }
}
