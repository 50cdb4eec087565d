//! Single values that do not fit those before them, told as they arrive.
//!
//! The score is the modified z-score of Iglewicz and Hoaglin ("How to Detect and Handle Outliers", 1993): the distance
//! from the median of the last values in units of their scaled median absolute deviation. A level shift would be told
//! again and again until half of the window has the new level; here a few values that agree with each other end it.

use super::robust;
use std::collections::VecDeque;

/// What a value is, compared with those before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// There are too few values to compare with, or it is not finite.
    Unknown,
    /// It fits.
    Usual,
    /// It does not fit.
    Outlier {
        /// The median of the values that it is compared with.
        expected: f64,
        /// How many deviations from there it lies, negative below.
        deviations: f64,
    },
    /// It is the last of several that left the usual range together: the level has moved, and is learnt anew.
    Shift,
}

/// Tells outliers in a series as it grows, in constant memory.
#[derive(Clone, Debug)]
pub struct Anomalies {
    settings: Settings,
    window: VecDeque<f64>,
    /// The last deviation that enough values stood behind.
    deviation: Option<f64>,
    /// The values since the last usual one.
    strange: Vec<f64>,
}

/// What counts as an outlier.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// So many values are compared with. Default 30.
    pub window: usize,
    /// Fewer values than this are compared with only right after a shift, by the deviation from before it: of ten normal
    /// values the deviation is so uncertain that one value in 200 was an outlier. Default 20.
    pub least: usize,
    /// Deviations from the median from which a value is an outlier. Default 6: of normal noise, measured, one value in
    /// 14,000 compared with 30 and one in 2,300 compared with 20.
    pub threshold: f64,
    /// So many outliers in a row on one side are a shift. Default 3.
    pub shift: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: 30, least: 20, threshold: 6.0, shift: 3 }
    }
}

impl Default for Anomalies {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

/// The verdicts on each of `values` in order, by the default [`Settings`].
pub fn anomalies(values: &[f64]) -> Vec<Verdict> {
    let mut series = Anomalies::default();
    values.iter().map(|&value| series.push(value)).collect()
}

impl Anomalies {
    /// Has seen nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, window: VecDeque::new(), deviation: None, strange: Vec::new() }
    }

    /// Takes the next value and compares it with those before. A value that is not finite changes nothing.
    pub fn push(&mut self, value: f64) -> Verdict {
        if !value.is_finite() {
            return Verdict::Unknown;
        }
        let verdict = match self.distance(value) {
            None => Verdict::Unknown,
            Some(distance) if distance.abs() < self.settings.threshold => Verdict::Usual,
            Some(distance) => self.strange(value, distance),
        };
        match verdict {
            Verdict::Outlier { .. } => {}
            Verdict::Shift => self.window = self.strange.drain(..).collect(),
            Verdict::Usual | Verdict::Unknown => self.strange.clear(),
        }
        if verdict != Verdict::Shift {
            self.window.push_back(value);
        }
        while self.window.len() > self.settings.window.max(1) {
            self.window.pop_front();
        }
        verdict
    }

    /// Deviations from the median; `None` while there is too little to compare with.
    fn distance(&mut self, value: f64) -> Option<f64> {
        let seen = self.window.make_contiguous();
        let median = robust::median(seen);
        if seen.len() >= self.settings.least.max(2) {
            self.deviation = Some(deviation(seen, median));
        }
        let deviation = self.deviation.filter(|_| !self.window.is_empty())?;
        let distance = value - median;
        Some(if distance == 0.0 { 0.0 } else { distance / deviation })
    }

    fn strange(&mut self, value: f64, distance: f64) -> Verdict {
        let median = robust::median(self.window.make_contiguous());
        if self.strange.last().is_some_and(|last| (last - median).signum() != distance.signum()) {
            self.strange.clear();
        }
        self.strange.push(value);
        if self.strange.len() >= self.settings.shift {
            Verdict::Shift
        } else {
            Verdict::Outlier { expected: median, deviations: distance }
        }
    }
}

/// The scaled median absolute deviation; where more than half of the values are one, the mean absolute deviation (scaled
/// for normal values too), and for a constant the smallest difference that its doubles can have a thousand times over.
fn deviation(seen: &[f64], median: f64) -> f64 {
    let mad = robust::scaled_mad(seen, median);
    if mad > 0.0 {
        return mad;
    }
    let mean = seen.iter().map(|value| (value - median).abs()).sum::<f64>() / seen.len() as f64;
    let rounding = 1000.0 * f64::EPSILON * median.abs();
    (mean * (std::f64::consts::PI / 2.0).sqrt()).max(rounding).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::seeded::normal;
    use proptest::prelude::*;

    fn outliers(verdicts: &[Verdict]) -> Vec<usize> {
        let strange = |verdict: &Verdict| matches!(verdict, Verdict::Outlier { .. });
        (0..verdicts.len()).filter(|&at| strange(&verdicts[at])).collect()
    }

    #[test]
    fn the_score_is_the_modified_z_score() {
        // (50 - numpy.median(x)) / scipy.stats.median_abs_deviation(x, scale="normal") for x = the ten values before 50
        let mut series = Anomalies::new(Settings { least: 10, ..Settings::default() });
        let values = [10.0, 12.0, 11.0, 13.0, 9.0, 10.5, 11.5, 12.5, 9.5, 11.0, 50.0];
        let verdicts = values.map(|value| series.push(value));
        let Verdict::Outlier { expected, deviations: score } = verdicts[10] else { panic!("{verdicts:?}") };
        assert!((score - 26.305100257647187).abs() < 1e-9, "{score}");
        assert_eq!(expected, 11.0);
        assert_eq!(verdicts[..10], [Verdict::Unknown; 10]);
    }

    #[test]
    fn single_outliers_are_told_and_their_neighbours_are_not() {
        for seed in 0..20 {
            let mut values = normal(300, seed);
            for (at, value) in [(50, 15.0), (51, -15.0), (120, 40.0), (121, 40.0), (250, -12.0)] {
                values[at] = value;
            }
            assert_eq!(outliers(&anomalies(&values)), [50, 51, 120, 121, 250], "seed {seed}");
        }
    }

    #[test]
    fn a_shift_is_told_once_and_learnt() {
        for seed in 0..20 {
            let mut values = normal(300, seed);
            values[100..].iter_mut().for_each(|value| *value += 20.0);
            values[200..].iter_mut().for_each(|value| *value -= 50.0);
            values[220] = 30.0;
            let verdicts = anomalies(&values);
            assert_eq!(outliers(&verdicts), [100, 101, 200, 201, 220], "seed {seed}");
            let shifts: Vec<usize> = (0..300).filter(|&at| verdicts[at] == Verdict::Shift).collect();
            assert_eq!(shifts, [102, 202], "seed {seed}");
        }
    }

    #[test]
    fn after_a_shift_the_new_level_is_what_is_expected() {
        let mut values: Vec<f64> = normal(60, 3).iter().map(|noise| 10.0 + noise / 10.0).collect();
        values[50..].iter_mut().for_each(|value| *value += 20.0);
        values[56] = 60.0;
        let Verdict::Outlier { expected, .. } = anomalies(&values)[56] else { panic!("{values:?}") };
        assert!((expected - 30.0).abs() < 1.0, "{expected}");
    }

    #[test]
    fn noise_has_few_outliers() {
        let told: usize = (0..20).map(|seed| outliers(&anomalies(&normal(1000, seed))).len()).sum();
        assert!(told <= 10, "{told} in 20,000");
    }

    #[test]
    fn constants_have_none_and_what_leaves_them_is_one() {
        assert!(outliers(&anomalies(&[0.1; 100])).is_empty());
        assert!(outliers(&anomalies(&[0.0; 100])).is_empty());
        let mut values = vec![5.0; 100];
        values[40] = 5.1;
        assert_eq!(outliers(&anomalies(&values)), [40]);
    }

    #[test]
    fn short_series_are_unknown() {
        assert!(anomalies(&[]).is_empty());
        assert_eq!(anomalies(&[1.0, 100.0]), [Verdict::Unknown; 2]);
    }

    proptest! {
        #[test]
        fn what_is_not_finite_changes_nothing(values in prop::collection::vec(any::<f64>(), 0..100)) {
            let verdicts = anomalies(&values);
            let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
            let of_finite: Vec<Verdict> =
                values.iter().zip(&verdicts).filter(|(value, _)| value.is_finite()).map(|(_, verdict)| *verdict).collect();
            prop_assert_eq!(format!("{:?}", anomalies(&finite)), format!("{of_finite:?}"));
        }
    }
}
