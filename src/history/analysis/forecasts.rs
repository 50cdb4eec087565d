//! What is to be expected of each series, and when it will cross a budget.

use super::rows::{days, medians, not_judged};
use crate::{
    history::Series,
    report::{Findings, ForecastRow},
    stats::{
        Direction,
        forecast::{Budget, Crossing, forecast},
    },
};

/// How far and how sure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastOptions {
    /// Runs ahead. 14.
    pub horizon: usize,
    /// The share of future points that are to lie within the intervals, 0 to 1. 0.95.
    pub level: f64,
    /// What a series is to stay within: at most, or at least where more is better.
    pub budget: Option<f64>,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        Self { horizon: 14, level: 0.95, budget: None }
    }
}

/// Forecasts every series.
pub fn forecasts(series: &[Series], options: &ForecastOptions, findings: &mut Findings) {
    for series in series {
        let forecast = match forecast(&medians(series), options.horizon, options.level) {
            Ok(forecast) => forecast,
            Err(reason) => {
                findings.not_judged.push(not_judged(series, reason));
                continue;
            }
        };
        let step_days = step(series);
        let crossing = options.budget.map(|budget| {
            let crossing = forecast.crosses(match series.key.metric.better() {
                Direction::LowerIsBetter => Budget::AtMost(budget),
                Direction::HigherIsBetter => Budget::AtLeast(budget),
            });
            words(crossing, step_days, options)
        });
        findings.forecasts.push(ForecastRow {
            series: (&series.key).into(),
            from_run: series.points[forecast.from].run_id,
            level: options.level,
            step_days,
            points: forecast.steps.iter().map(|step| [step.expected, step.lower, step.upper]).collect(),
            budget: options.budget,
            crossing,
        });
    }
}

/// The median time between two runs, in days; `None` where all came at once.
fn step(series: &Series) -> Option<f64> {
    let days = days(series);
    let steps: Vec<f64> = days.windows(2).map(|pair| pair[1] - pair[0]).collect();
    crate::stats::median(&steps).filter(|step| *step > 0.0)
}

/// "crosses it in 12 days, likely between 8 and 20".
fn words(crossing: Crossing, step_days: Option<f64>, options: &ForecastOptions) -> String {
    let unit = if step_days.is_some() { "days" } else { "runs" };
    let after = |steps: usize| {
        let amount = steps as f64 * step_days.unwrap_or(1.0);
        if amount < 10.0 { format!("{amount:.1}") } else { format!("{amount:.0}") }
    };
    let horizon = after(options.horizon);
    match crossing {
        Crossing::Already => "beyond it already".to_owned(),
        Crossing::NotWithinHorizon => format!("stays within it for the next {horizon} {unit}"),
        Crossing::Ahead { earliest, expected: Some(expected), latest } => {
            let latest = latest.map_or_else(|| format!("after {horizon}"), after);
            format!("crosses it in {} {unit}, likely between {} and {latest}", after(expected), after(earliest))
        }
        Crossing::Ahead { earliest, expected: None, .. } => {
            format!("may cross it, from {} {unit} on; not expected within {horizon}", after(earliest))
        }
    }
}
