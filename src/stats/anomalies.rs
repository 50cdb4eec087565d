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
    /// It lies this many deviations from the median, negative below.
    Outlier(f64),
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
    /// Fewer values than this are compared with only right after a shift. Default 10.
    pub least: usize,
    /// Deviations from the median from which a value is an outlier. Default 6: of normal noise about one value in ten
    /// thousand, since a deviation from 30 values is itself uncertain.
    pub threshold: f64,
    /// So many outliers in a row on one side are a shift. Default 3.
    pub shift: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: 30, least: 10, threshold: 6.0, shift: 3 }
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
            Verdict::Outlier(_) => {}
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
        if self.strange.len() >= self.settings.shift { Verdict::Shift } else { Verdict::Outlier(distance) }
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
