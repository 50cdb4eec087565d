//! Forecasts: how often the next values lie within their intervals, how wide those are, and how long a forecast takes.

use super::annotated::{self, Annotated};
use std::time::{Duration, Instant};
use tabfleet::stats::forecast::forecast;

const HORIZON: usize = 10;
const LEVEL: f64 = 0.95;
/// Forecasts are made after each `STRIDE` values of a series, once it has `FIRST`.
const STRIDE: usize = 37;
const FIRST: usize = 40;

/// What came of the forecasts of one file, by step.
#[derive(Clone, Default)]
struct Outcome {
    within: [usize; HORIZON],
    made: [usize; HORIZON],
    widths: Vec<f64>,
    times: Vec<Duration>,
}

pub fn run() {
    println!("| forecast | bar | value | |\n|---|---|---|---|");
    for (name, all) in annotated::annotated() {
        let mut outcome = Outcome::default();
        all.iter().for_each(|one| outcome.add(one));
        outcome.print(&name);
    }
    println!();
}

impl Outcome {
    fn add(&mut self, one: &Annotated) {
        for origin in (FIRST..one.values.len().saturating_sub(HORIZON)).step_by(STRIDE) {
            let start = Instant::now();
            let made = forecast(&one.values[..origin], HORIZON, LEVEL).expect("a forecast");
            self.times.push(start.elapsed());
            for (ahead, step) in made.steps.iter().enumerate() {
                let actual = one.values[origin + ahead];
                self.made[ahead] += 1;
                self.within[ahead] += usize::from((step.lower..=step.upper).contains(&actual));
            }
            let last = made.steps[HORIZON - 1];
            self.widths.push((last.upper - last.lower) / made.present.abs().max(f64::MIN_POSITIVE));
        }
    }

    fn print(&mut self, name: &str) {
        let share = |within: usize, made: usize| 100.0 * within as f64 / made as f64;
        let all = share(self.within.iter().sum(), self.made.iter().sum());
        let met = if (90.0..=98.0).contains(&all) { "met" } else { "missed" };
        let forecasts = self.times.len();
        println!(
            "| {name}, steps 1 to {HORIZON}, {forecasts} forecasts: within the 95% interval | 90–98% | {all:.1}% | {met} |"
        );
        for ahead in [0, 4, 9] {
            let value = share(self.within[ahead], self.made[ahead]);
            println!("| {name}, step {} | | {value:.1}% | |", ahead + 1);
        }
        self.widths.sort_by(f64::total_cmp);
        self.times.sort();
        println!(
            "| {name}, median width at step {HORIZON}, of the present level | | {:.1}% | |",
            100.0 * self.widths[self.widths.len() / 2]
        );
        let slowest = self.times[self.times.len() * 99 / 100].as_secs_f64() * 1e3;
        let usual = self.times[self.times.len() / 2].as_secs_f64() * 1e3;
        println!("| {name}, one forecast | | median {usual:.1} ms, 99% {slowest:.1} ms | |");
    }
}
