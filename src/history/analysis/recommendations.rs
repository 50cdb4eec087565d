//! Where models run best.

use crate::{
    history::{Metric, RunPoint, Series},
    report::{Findings, RankedRow, RecommendationRow},
    stats::ranking::{Measured, Ranked, Ranking, RankingSettings, Unfit, rank},
};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Older runs than this many say less about the browsers of today than they weigh.
const RUNS: usize = 10;

/// What is known of a target: its runs on the adapter that it has now, the oldest first.
#[derive(Clone, Default)]
struct Known<'a> {
    adapter: Option<&'a str>,
    points: Vec<&'a RunPoint>,
}

type OfTarget<'a> = BTreeMap<&'a str, Known<'a>>;

impl<'a> Known<'a> {
    fn of(series: &'a Series) -> Self {
        let points = series.points[series.points.len().saturating_sub(RUNS)..].iter().collect();
        Self { adapter: series.key.adapter.as_deref(), points }
    }

    /// When it was last measured; within one run, where it was measured more.
    fn latest(&self) -> Option<(SystemTime, i64, usize)> {
        self.points.last().map(|point| (point.at, point.run_id, point.samples.len()))
    }
}

/// The best targets of each model on each class of machine, by run time and by how often it fails.
pub fn recommendations(series: &[Series], now: SystemTime, findings: &mut Findings) {
    for ((model, host), targets) in by_model(series) {
        let measured = targets.iter().map(|(target, known)| measured(target, &known.points, now)).collect();
        let ranking = rank(measured, &RankingSettings::default());
        findings.recommendations.push(row(model, host, &ranking, &targets, now));
    }
}

/// The same for whole families: each model counts alike, by how its targets compare with its best one.
pub fn family_recommendations(
    series: &[Series],
    family_of: &BTreeMap<String, String>,
    now: SystemTime,
    findings: &mut Findings,
) {
    let mut families: BTreeMap<(&str, &str), Vec<OfTarget<'_>>> = BTreeMap::new();
    for ((model, host), targets) in by_model(series) {
        if let Some(family) = family_of.get(model) {
            families.entry((family, host)).or_default().push(targets);
        }
    }
    for ((family, host), models) in families.into_iter().filter(|(_, models)| models.len() > 1) {
        let mut together: BTreeMap<&str, (Measured<&str>, Known<'_>)> = BTreeMap::new();
        for targets in &models {
            let best = targets.values().filter_map(|known| median_of(&known.points)).min_by(f64::total_cmp);
            let Some(best) = best.filter(|best| *best > 0.0) else { continue };
            for (target, known) in targets {
                let of_model = measured(target, &known.points, now);
                let ratios = median_of(&known.points).map(|median| median / best).into_iter().collect();
                let (sum, all) = together.entry(target).or_insert_with(|| {
                    (Measured { latencies: Vec::new(), attempts: 0, failures: 0, ..of_model.clone() }, Known::default())
                });
                sum.latencies.push(ratios);
                sum.attempts += of_model.attempts;
                sum.failures += of_model.failures;
                sum.age_days = sum.age_days.max(of_model.age_days);
                all.adapter = known.adapter;
                all.points.extend(&known.points);
            }
        }
        // A target that has not run every model would be compared by its easy ones.
        together.retain(|_, (sum, _)| sum.latencies.len() == models.len());
        let known = together.iter().map(|(target, (_, known))| (*target, known.clone())).collect();
        let ranking = rank(together.into_values().map(|(sum, _)| sum).collect(), &RankingSettings::default());
        let name = format!("family {family} ({} models)", models.len());
        let row = row(&name, host, &ranking, &known, now);
        findings.recommendations.push(RecommendationRow { family: Some(family.to_owned()), ..row });
    }
}

/// A model's batch size and precision.
type Variant<'a> = (Option<u32>, Option<&'a str>);

/// Each model on each class of machine; of one that ran with several batch sizes or precisions, which say nothing of each
/// other, the one that most targets ran, and of those the one of which most is known. Of a target that has had several
/// adapters, the one that it was last measured with: what another one took is not what it will take.
fn by_model(series: &[Series]) -> BTreeMap<(&str, &str), OfTarget<'_>> {
    let mut models: BTreeMap<(&str, &str), BTreeMap<Variant<'_>, OfTarget<'_>>> = BTreeMap::new();
    for series in series.iter().filter(|series| series.key.metric == Metric::RunMs && series.key.operation == "infer") {
        let key = &series.key;
        let of_model = models.entry((&key.model, &key.host)).or_default();
        let variant = of_model.entry((key.batch, key.precision.as_deref())).or_default();
        let (known, known_before) = (Known::of(series), variant.entry(&key.target).or_default());
        if known.latest() > known_before.latest() {
            *known_before = known;
        }
    }
    let samples = |targets: &OfTarget<'_>| {
        targets.values().flat_map(|known| &known.points).map(|point| point.samples.len()).sum::<usize>()
    };
    let widest = models.into_iter().filter_map(|(model, variants)| {
        let targets = variants.into_values().max_by_key(|targets| (targets.len(), samples(targets)))?;
        Some((model, targets))
    });
    widest.collect()
}

fn measured<'a>(target: &'a str, points: &[&RunPoint], now: SystemTime) -> Measured<&'a str> {
    Measured {
        target,
        latencies: points.iter().map(|point| point.samples.clone()).collect(),
        attempts: points.iter().map(|point| point.attempts).sum(),
        failures: points.iter().map(|point| point.failures).sum(),
        age_days: age_days(points, now),
    }
}

fn age_days(points: &[&RunPoint], now: SystemTime) -> f64 {
    let newest = points.iter().map(|point| point.at).max();
    let age = newest.and_then(|newest| now.duration_since(newest).ok()).unwrap_or(Duration::ZERO);
    age.as_secs_f64() / 86_400.0
}

fn median_of(points: &[&RunPoint]) -> Option<f64> {
    crate::stats::median(&points.iter().flat_map(|point| point.samples.iter().copied()).collect::<Vec<_>>())
}

fn row(model: &str, host: &str, ranking: &Ranking<&str>, targets: &OfTarget<'_>, now: SystemTime) -> RecommendationRow {
    let ranked = ranking.targets.iter().map(|each| {
        let Known { adapter, points } = targets.get(each.target).cloned().unwrap_or_default();
        RankedRow {
            target: each.target.to_owned(),
            adapter: adapter.map(str::to_owned),
            median_ms: median_of(&points),
            samples: points.iter().map(|point| point.samples.len()).sum(),
            attempts: points.iter().map(|point| point.attempts).sum(),
            failures: points.iter().map(|point| point.failures).sum(),
            failure_share: each.failure_share,
            age_days: age_days(&points, now),
            tied: each.tied_with_first,
            refused: each.unfit.map(|unfit| refusal(unfit, each)),
        }
    });
    let second = ranking.targets.get(1);
    RecommendationRow {
        model: model.to_owned(),
        family: None,
        host: host.to_owned(),
        targets: ranked.collect(),
        confidence: ranking.confidence.map(|confidence| confidence.confidence),
        effect: second.and_then(|second| second.against_first.as_ref()).map(|against| against.cliffs_delta),
        p_adjusted: second.and_then(|second| second.adjusted_p),
        says: words(ranking),
    }
}

fn refusal(unfit: Unfit, ranked: &Ranked<&str>) -> String {
    match unfit {
        Unfit::Fails => format!("fails too often: {:.0} % of attempts", ranked.failure_share * 100.0),
        Unfit::Unmeasured => "no run time was measured".to_owned(),
    }
}

fn words(ranking: &Ranking<&str>) -> String {
    let Some(best) = ranking.best() else { return "none can be recommended".to_owned() };
    let tied: Vec<&str> =
        ranking.targets.iter().skip(1).filter(|each| each.tied_with_first).map(|each| each.target).collect();
    if !tied.is_empty() {
        return format!("tied with {}", tied.join(", "));
    }
    let second = ranking.targets.get(1).filter(|second| second.unfit.is_none()).and_then(|second| second.cost);
    match (best.cost, second) {
        (Some(cost), Some(second)) if cost > 0.0 => format!("{:.2}× as fast as the next", second / cost),
        _ => "the only one".to_owned(),
    }
}
