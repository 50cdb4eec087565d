//! What numbers may be, and what is said when they are not.

use std::time::Duration;

/// A number that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field} is {value}, but must be {range}")]
pub struct PolicyError {
    /// Which one; of a breaker with its browser, as in `breakers.chrome.sliding_window_size`.
    pub field: String,
    /// What it is.
    pub value: String,
    /// What it may be.
    pub range: String,
    /// The other one that this depends on, if it does.
    pub bound: Option<String>,
}

pub(super) fn check(
    good: bool,
    field: impl Into<String>,
    value: impl ToString,
    range: impl FnOnce() -> String,
) -> Result<(), PolicyError> {
    let refused = || PolicyError { field: field.into(), value: value.to_string(), range: range(), bound: None };
    if good { Ok(()) } else { Err(refused()) }
}

/// Says which other number the range depends on.
pub(super) fn by(bound: &str) -> impl FnOnce(PolicyError) -> PolicyError {
    let bound = Some(bound.to_owned());
    |error| PolicyError { bound, ..error }
}

pub(super) fn at_least<T: PartialOrd + ToString>(field: &str, value: T, least: T) -> Result<(), PolicyError> {
    check(value >= least, field, value.to_string(), || format!("at least {}", least.to_string()))
}

pub(super) fn within(field: &str, value: f64, least: f64, most: f64) -> Result<(), PolicyError> {
    let low = if least == f64::MIN_POSITIVE { "above 0".to_owned() } else { format!("at least {least}") };
    check((least..=most).contains(&value), field, value, || format!("{low} and at most {most}"))
}

pub(super) fn in_order(less: &str, low: Duration, field: &str, value: Duration) -> Result<(), PolicyError> {
    check(low <= value, field, format!("{value:?}"), || format!("at least {less}, {low:?}")).map_err(by(less))
}

pub(super) fn lasts(field: &str, value: Duration, least: Duration) -> Result<(), PolicyError> {
    check(value >= least, field, format!("{value:?}"), || format!("at least {least:?}"))
}
