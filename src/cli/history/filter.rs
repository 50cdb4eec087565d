//! Which series, and which of their runs.

use crate::history::{Metric, SeriesFilter};
use clap::Args;
use std::time::{Duration, SystemTime};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Which runs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which series and runs")]
pub(super) struct RunsArgs {
    /// Runs from then on: a date (2026-11-20), a time (2026-11-20T06:00:00Z), or how long ago (7d)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<SystemTime>,
    /// Runs before then
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<SystemTime>,
    /// Only the last so many runs
    #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// Only runs of this git branch
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which series and runs")]
pub(super) struct FilterArgs {
    #[command(flatten)]
    runs: RunsArgs,
    /// Only this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only this operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only these metrics, separated by commas
    #[arg(long, value_name = "METRICS", value_delimiter = ',', value_parser = metric)]
    metric: Vec<Metric>,
}

impl RunsArgs {
    /// The filter that lets these runs through.
    pub fn filter(&self) -> SeriesFilter {
        SeriesFilter {
            since: self.since,
            until: self.until,
            last: self.last.map(|last| last as usize),
            branch: self.branch.clone(),
            ..SeriesFilter::default()
        }
    }
}

impl FilterArgs {
    /// The filter; where no metric is named, these.
    pub fn filter(&self, usual: &[Metric]) -> SeriesFilter {
        SeriesFilter {
            model: self.model.clone(),
            target: self.target.clone(),
            operation: self.operation.clone(),
            metrics: if self.metric.is_empty() { usual.to_vec() } else { self.metric.clone() },
            ..self.runs.filter()
        }
    }
}

fn metric(text: &str) -> Result<Metric, String> {
    let names = || Metric::ALL.map(Metric::name).join(" ");
    Metric::from_name(text).ok_or_else(|| format!("one of {}", names()))
}

/// A date, a time, or how long ago.
pub(super) fn moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return before_now(ago).ok_or_else(|| "longer ago than there is time".to_owned());
    }
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    let time = day.map(|day| day.midnight().assume_utc()).or_else(|_| OffsetDateTime::parse(text, &Rfc3339));
    time.map(SystemTime::from)
        .map_err(|_| "it takes a date (2026-11-20), a time (2026-11-20T06:00:00Z), or how long ago (7d)".to_owned())
}

pub(super) fn before_now(ago: Duration) -> Option<SystemTime> {
    SystemTime::now().checked_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_times_or_how_long_ago() {
        let of = |text: &str| moment(text).unwrap();
        let day = of("2026-11-20");
        assert_eq!(of("2026-11-20T06:00:00Z"), day + Duration::from_secs(6 * 3600));
        assert_eq!(of("2026-11-20T06:00:00+06:00"), day);
        let an_hour_ago = of("1h");
        let hour = SystemTime::now().duration_since(an_hour_ago).unwrap().as_secs();
        assert!((3600..3700).contains(&hour), "{hour}");
        for wrong in ["", "yesterday", "2026-13-01", "-1d", "999999999999years"] {
            moment(wrong).unwrap_err();
        }
    }
}
