//! What a series will be, with intervals, and when it will cross a budget.
//!
//! The model is exponential smoothing chosen by AICc (Hyndman et al., "A state space framework for automatic
//! forecasting", 2002; the crate augurs-ets), fitted to the values after the last change point where there are enough.
//! The intervals are not the model's, which trust it: they are split-conformal (Vovk et al., 2005), the quantile of the
//! errors that forecasts from each earlier point of the series would have had at that distance.

use super::{change_points, robust};
use augurs_core::{Fit, Predict};
use augurs_ets::AutoETS;

/// Fewer values than this after the last change point say too little: all are taken.
const ENOUGH_AFTER_CHANGE: usize = 20;
/// Older values than this many are left out: they say nothing of the next ones and cost time.
const REMEMBERED: usize = 300;
/// Fewer values than this have no model but their level.
const ENOUGH_FOR_SMOOTHING: usize = 12;
/// The least that a forecast can be made of.
const LEAST: usize = 3;
/// The median of so many values is the present level.
const PRESENT: usize = 5;

/// Why there is no forecast.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// A forecast needs values.
    #[error("a forecast needs at least {LEAST} values that are numbers, and there are {0}")]
    TooShort(usize),
    /// The largest error of so few values does not reach as far as was asked.
    #[error(
        "intervals that hold {:.4} % of what comes need {needed} values, and there are {values}: it takes more runs, or a \
         lower level",
        level * 100.0
    )]
    TooFew {
        /// Of the intervals, 0 to 1.
        level: f64,
        /// How many values it needs.
        needed: usize,
        /// How many there are.
        values: usize,
    },
    /// A level is a probability.
    #[error("the level of the intervals is {0}, and must lie between 0 and 1")]
    Level(f64),
}

/// One step of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The point forecast.
    pub expected: f64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end of the interval.
    pub upper: f64,
}

/// The next values of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The first value that it was made of, by index in the series: after the last change point, or 0.
    pub from: usize,
    /// The median of the last five values.
    pub present: f64,
    /// One per step of the horizon.
    pub steps: Vec<Step>,
}

/// A bound that a series should keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// As for latencies and memory.
    AtMost(f64),
    /// As for throughput.
    AtLeast(f64),
}

/// When a budget is crossed. Steps count from 1, the next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// The present level is beyond the budget.
    Already,
    /// The interval reaches beyond the budget within the horizon.
    Ahead {
        /// The first step whose interval reaches beyond.
        earliest: usize,
        /// The first step expected beyond; `None` after the horizon.
        expected: Option<usize>,
        /// The first step whose whole interval is beyond; `None` after the horizon.
        latest: Option<usize>,
    },
    /// No interval within the horizon reaches beyond the budget.
    NotWithinHorizon,
}

/// The next `horizon` values with intervals that hold each with probability `level`, such as 0.95.
///
/// Values that are not finite are left out. Further ahead, where fewer errors are known than the level needs, an interval
/// is as wide as the largest of them, and as the one before. A constant series is forecast to stay, with intervals of width 0.
pub fn forecast(values: &[f64], horizon: usize, level: f64) -> Result<Forecast, ForecastError> {
    if !(level > 0.0 && level < 1.0) {
        return Err(ForecastError::Level(level));
    }
    let (indices, finite): (Vec<usize>, Vec<f64>) =
        values.iter().copied().enumerate().filter(|(_, value)| value.is_finite()).unzip();
    if finite.len() < LEAST {
        return Err(ForecastError::TooShort(finite.len()));
    }
    let start = start_of_fit(&finite);
    let recent = &finite[start..];
    if rank(recent.len(), level) > recent.len() {
        let needed = (level / (1.0 - level) - ROUNDING).ceil() as usize;
        return Err(ForecastError::TooFew { level, needed, values: recent.len() });
    }
    let model = Model::smoothing(recent, horizon).unwrap_or_else(|| Model::level(recent, horizon));
    let steps = model.steps(recent, level);
    let present = robust::median(&recent[recent.len().saturating_sub(PRESENT)..]);
    Ok(Forecast { from: indices[start], present, steps })
}

fn start_of_fit(finite: &[f64]) -> usize {
    let oldest = finite.len().saturating_sub(REMEMBERED);
    let last_change = change_points::change_points(&finite[oldest..]).last().map_or(0, |change| change.index);
    if finite.len() - oldest - last_change >= ENOUGH_AFTER_CHANGE { oldest + last_change } else { oldest }
}

impl Forecast {
    /// When the series will cross `budget`.
    pub fn crosses(&self, budget: Budget) -> Crossing {
        let beyond = |value: f64| match budget {
            Budget::AtMost(most) => value > most,
            Budget::AtLeast(least) => value < least,
        };
        if beyond(self.present) {
            return Crossing::Already;
        }
        let first = |reaches: &dyn Fn(&Step) -> bool| self.steps.iter().position(reaches).map(|at| at + 1);
        let Some(earliest) = first(&|step| beyond(step.lower) || beyond(step.upper)) else {
            return Crossing::NotWithinHorizon;
        };
        Crossing::Ahead {
            earliest,
            expected: first(&|step| beyond(step.expected)),
            latest: first(&|step| beyond(step.lower) && beyond(step.upper)),
        }
    }
}

/// Point forecasts, and what the model would have said of the past.
struct Model {
    /// For each value of the past, the forecast without it.
    fitted: Vec<f64>,
    /// The point forecasts.
    ahead: Vec<f64>,
}

impl Model {
    /// Additive errors only: multiplicative ones need positive values.
    fn smoothing(recent: &[f64], horizon: usize) -> Option<Self> {
        if recent.len() < ENOUGH_FOR_SMOOTHING || recent.iter().all(|value| *value == recent[0]) {
            return None;
        }
        let model = AutoETS::new(1, "AZN").ok()?.fit(recent).ok()?;
        let fitted = model.predict_in_sample(None).ok()?.point;
        let ahead = model.predict(horizon, None).ok()?.point;
        let sound = fitted.len() == recent.len() && fitted.iter().chain(&ahead).all(|value| value.is_finite());
        sound.then_some(Self { fitted, ahead })
    }

    /// The median of all values, at each step. A value of the past is forecast from all others: one that was among those
    /// that it is compared with would be off by less than the next one.
    fn level(recent: &[f64], horizon: usize) -> Self {
        let median_without = |at: usize| robust::median(&[&recent[..at], &recent[at + 1..]].concat());
        let fitted = (0..recent.len()).map(median_without).collect();
        Self { fitted, ahead: vec![robust::median(recent); horizon] }
    }

    fn steps(&self, recent: &[f64], level: f64) -> Vec<Step> {
        let mut reach = 0.0_f64;
        self.ahead
            .iter()
            .enumerate()
            .map(|(ahead, &expected)| {
                // A forecast from further away is not more certain.
                reach = reach.max(quantile(self.errors(recent, ahead), level).unwrap_or(reach));
                Step { expected, lower: expected - reach, upper: expected + reach }
            })
            .collect()
    }

    /// How far the forecasts from each past point would have been off, `ahead` steps after the next one. The state of
    /// the past models is not kept: their next value moves on by what the present model adds over that distance.
    fn errors(&self, recent: &[f64], ahead: usize) -> Vec<f64> {
        let drift = self.ahead[ahead] - self.ahead[0];
        recent.iter().skip(ahead).zip(&self.fitted).map(|(value, next)| (value - next - drift).abs()).collect()
    }
}

/// What products of levels are off by at most.
const ROUNDING: f64 = 1e-9;

/// Which of `n` errors, the smallest first, the next one is below with the probability `level`; beyond `n` where they are
/// too few to tell.
fn rank(n: usize, level: f64) -> usize {
    ((n + 1) as f64 * level - ROUNDING).ceil() as usize
}

/// The conformal quantile: the ⌈(n + 1) · level⌉-th smallest, the largest where that is beyond n. `None` of nothing.
fn quantile(mut errors: Vec<f64>, level: f64) -> Option<f64> {
    let n = errors.len();
    if n == 0 {
        return None;
    }
    let rank = rank(n, level).clamp(1, n);
    Some(*errors.select_nth_unstable_by(rank - 1, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::seeded::normal;
    use proptest::prelude::*;

    #[test]
    fn a_line_goes_on() {
        let line: Vec<f64> = (0..60).map(|at| 10.0 + 0.5 * f64::from(at)).collect();
        for (ahead, step) in forecast(&line, 5, 0.95).unwrap().steps.iter().enumerate() {
            assert!((step.expected - (40.0 + 0.5 * ahead as f64)).abs() < 1e-3, "{step:?}");
        }
    }

    #[test]
    fn intervals_hold_as_often_as_they_say() {
        for (level, least, most) in [(0.8, 0.74, 0.86), (0.95, 0.91, 0.98)] {
            let mut within = 0;
            for seed in 0..200 {
                let values: Vec<f64> = normal(105, seed).iter().map(|noise| 50.0 + noise).collect();
                let made = forecast(&values[..100], 5, level).unwrap();
                within +=
                    made.steps.iter().zip(&values[100..]).filter(|(s, v)| (s.lower..=s.upper).contains(v)).count();
            }
            let share = within as f64 / 1000.0;
            assert!((least..=most).contains(&share), "{share} at {level}");
        }
    }

    #[test]
    fn intervals_of_few_values_hold_as_often_as_they_say_or_are_refused() {
        for (count, level, beyond) in [(5, 0.8, 0.95), (10, 0.9, 0.95), (18, 0.9, 0.95), (19, 0.95, 0.96)] {
            let mut within = 0;
            for seed in 0..1000 {
                let values = normal(count + 1, seed);
                let step = forecast(&values[..count], 1, level).unwrap().steps[0];
                within += usize::from((step.lower..=step.upper).contains(&values[count]));
            }
            let share = within as f64 / 1000.0;
            // Three standard deviations of a share of a thousand.
            assert!(share >= level - 0.04, "{share} of {count} at {level}");
            let refused = forecast(&normal(count, 1), 1, beyond).unwrap_err();
            assert!(matches!(refused, ForecastError::TooFew { needed: 19 | 24, .. }), "{refused:?}");
        }
    }

    #[test]
    fn a_forecast_starts_after_the_last_change() {
        let mut values = normal(200, 1);
        values[120..].iter_mut().for_each(|value| *value += 40.0);
        let made = forecast(&values, 10, 0.95).unwrap();
        assert_eq!(made.from, 120);
        assert!(made.steps.iter().all(|step| step.lower > 30.0 && step.upper < 50.0), "{made:?}");
    }

    #[test]
    fn too_few_values_after_a_change_take_all() {
        let mut values = normal(200, 1);
        values[190..].iter_mut().for_each(|value| *value += 40.0);
        assert_eq!(forecast(&values, 3, 0.95).unwrap().from, 0);
    }

    #[test]
    fn a_constant_stays() {
        let made = forecast(&[2.5; 50], 3, 0.95).unwrap();
        assert_eq!(made.steps, [Step { expected: 2.5, lower: 2.5, upper: 2.5 }; 3]);
        assert_eq!(made.crosses(Budget::AtMost(2.5)), Crossing::NotWithinHorizon);
        assert_eq!(made.crosses(Budget::AtMost(2.4)), Crossing::Already);
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(forecast(&[1.0, f64::NAN, 2.0], 3, 0.95), Err(ForecastError::TooShort(2)));
        assert_eq!(forecast(&[], 3, 0.95), Err(ForecastError::TooShort(0)));
        assert_eq!(forecast(&[1.0; 9], 3, 1.0), Err(ForecastError::Level(1.0)));
        assert!(matches!(forecast(&[1.0; 9], 3, f64::NAN), Err(ForecastError::Level(_))));
        assert!(forecast(&[1.0, 2.0, 3.0], 0, 0.5).unwrap().steps.is_empty());
    }

    #[test]
    fn a_rising_series_crosses_its_budget_in_time() {
        let noise = normal(100, 7);
        let values: Vec<f64> = noise.iter().enumerate().map(|(at, noise)| 100.0 + at as f64 + 0.5 * noise).collect();
        let made = forecast(&values, 20, 0.95).unwrap();
        let Crossing::Ahead { earliest, expected, latest } = made.crosses(Budget::AtMost(209.5)) else {
            panic!("{made:?}")
        };
        let (expected, latest) = (expected.unwrap(), latest.unwrap());
        assert!((10..=12).contains(&expected) && earliest <= expected && expected <= latest, "{made:?}");
        assert_eq!(made.crosses(Budget::AtMost(500.0)), Crossing::NotWithinHorizon);
        assert_eq!(made.crosses(Budget::AtLeast(50.0)), Crossing::NotWithinHorizon);
        assert_eq!(made.crosses(Budget::AtLeast(300.0)), Crossing::Already);
    }

    #[test]
    fn the_quantile_is_the_conformal_one() {
        let errors: Vec<f64> = (1..=19).map(f64::from).collect();
        assert_eq!(quantile(errors.clone(), 0.95), Some(19.0));
        assert_eq!(quantile(errors.clone(), 0.5), Some(10.0));
        assert_eq!(quantile(errors, 0.999), Some(19.0));
        assert_eq!(quantile(Vec::new(), 0.5), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_doubles_give_ordered_intervals(
            values in prop::collection::vec(-1e100..1e100, 9..60),
            horizon in 0_usize..8,
        ) {
            let made = forecast(&values, horizon, 0.9).unwrap();
            prop_assert_eq!(made.steps.len(), horizon);
            prop_assert!(made.steps.iter().all(|step| step.lower <= step.expected && step.expected <= step.upper));
        }
    }
}
