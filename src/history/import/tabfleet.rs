//! The JSON of `tabfleet matrix` and `tabfleet bench`.

use super::{Report, Wrong, moment};
use crate::{
    history::tables::{ImportedRow, TargetRow, Utc},
    report::{BenchReport, BenchSeries, CaseResult, MatrixReport, TargetBuild, TargetRow as Described},
    types::{Adapter, Family, Verdict},
};
use std::path::Path;

/// A case that was tried is one attempt of the model `SUITE/CASE`. The report is at `path`, with what a killed run noted
/// beside it.
pub(super) fn matrix(text: &str, path: &Path) -> Result<Report, Wrong> {
    let report: MatrixReport = serde_json::from_str(text)?;
    let written = report.results.len();
    let report = report.with_noted(path).map_err(|error| Wrong::new("what is beside it", error.to_string()))?;
    let noted = report.results.len() - written;
    let started = moment(report.started);
    let tried = |result: &&CaseResult| result.verdict.is_tried();
    let results = report.results.iter().filter(tried).zip(1..);
    let results = results.map(|(result, job)| case(result, job, started, &report.targets)).collect();
    Ok(Report {
        kind: "matrix",
        run: report.run,
        noted,
        started,
        ended: report.finished.map(moment),
        tabfleet: Some(report.tabfleet),
        machine: report.host.into(),
        targets: described(&report.targets),
        results,
    })
}

fn case(result: &CaseResult, job: u64, happened_at: Utc, targets: &[Described]) -> ImportedRow {
    let success = result.verdict == Verdict::Pass;
    ImportedRow {
        happened_at,
        job,
        attempt: result.attempts.max(1),
        target_id: target_id(targets, result.column()),
        target: result.column().to_string(),
        model: format!("{}/{}", result.suite, result.case),
        family: result.family.map(Family::name),
        success,
        // It is not told apart how much of it was the download.
        create_ms: result.load_ms,
        run_ms: result.run_ms,
        cpu_fallback: result.cpu_fallback,
        category: result.error.as_ref().map(|error| error.category.name().to_owned()),
        cause: (!success).then(|| result.verdict.to_string()),
        message: result.error.as_ref().map(|error| error.message.clone()),
        operation: "infer".to_owned(),
        ..ImportedRow::default()
    }
}

/// A measured run is an attempt. Before a series' first comes one that only loaded, where that was measured.
pub(super) fn bench(text: &str) -> Result<Report, Wrong> {
    let report: BenchReport = serde_json::from_str(text)?;
    let started = moment(report.started);
    let measured = report.series.iter().flat_map(|series| samples(series, started, &report.targets));
    let failed = report.failures.iter().map(|failure| ImportedRow {
        happened_at: started,
        attempt: 1,
        target_id: target_id(&report.targets, failure.target.into()),
        target: failure.target.to_string(),
        model: failure.model.clone(),
        category: Some(failure.category.name().to_owned()),
        message: Some(failure.message.clone()),
        operation: "infer".to_owned(),
        ..ImportedRow::default()
    });
    let mut results: Vec<_> = measured.chain(failed).collect();
    results.iter_mut().zip(1..).for_each(|(row, job)| row.job = job);
    Ok(Report {
        kind: "bench",
        run: None,
        noted: 0,
        started,
        ended: None,
        tabfleet: Some(report.tabfleet),
        machine: report.host.into(),
        targets: described(&report.targets),
        results,
    })
}

fn samples(series: &BenchSeries, happened_at: Utc, targets: &[Described]) -> Vec<ImportedRow> {
    let row = || ImportedRow {
        happened_at,
        attempt: 1,
        target_id: target_id(targets, series.target.into()),
        target: series.target.to_string(),
        model: series.model.clone(),
        family: series.family.map(Family::name),
        success: true,
        cpu_fallback: series.cpu_fallback,
        // Runs that share a tab wait for each other: another series.
        operation: operation(series),
        ..ImportedRow::default()
    };
    let loaded = series.load_ms.map(|load_ms| ImportedRow { create_ms: Some(load_ms), ..row() });
    let measured = series.samples_ms.iter().map(|sample| ImportedRow { run_ms: Some(*sample), ..row() });
    let mut rows: Vec<_> = loaded.into_iter().chain(measured).collect();
    if let Some(first) = rows.first_mut() {
        first.throughput_per_s = series.throughput_per_s;
    }
    rows
}

/// What was done, in words that tell series apart. Runs in several tabs are not those in one.
fn operation(series: &BenchSeries) -> String {
    let at_once = if series.concurrency == 1 { String::new() } else { format!(" x{}", series.concurrency) };
    let stages = if series.stages.is_empty() { String::new() } else { format!(" in {} stages", series.stages.len()) };
    format!("infer{stages}{at_once}")
}

fn target_id(targets: &[Described], column: TargetBuild<'_>) -> Option<u32> {
    targets.iter().position(|row| row.column() == column).map(|place| place as u32)
}

fn described(rows: &[Described]) -> Vec<TargetRow> {
    rows.iter().zip(0..).map(|(row, target_id)| description(row, target_id)).collect()
}

fn description(row: &Described, target_id: u32) -> TargetRow {
    let adapter = row.adapter.as_ref();
    let said = |text: fn(&Adapter) -> &String| adapter.map(text).filter(|text| !text.is_empty()).cloned();
    TargetRow {
        run_id: 0,
        target_id,
        target: row.column().to_string(),
        browser: Some(row.browser.name()),
        backend: Some(row.backend.name()),
        available: row.available,
        reason: row.reason.clone(),
        product: row.product.clone(),
        version: row.version.clone(),
        headless: row.headless,
        driver: row.driver.clone(),
        stand_in: Some(row.stand_in),
        adapter_vendor: said(|it| &it.vendor),
        adapter_architecture: said(|it| &it.architecture),
        adapter_device: said(|it| &it.device),
        adapter_description: said(|it| &it.description),
        adapter_software: row.software,
        webnn_device: row.webnn_device.clone(),
        runtime: row.runtime.as_ref().map(|runtime| runtime.name.clone()),
        runtime_version: row.runtime.as_ref().map(|runtime| runtime.version.clone()),
        threads: row.threads,
    }
}
