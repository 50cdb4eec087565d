//! How much less many samples say than as many independent ones would.
//!
//! Samples of a run are alike, and runs that follow each other are, too. Both make a rank sum vary more than the
//! Mann–Whitney test believes. The factor by which its variance grows is the design effect (Kish, Survey Sampling,
//! 1965, 8.2), here of the ranks within each window (as Rosner, Glynn and Lee, 2003, do for clustered data): from the
//! intraclass correlation by the analysis of variance (Donner, 1986), and from the autocorrelation of successive runs
//! as a first-order process (Bayley and Hammersley, 1946).
//!
//! Of a few dozen runs an autocorrelation is only roughly known, and those where it is found too small are those that
//! raise false alarms. So a p-value is the mean over what it may be (Rubin, 1984; Meng, Posterior predictive p-values,
//! 1994): normal around what was found, with Bartlett's (1946) standard error.

use super::{quadrature::NORMAL, ranks::midranks};
use serde::Serialize;

/// Below this many runs, the autocorrelation of runs is noise and is not estimated.
const RUNS_FOR_AUTOCORRELATION: usize = 10;

/// Ranks are taken as shares of a window, so a variance up to this is none: runs that are all alike leave a rest of
/// rounding, which is no correlation.
const ROUNDING: f64 = 1e-12;

/// Beyond this, windows of any usual length hold about one independent sample.
const MOST_AUTOCORRELATED: f64 = 0.9;

/// Whether the windows tell how much runs differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVariation {
    /// There are runs enough, and what they differ by is accounted for.
    Told,
    /// Fewer than four runs on both sides together: a change of everything in a run cannot be told from a change of the
    /// metric. Samples are taken as if the next run were like this one.
    Unknown,
}

/// How the samples of two windows hang together, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dependence {
    /// Whether the windows tell how much runs differ.
    pub run_variation: RunVariation,
    /// The share of the variance of ranks that lies between runs, 0 to 1; 1 where each run has one sample.
    pub between_runs: f64,
    /// The autocorrelation between one run and the next, 0 to 0.9; 0 with fewer than ten runs. Where the variation of
    /// runs is unknown, between one sample and the next.
    pub autocorrelation: f64,
    /// The factors by which a mean rank of the baseline and of the candidate varies more than that of independent
    /// samples, from 1.
    pub design_effects: [f64; 2],
    /// The factor by which U varies more, from 1.
    pub design_effect: f64,
    /// The degrees of freedom behind these estimates, as many as there are effective runs, less two; `None` where nothing
    /// was estimated and the test needs no Student's t.
    pub degrees_of_freedom: Option<f64>,
    /// How U may be distributed, where anything was estimated.
    #[serde(skip)]
    pub(super) possible: [Possible; NORMAL.len()],
}

/// A distribution that U may have: Student's, wider by a design effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Possible {
    /// How likely it is; those of all possibilities make 1.
    pub weight: f64,
    pub design_effect: f64,
    pub degrees_of_freedom: f64,
}

impl Dependence {
    /// Of a baseline and a candidate, each by run in the order of time; no run is empty.
    pub(super) fn of(windows: [&[&[f64]]; 2]) -> Self {
        let runs = windows[0].len() + windows[1].len();
        if runs >= 4 {
            return Self::measured(windows, RunVariation::Told);
        }
        let samples = windows.map(|window| window.iter().flat_map(|run| run.chunks(1)).collect::<Vec<_>>());
        Self::measured([&samples[0], &samples[1]], RunVariation::Unknown)
    }

    fn measured(windows: [&[&[f64]]; 2], run_variation: RunVariation) -> Self {
        let sizes = windows.map(|window| window.iter().map(|run| run.len() as f64).collect::<Vec<_>>());
        let sums = windows.map(Sums::of);
        let components = Components::of(&sums);
        let means = MeansAutocorrelation::of(&sums);
        let found = Effect::of(&sizes, &components, means.found);
        let estimated = means.standard_error > 0.0 || sizes.iter().flatten().any(|size| *size > 1.0);
        let possible = NORMAL.map(|(node, weight)| {
            let Effect { design_effect, degrees_of_freedom, .. } =
                Effect::of(&sizes, &components, means.found + node * means.standard_error);
            Possible { weight, design_effect, degrees_of_freedom }
        });
        Self {
            run_variation,
            between_runs: components.between,
            autocorrelation: found.autocorrelation,
            design_effects: found.design_effects,
            design_effect: found.design_effect,
            degrees_of_freedom: estimated.then_some(found.degrees_of_freedom),
            possible,
        }
    }
}

/// What it costs that the means of runs are autocorrelated.
struct Effect {
    /// Of the runs themselves.
    autocorrelation: f64,
    design_effects: [f64; 2],
    design_effect: f64,
    degrees_of_freedom: f64,
}

impl Effect {
    fn of(sizes: &[Vec<f64>; 2], components: &Components, means_autocorrelation: f64) -> Self {
        let means_autocorrelation = means_autocorrelation.clamp(0.0, MOST_AUTOCORRELATED);
        let runs = (sizes[0].len() + sizes[1].len()) as f64;
        let autocorrelation = (means_autocorrelation * components.dilution).min(MOST_AUTOCORRELATED);
        let inflation = inflation(means_autocorrelation, runs / 2.0);
        let [n, m] = [0, 1].map(|side| sizes[side].iter().sum::<f64>());
        // Runs that resemble their neighbours differ less than runs at large do; the variance found is too small by
        // this. That of the ranks of single samples is taken over both windows.
        let length = if n + m == runs { runs } else { runs / 2.0 };
        let shrunk =
            if length - inflation > 1.0 { (length - 1.0) / (length - inflation) } else { length.max(2.0) - 1.0 };
        let design_effects =
            [0, 1].map(|side| (shrunk * design_effect(&sizes[side], components.between, autocorrelation)).max(1.0));
        Self {
            autocorrelation,
            design_effects,
            design_effect: (design_effects[0] / n + design_effects[1] / m) / (1.0 / n + 1.0 / m),
            degrees_of_freedom: (runs / inflation - 2.0).max(1.0),
        }
    }
}

/// Sums over the ranks within a window.
struct Sums {
    runs: usize,
    samples: f64,
    /// The squares of the runs' sizes.
    squared_sizes: f64,
    /// The squares of what samples deviate by from their run's mean.
    within: f64,
    /// The squares of what runs' means deviate by from the window's, each as often as the run has samples.
    between: f64,
    /// What runs' means deviate by from the mean of the runs.
    deviations: Vec<f64>,
}

impl Sums {
    fn of(window: &[&[f64]]) -> Self {
        let flat: Vec<f64> = window.iter().flat_map(|run| run.iter().copied()).collect();
        let ranks = midranks(&flat);
        let samples = flat.len() as f64;
        let overall = f64::midpoint(samples, 1.0);
        let (mut within, mut between, mut squared_sizes, mut start) = (0.0, 0.0, 0.0, 0);
        let mut means = Vec::with_capacity(window.len());
        for run in window {
            let ranks = &ranks[start..start + run.len()];
            start += run.len();
            let size = run.len() as f64;
            let mean = ranks.iter().sum::<f64>() / size;
            // In shares of the window's length: windows of unlike lengths can then be pooled.
            within += ranks.iter().map(|rank| ((rank - mean) / samples).powi(2)).sum::<f64>();
            between += size * ((mean - overall) / samples).powi(2);
            squared_sizes += size * size;
            means.push(mean / samples);
        }
        let centre = means.iter().sum::<f64>() / means.len() as f64;
        let deviations = means.iter().map(|mean| mean - centre).collect();
        Self { runs: window.len(), samples, squared_sizes, within, between, deviations }
    }
}

/// What the variance of ranks consists of.
struct Components {
    /// The share between runs.
    between: f64,
    /// How many times larger the variance of runs' means is than that of what the runs differ by: the samples' own
    /// variation makes the means' autocorrelation look smaller by this.
    dilution: f64,
}

impl Components {
    /// Pooled over both windows; one of a single run says nothing of what lies between runs, and its ranks are spread
    /// wider than those of a run among others.
    fn of(sums: &[Sums; 2]) -> Self {
        let telling = || sums.iter().filter(|sums| sums.runs > 1);
        let total = |of: fn(&Sums) -> f64| telling().map(of).sum::<f64>();
        let between_freedom = total(|sums| sums.runs as f64 - 1.0);
        let within_freedom = total(|sums| sums.samples - sums.runs as f64);
        if within_freedom == 0.0 {
            return Self { between: 1.0, dilution: 1.0 };
        }
        let within = total(|sums| sums.within) / within_freedom;
        let mean_square = total(|sums| sums.between) / between_freedom;
        let size = total(|sums| sums.samples - sums.squared_sizes / sums.samples) / between_freedom;
        let between = ((mean_square - within) / size).max(0.0);
        if between <= ROUNDING {
            return Self { between: 0.0, dilution: 1.0 };
        }
        Self { between: between / (between + within), dilution: 1.0 + within / size / between }
    }
}

/// The autocorrelation of the runs' means at lag one.
struct MeansAutocorrelation {
    /// Corrected for its bias (Marriott and Pope, 1954).
    found: f64,
    /// 0 where there are too few runs to look for one.
    standard_error: f64,
}

impl MeansAutocorrelation {
    fn of(sums: &[Sums; 2]) -> Self {
        let none = Self { found: 0.0, standard_error: 0.0 };
        let telling = || sums.iter().filter(|sums| sums.runs > 2);
        let runs: usize = telling().map(|sums| sums.runs).sum();
        if runs < RUNS_FOR_AUTOCORRELATION {
            return none;
        }
        let square: f64 = telling().flat_map(|sums| &sums.deviations).map(|deviation| deviation * deviation).sum();
        let product: f64 = telling().flat_map(|sums| sums.deviations.windows(2)).map(|pair| pair[0] * pair[1]).sum();
        if square <= ROUNDING {
            return none;
        }
        let (runs, windows) = (runs as f64, telling().count() as f64);
        let found = product / square;
        let found = found + (1.0 + 4.0 * found) * windows / runs;
        let known = found.clamp(-MOST_AUTOCORRELATED, MOST_AUTOCORRELATED);
        // A window has one pair of neighbours less than runs.
        Self { found, standard_error: ((1.0 - known * known) / (runs - windows)).sqrt() }
    }
}

/// By how much the variance of a mean of `length` values of a first-order process exceeds that of independent ones.
fn inflation(autocorrelation: f64, length: f64) -> f64 {
    let phi = autocorrelation;
    1.0 + 2.0 * phi / (1.0 - phi) * (1.0 - (1.0 - phi.powf(length)) / (length * (1.0 - phi)))
}

/// Of one window, whose runs have these sizes.
fn design_effect(sizes: &[f64], between: f64, autocorrelation: f64) -> f64 {
    let (mut earlier, mut shared) = (0.0, 0.0);
    for size in sizes {
        shared += size * (size + 2.0 * earlier);
        earlier = autocorrelation * (earlier + size);
    }
    1.0 + between * (shared / sizes.iter().sum::<f64>() - 1.0)
}
