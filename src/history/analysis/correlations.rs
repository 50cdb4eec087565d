//! Metrics of the same model and target that move together.

use crate::{
    history::{Metric, Series, SeriesKey},
    report::{CorrelationRow, Findings},
    stats::correlation::{Pair, scan},
};
use std::collections::BTreeMap;

/// By how many runs one metric may follow another.
const MOST_LAG: usize = 3;
/// Weaker connections are told of by nobody.
const LEAST_RHO: f64 = 0.5;
const SIGNIFICANT: f64 = 0.05;

/// Every pair of metrics of one model and target that moves together, the strongest first.
pub fn correlations(series: &[Series], findings: &mut Findings) {
    let mut pairs = Vec::new();
    for (at, first) in series.iter().enumerate() {
        for second in &series[at + 1..] {
            if is_same_but_for_metric(&first.key, &second.key) && tells(first.key.metric, second.key.metric) {
                pairs.push((first, second, shared(first, second)));
            }
        }
    }
    let asked = pairs.iter().map(|(first, second, [a, b])| Pair { name: (*first, *second), first: a, second: b });
    for ((first, second), lagged) in scan(asked, MOST_LAG).correlations {
        if lagged.adjusted_p < SIGNIFICANT && lagged.rho.abs() >= LEAST_RHO {
            findings.correlations.push(CorrelationRow {
                a: (&first.key).into(),
                b: (&second.key).into(),
                rho: lagged.rho,
                lag: lagged.lag,
                p_adjusted: lagged.adjusted_p,
                points: lagged.points,
                says: words(first.key.metric, second.key.metric, lagged.rho, lagged.lag),
            });
        }
    }
    findings.correlations.sort_by(|a, b| b.rho.abs().total_cmp(&a.rho.abs()));
}

fn is_same_but_for_metric(a: &SeriesKey, b: &SeriesKey) -> bool {
    a.metric != b.metric && SeriesKey { metric: a.metric, ..b.clone() } == *a
}

/// A total rises with its parts, and throughput falls with the time: that is arithmetic, no finding.
fn tells(a: Metric, b: Metric) -> bool {
    ![a, b].iter().any(|metric| matches!(metric, Metric::TotalMs | Metric::Throughput))
}

/// The medians of the runs that both have.
fn shared(a: &Series, b: &Series) -> [Vec<f64>; 2] {
    let of_b: BTreeMap<i64, f64> = b.points.iter().map(|point| (point.run_id, point.median)).collect();
    let both = a.points.iter().filter_map(|point| Some((point.median, *of_b.get(&point.run_id)?)));
    let (a, b) = both.unzip();
    [a, b]
}

fn words(a: Metric, b: Metric, rho: f64, lag: i64) -> String {
    let verb = if rho > 0.0 { "rises with" } else { "falls as" };
    let (effect, cause) = if lag < 0 { (a, b) } else { (b, a) };
    let tail = if rho > 0.0 { "" } else { " rises" };
    let later = match lag.unsigned_abs() {
        0 => String::new(),
        1 => ", one run later".to_owned(),
        runs => format!(", {runs} runs later"),
    };
    let name = |metric: Metric| metric.name().trim_end_matches("_ms").trim_end_matches("_bytes").replace('_', " ");
    format!("{} {verb} {}{tail}{later}", name(effect), name(cause))
}
