//! The table: a measure, what it was, what it has to be.

use std::fmt;

/// On which side of it a measurement has to stay.
#[derive(Clone, Copy)]
pub enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of the table.
pub struct Row {
    pub measure: String,
    /// `None`: measured for what it tells, with no bar of its own.
    pub bar: Option<Bar>,
    pub value: f64,
    pub unit: &'static str,
    /// The numbers behind it.
    pub numbers: String,
}

pub const HEADING: &str = "| measure | bar | measured | | numbers |\n|---|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { measure, bar, value, unit, numbers } = self;
        let (bar, met) = match *bar {
            None => (String::new(), ""),
            Some(Bar::AtMost(bar)) => (format!("≤ {bar} {unit}"), if *value <= bar { "met" } else { "**missed**" }),
            Some(Bar::AtLeast(bar)) => (format!("≥ {bar} {unit}"), if *value >= bar { "met" } else { "**missed**" }),
        };
        write!(f, "| {measure} | {bar} | {value:.2} {unit} | {met} | {numbers} |")
    }
}
