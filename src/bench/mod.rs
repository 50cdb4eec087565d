//! How fast models run on targets, measured until it is known well enough: [`run`] samples a fleet and tells what it saw.

mod sampling;

pub use sampling::{BenchModel, BenchOptions};

use crate::{
    fleet::Fleet,
    report::{BenchFailure, BenchReport, BenchSeries, Comparison},
    stats,
    types::Target,
};
use sampling::Sampler;
use std::{ops::ControlFlow, time::Instant};

/// The share of differences that may be called real though they are not.
const SIGNIFICANCE: f64 = 0.05;

/// Measures every model on every target, in round-robin so that what drifts with time falls on all alike, and fills
/// the report's series, comparisons and failures. `on_round` hears after each round how many series still run. When `stop`
/// comes to pass the measuring ends early ([`ControlFlow::Break`]), with what was measured until then.
pub async fn run(
    fleet: &Fleet,
    targets: &[Target],
    models: &[BenchModel],
    options: &BenchOptions,
    report: &mut BenchReport,
    on_round: impl FnMut(usize),
    stop: impl Future<Output = ()>,
) -> ControlFlow<()> {
    let mut samplers: Vec<Sampler<'_>> =
        models.iter().flat_map(|model| targets.iter().map(move |target| Sampler::new(model, *target))).collect();
    let ended = tokio::select! {
        () = sample(&mut samplers, options, on_round) => ControlFlow::Continue(()),
        () = stop => ControlFlow::Break(()),
    };
    let closed = fleet.targets().await.is_err();
    let mut measured = Vec::new();
    for (number, sampler) in samplers.into_iter().enumerate() {
        match sampler.finish(options) {
            Some(Ok(series)) => measured.push((number / targets.len(), series)),
            Some(Err(error)) if !closed => report.failures.push(error),
            Some(Err(_)) | None => {}
        }
    }
    report.comparisons = compare(&measured);
    report.series.extend(measured.into_iter().map(|(_, series)| series));
    ended
}

async fn sample(samplers: &mut [Sampler<'_>], options: &BenchOptions, mut on_round: impl FnMut(usize)) {
    for sampler in &mut *samplers {
        sampler.warm_up(options).await;
    }
    let started = Instant::now();
    loop {
        let mut running = 0;
        for sampler in &mut *samplers {
            if sampler.wants_more(options, started.elapsed()) {
                sampler.round(options).await;
                running += 1;
            }
        }
        on_round(running);
        if running == 0 {
            break;
        }
    }
}

/// Every two targets that ran the same model, whose number each series has, compared by the Mann–Whitney U test, corrected
/// by Holm's method for how many comparisons there are.
fn compare(series: &[(usize, BenchSeries)]) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for (i, (model, a)) in series.iter().enumerate() {
        // Two models may have one name.
        for (_, b) in series[i + 1..].iter().filter(|(of, _)| of == model) {
            let p_value = stats::mann_whitney(&a.samples_ms, &b.samples_ms);
            let ratio = a.median_ms / b.median_ms;
            comparisons.push(Comparison {
                model: a.model.clone(),
                a: a.target,
                b: b.target,
                ratio,
                p_value,
                p_adjusted: p_value,
                significant: false,
            });
        }
    }
    let adjusted = stats::multiple::holm(&comparisons.iter().map(|comparison| comparison.p_value).collect::<Vec<_>>());
    for (comparison, p_adjusted) in comparisons.iter_mut().zip(adjusted) {
        comparison.p_adjusted = p_adjusted;
        comparison.significant = p_adjusted < SIGNIFICANCE;
    }
    comparisons
}

/// A model that could not be measured.
type Failed = BenchFailure;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_one_name_are_not_two_targets() {
        let series = |target: &str, level: f64| {
            let samples_ms: Vec<f64> = (0..20).map(|n| level + f64::from(n) / 100.0).collect();
            BenchSeries {
                model: "vit".to_owned(),
                family: None,
                target: target.parse().unwrap(),
                concurrency: 1,
                samples: samples_ms.len(),
                warmup: 0,
                load_ms: None,
                median_ms: level,
                median_ci: None,
                p95_ms: None,
                p99_ms: None,
                mean_ms: None,
                throughput_per_s: None,
                cpu_fallback: None,
                stopped_by: "precision".to_owned(),
                samples_ms,
                stages: Vec::new(),
            }
        };
        let small = [(0, series("chrome/wasm", 1.0)), (0, series("firefox/wasm", 2.0))];
        let large = [(1, series("chrome/wasm", 10.0)), (1, series("firefox/wasm", 40.0))];
        let ratios: Vec<f64> = compare(&[small, large].concat()).iter().map(|it| it.ratio).collect();
        assert_eq!(ratios, [0.5, 0.25], "chrome with firefox, of each");
    }
}
