//! Whether a candidate window lies higher or lower than a baseline window, by how much, and how sure that is.
//!
//! A window is samples by run, runs in the order of time: attempts of one run are alike, and taken for independent
//! samples they would raise false alarms.

pub use super::dependence::RunVariation;
use super::dependence::{Dependence, Possible};
use super::differences::Differences;
use super::mann_whitney::MannWhitney;
use super::run_levels;
use super::sample::{median, relative, sorted};
use serde::Serialize;
use statrs::distribution::{Continuous, ContinuousCDF, Normal, StudentsT};

/// Newton's method takes five to ten.
const MOST_STEPS: u32 = 50;

/// What a comparison takes for granted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShiftSettings {
    /// Of the interval, 0 to 1. 0.95: what readers take an interval for.
    pub confidence: f64,
    /// A window with fewer samples is refused. 5: with four on each side no p-value is below 0.028, so nothing could
    /// ever be critical.
    pub least_samples: usize,
    /// How probably the change named in [`Shift::detectable`] would have been found, 0 to 1. 0.95.
    pub power: f64,
}

impl Default for ShiftSettings {
    fn default() -> Self {
        Self { confidence: 0.95, least_samples: 5, power: 0.95 }
    }
}

/// One of the two windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// What is compared with.
    Baseline,
    /// What is judged.
    Candidate,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Window::Baseline => "baseline",
            Window::Candidate => "candidate",
        })
    }
}

/// Why two windows cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ShiftError {
    /// Too little to say anything.
    #[error("the {window} has {samples} samples, and a comparison needs {needed}")]
    TooFewSamples {
        /// Which window.
        window: Window,
        /// How many it has.
        samples: usize,
        /// How many it needs.
        needed: usize,
    },
    /// NaN or an infinity among the samples.
    #[error("the {window} has a sample that is not a finite number: {value}")]
    NotFinite {
        /// Which window.
        window: Window,
        /// The first such sample.
        value: f64,
    },
    /// Samples whose difference is no `f64`.
    #[error("the samples are too far apart to subtract them: {least} and {most}")]
    TooFarApart {
        /// The least of all.
        least: f64,
        /// The largest of all.
        most: f64,
    },
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WindowSummary {
    /// How many samples.
    pub samples: usize,
    /// From how many runs.
    pub runs: usize,
    /// As many independent samples would say as much.
    pub effective_samples: f64,
    /// The median sample.
    pub median: f64,
}

/// How a candidate window compares with a baseline window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shift {
    /// What the baseline holds.
    pub baseline: WindowSummary,
    /// What the candidate holds.
    pub candidate: WindowSummary,
    /// By how much the candidate lies higher: the median of all differences between a candidate's and a baseline's
    /// sample (Hodges and Lehmann, 1963), in the metric's unit.
    pub shift: f64,
    /// Its confidence interval (Moses' ranks of the differences: Hollander, Wolfe and Chicken, Nonparametric Statistical
    /// Methods, 4.3), widened for the dependence. `None` where no difference is extreme enough for that confidence.
    pub interval: Option<[f64; 2]>,
    /// The shift as a share of the baseline's median; `None` when that is 0.
    pub relative: Option<f64>,
    /// Mann and Whitney's U: in how many pairs the candidate is higher, ties counted half.
    pub u: f64,
    /// How much more often the candidate is higher than lower, -1 to 1 (Cliff, 1993).
    pub cliffs_delta: f64,
    /// Two-sided, corrected for ties and for the dependence. With fewer than four runs on one side and more on the other,
    /// the larger one of the plain test's and of a t test between the runs' levels: ranks of so few runs tell nothing.
    pub p: f64,
    /// What it would be were all samples independent; exact for 50 samples or fewer without ties.
    pub p_if_independent: f64,
    /// How the samples hang together.
    pub dependence: Dependence,
    /// The smallest change, as a share of the baseline's median, that such windows would have shown to be significant
    /// with the power asked for, before any correction for several tests. `None`: no change, however large, or the
    /// baseline's median is 0.
    pub detectable: Option<f64>,
}

/// Compares two windows, each by run, runs in the order of time. Runs without samples are passed over.
///
/// # Errors
/// [`ShiftError`] for windows with too few samples or with samples that cannot be compared.
pub fn compare(baseline: &[Vec<f64>], candidate: &[Vec<f64>], settings: &ShiftSettings) -> Result<Shift, ShiftError> {
    let runs = [baseline, candidate]
        .map(|window| window.iter().filter(|run| !run.is_empty()).map(Vec::as_slice).collect::<Vec<_>>());
    let values = [0, 1].map(|side| sorted(runs[side].iter().flat_map(|run| run.iter().copied())));
    check(&values, settings)?;
    let [low, high] = [&values[0], &values[1]];

    let dependence = Dependence::of([&runs[0], &runs[1]]);
    let test = MannWhitney::of(low, high);
    let differences = Differences::new(low, high);
    let summary = |side: usize| WindowSummary {
        samples: values[side].len(),
        runs: runs[side].len(),
        effective_samples: values[side].len() as f64 / dependence.design_effects[side],
        median: median(&values[side]),
    };
    let baseline = summary(0);
    let shift = differences.median();
    let reference = Reference { test: &test, dependence: &dependence };
    let interval = reference.interval(&differences, settings.confidence);
    Ok(Shift {
        baseline,
        candidate: summary(1),
        shift,
        interval,
        relative: relative(shift, baseline.median),
        u: test.u,
        cliffs_delta: 2.0 * test.u / test.pairs - 1.0,
        // By levels the one high run may be chance; by samples it is at least not within the run.
        p: run_levels::p([&runs[0], &runs[1]]).map_or_else(|| reference.p(), |p| p.max(test.p())),
        p_if_independent: test.p(),
        dependence,
        detectable: interval.and_then(|interval| relative(reference.detectable(interval, settings), baseline.median)),
    })
}

fn check(values: &[Vec<f64>; 2], settings: &ShiftSettings) -> Result<(), ShiftError> {
    for (window, values) in [Window::Baseline, Window::Candidate].into_iter().zip(values) {
        if let Some(value) = values.iter().copied().find(|value| !value.is_finite()) {
            return Err(ShiftError::NotFinite { window, value });
        }
        // An order statistic is of at least one value, whatever the settings ask for.
        let needed = settings.least_samples.max(1);
        if values.len() < needed {
            return Err(ShiftError::TooFewSamples { window, samples: values.len(), needed });
        }
    }
    let least = values[0][0].min(values[1][0]);
    let most = values[0][values[0].len() - 1].max(values[1][values[1].len() - 1]);
    if (most - least).is_finite() { Ok(()) } else { Err(ShiftError::TooFarApart { least, most }) }
}

/// What U is held against.
struct Reference<'a> {
    test: &'a MannWhitney,
    dependence: &'a Dependence,
}

impl Reference<'_> {
    /// The test's own, where nothing was estimated.
    fn is_plain(&self) -> bool {
        self.dependence.degrees_of_freedom.is_none()
    }

    fn p(&self) -> f64 {
        let independent = self.test.p();
        if self.is_plain() {
            return independent;
        }
        // A correction may only make it larger.
        (2.0 * self.tail(self.test.z()).0).clamp(independent, 1.0)
    }

    /// The probability that the standardised U exceeds `z`, and its density there.
    fn tail(&self, z: f64) -> (f64, f64) {
        let of = |possible: &Possible| {
            let wider = possible.design_effect.sqrt();
            let student = StudentsT::new(0.0, 1.0, possible.degrees_of_freedom).ok()?;
            Some((possible.weight * student.sf(z / wider), possible.weight * student.pdf(z / wider) / wider))
        };
        self.dependence.possible.iter().filter_map(of).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The value that the standardised U exceeds with a probability of `tail`.
    fn critical(&self, tail: f64) -> f64 {
        let mut z = Normal::standard().inverse_cdf(1.0 - tail);
        if self.is_plain() {
            return z;
        }
        // Newton's method, from where no possibility is: above its middle a tail is convex, so no step goes too far.
        for _ in 0..MOST_STEPS {
            let (above, density) = self.tail(z);
            let step = (above - tail) / density;
            z += step;
            if step.abs() < 1e-6 * z {
                break;
            }
        }
        z
    }

    fn interval(&self, differences: &Differences<'_>, confidence: f64) -> Option<[f64; 2]> {
        let tail = (1.0 - confidence) / 2.0;
        if !(tail > 0.0 && tail < 0.5) {
            return None;
        }
        let approximate =
            || (self.test.pairs / 2.0 + 0.5 - self.critical(tail) * self.test.variance.sqrt()).max(0.0) as u64;
        let k = if self.is_plain() { self.test.exact_quantile(tail) } else { None }.unwrap_or_else(approximate);
        let k = k.min(differences.count().div_ceil(2));
        (k > 0).then(|| [differences.nth(k), differences.nth(differences.count() + 1 - k)])
    }

    /// The length of the interval estimates the standard error of the shift (Lehmann, 1963); a change is found with
    /// probability `power` when it lies that far beyond what is significant.
    fn detectable(&self, [low, high]: [f64; 2], settings: &ShiftSettings) -> f64 {
        let critical = self.critical((1.0 - settings.confidence) / 2.0);
        let beyond = self.critical(1.0 - settings.power);
        (high - low) / 2.0 * (1.0 + beyond / critical)
    }
}

#[cfg(test)]
#[path = "shift_tests.rs"]
mod tests;
