//! The table: a measure, what it was, what it has to be.

use std::fmt;

/// On which side of it a measurement has to stay.
#[derive(Clone, Copy)]
pub enum Bar {
    AtMost(f64),
    AtLeast(f64),
    Within(f64, f64),
}

impl Bar {
    fn is_met(self, value: f64) -> bool {
        match self {
            Bar::AtMost(bar) => value <= bar,
            Bar::AtLeast(bar) => value >= bar,
            Bar::Within(least, most) => (least..=most).contains(&value),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::AtMost(bar) => write!(f, "≤ {bar}"),
            Bar::AtLeast(bar) => write!(f, "≥ {bar}"),
            Bar::Within(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// One line of the table.
pub struct Row {
    pub measure: &'static str,
    pub bar: Bar,
    pub value: f64,
    /// The numbers behind it, with their units.
    pub numbers: String,
}

pub const HEADING: &str = "| measure | bar | measured | | numbers | load |\n|---|---|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { measure, bar, value, numbers } = self;
        let met = if bar.is_met(*value) { "met" } else { "**missed**" };
        write!(f, "| {measure} | {bar} | {value:.2} | {met} | {numbers} | {} |", load_average())
    }
}

/// How many processes wanted a core over the last minute: on an idle machine, what the benchmark itself needs.
fn load_average() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
