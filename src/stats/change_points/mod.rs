//! Change points: where the level of a series moves and stays moved.
//!
//! [`change_points`] looks at a whole series, [`Incremental`] at one that grows. Both work in two steps:
//!
//! 1. Optimal partitioning (Jackson et al., "An algorithm for optimal partitioning of data on an interval", 2005) with
//!    the squared-error cost and a penalty proportional to ln n, on the series with its lone spikes clipped (a Hampel
//!    filter). It finds every place worth a look, and too many of them.
//! 2. Neighbouring segments are merged, the least different first, until each two that are left differ by a t statistic
//!    of [`Detector::strength`] or more, in the close neighbourhood and in the wider one. The statistic is corrected for
//!    autocorrelation, and its standard error has a floor from the spread of the whole series, so that a slow drift and
//!    a step that nobody would see in a chart do not count.

mod incremental;
mod merge;
mod partition;
mod strength;

pub use incremental::Incremental;

use super::robust;
use statrs::distribution::{ContinuousCDF, StudentsT};
use strength::Scale;

/// A place where the level of a series moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The index of the first point of the new level, in the series as it was given.
    pub index: usize,
    /// 1 − p of the t test between both sides, corrected for autocorrelation and (Bonferroni) for the positions within
    /// the compared windows that the change could have had: in `0..=1`.
    pub confidence: f64,
    /// The median between the change point before this one (or the start) and this one.
    pub before: f64,
    /// The median between this change point and the next one (or the end).
    pub after: f64,
}

impl Change {
    /// The shift relative to the level before: 0.1 is 10% more. `None` where the level before is 0.
    pub fn relative(&self) -> Option<f64> {
        (self.before != 0.0).then(|| (self.after - self.before) / self.before.abs())
    }
}

/// What counts as a change. The defaults are the ones to use: they were chosen once, over some two
/// hundred annotated series of performance tests (the strength cross-validated), and lie on a plateau. A third more or less of the strength costs three
/// points of F1 there, and of anything else at most one and a half.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// The t statistic from which two neighbouring segments differ. Default 4.5.
    pub strength: f64,
    /// At most this many points on each side are compared to see a step. Default 24.
    pub near: usize,
    /// At most this many points on each side are compared to see that it lasts. Default 60.
    pub far: usize,
    /// A segment has at least this many points, 2 or more. Default 6.
    pub min_segment: usize,
    /// What a segment costs in the first step, in units of the noise variance times ln n. Default 4.
    pub penalty: f64,
    /// The least standard deviation that two sides are compared with, as a share of the whole series'. Default 0.3.
    pub spread_share: f64,
    /// Autocorrelation (lag 1) up to here is taken for what any series of measurements has. Default 0.4.
    pub usual_autocorrelation: f64,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            strength: 4.5,
            near: 24,
            far: 60,
            min_segment: 6,
            penalty: 4.0,
            spread_share: 0.3,
            usual_autocorrelation: 0.4,
        }
    }
}

/// The change points of `values` with the default [`Detector`], in order.
///
/// NaN and infinities are skipped; indices count them. A constant series and one too short to have two segments have no
/// change points. Takes time and memory in proportion to the length of the series.
pub fn change_points(values: &[f64]) -> Vec<Change> {
    Detector::default().find(values)
}

impl Detector {
    /// The change points of `values`, as [`change_points`] finds them.
    pub fn find(&self, values: &[f64]) -> Vec<Change> {
        let (indices, finite): (Vec<usize>, Vec<f64>) =
            values.iter().copied().enumerate().filter(|(_, value)| value.is_finite()).unzip();
        let Some(prepared) = Prepared::new(&finite) else { return Vec::new() };
        let spread = robust::standard_deviation(&prepared.values);
        self.changes_of(&finite, &indices, &prepared, spread)
    }

    fn changes_of(&self, finite: &[f64], indices: &[usize], prepared: &Prepared, spread: f64) -> Vec<Change> {
        let scale = Scale::new(self, spread);
        let n = finite.len();
        let penalty = self.penalty * (n as f64).ln() * prepared.noise.powi(2);
        let candidates = partition::optimal(&prepared.values, penalty, self.min_segment.max(2), partition::LONGEST);
        let points = merge::strong(&prepared.values, &candidates, &scale, self.strength);
        let edges: Vec<usize> = std::iter::once(0).chain(points).chain([n]).collect();
        edges
            .windows(3)
            .map(|edge| Change {
                index: indices[edge[1]],
                confidence: self.confidence(&scale, &prepared.values, [edge[0], edge[1], edge[2]]),
                before: robust::median(&finite[edge[0]..edge[1]]),
                after: robust::median(&finite[edge[1]..edge[2]]),
            })
            .collect()
    }

    fn confidence(&self, scale: &Scale, values: &[f64], edge: [usize; 3]) -> f64 {
        let compared = (edge[1] - edge[0]).min(self.far) + (edge[2] - edge[1]).min(self.far);
        let Ok(distribution) = StudentsT::new(0.0, 1.0, compared.saturating_sub(2).max(1) as f64) else { return 0.0 };
        let p = 2.0 * distribution.sf(scale.strength(values, edge));
        (1.0 - p * compared as f64).clamp(0.0, 1.0)
    }
}

/// A series made ready: scaled to at most 1, lone spikes clipped.
struct Prepared {
    values: Vec<f64>,
    /// The standard deviation from one point to the next, never 0.
    noise: f64,
    /// What the values were divided by.
    unit: f64,
}

/// A spike is clipped this many noise deviations from the median of the points around it.
const SPIKE: f64 = 3.0;
/// Points on each side of a spike that say where it should have been.
const SPIKE_REACH: usize = 3;

impl Prepared {
    /// `None` of a constant or empty series.
    fn new(finite: &[f64]) -> Option<Self> {
        // Values near the ends of the range of a double would overflow when squared.
        let largest = finite.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        if largest == 0.0 {
            return None;
        }
        let center = robust::median(finite) / largest;
        let scaled: Vec<f64> = finite.iter().map(|value| value / largest - center).collect();
        let noise = noise(&scaled);
        (noise > 0.0).then(|| Self { values: without_spikes(&scaled, SPIKE * noise), noise, unit: largest })
    }
}

/// The standard deviation of the noise, from the differences of neighbours, which a change of level hardly moves. Where
/// more than half of them are 0, their mean without the largest twentieth says it; where nearly all are, the mean
/// distance from the median. 0 for a constant series only.
fn noise(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mut steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let robust = robust::scaled_mad(&steps, robust::median(&steps)) / std::f64::consts::SQRT_2;
    if robust > 0.0 {
        return robust;
    }
    steps.iter_mut().for_each(|step| *step = step.abs());
    steps.sort_by(f64::total_cmp);
    let kept = if steps.len() > 20 { steps.len() * 19 / 20 } else { steps.len() };
    let trimmed = robust::mean(&steps[..kept]);
    if trimmed > 0.0 {
        return trimmed;
    }
    let center = robust::median(values);
    values.iter().map(|value| (value - center).abs()).sum::<f64>() / values.len() as f64
}

/// Clips what lies more than `reach` from the median of the points around it (Hampel, 1974).
fn without_spikes(values: &[f64], reach: f64) -> Vec<f64> {
    let last = values.len().saturating_sub(1);
    let mut around = [0.0; 2 * SPIKE_REACH + 1];
    (0..values.len())
        .map(|i| {
            for (offset, slot) in around.iter_mut().enumerate() {
                *slot = values[(i + offset).saturating_sub(SPIKE_REACH).min(last)];
            }
            let middle = robust::median_in_place(&mut around);
            values[i].clamp(middle - reach, middle + reach)
        })
        .collect()
}

#[cfg(test)]
mod tests;
