//! What a fleet counts, for those who watch many: a subscriber of its events, and what it says of its health.
//!
//! [`MetricName`] is the one list; `docs/METRICS.md` is written from it. The text is that of Prometheus' exposition
//! format, which is simple enough that writing it is less than a library would ask for; and callers may read the values
//! without a parser.

mod counting;
mod gauges;
mod server;
mod table;

pub use table::{MetricKind, MetricName};
pub(super) use {
    counting::{Counting, MetricsQuestion},
    server::{listen, serve},
};

use std::{collections::BTreeMap, fmt};

/// Bounds of histograms, in seconds: from the way to a tab and back to a model that takes a minute.
const BOUNDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

/// Bounds of histograms of how many jobs ran together.
const SIZES: [f64; BOUNDS.len()] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 128.0, 256.0];

impl MetricName {
    /// The bounds of its histogram.
    const fn bounds(self) -> &'static [f64; BOUNDS.len()] {
        match self {
            Self::BatchJobs => &SIZES,
            _ => &BOUNDS,
        }
    }
}

/// The values of a fleet's metrics at one time. Shown, it is in Prometheus' text format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<(MetricName, Vec<String>), Value>);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Times {
        /// For each bound how many were at most that, but more than the one before.
        within: [u64; BOUNDS.len()],
        count: u64,
        sum: f64,
    },
}

impl Metrics {
    /// The value of the sample with these labels, in the order of [`MetricName::labels`]; of a histogram how many it
    /// counted. `None` where nothing was counted yet.
    pub fn get(&self, name: MetricName, labels: &[&str]) -> Option<f64> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.get(&(name, labels)).map(|value| match value {
            Value::Number(number) => *number,
            Value::Times { count, .. } => *count as f64,
        })
    }

    fn number(&mut self, name: MetricName, labels: &[&dyn ToString]) -> &mut f64 {
        let value = self.0.entry((name, texts(labels))).or_insert(Value::Number(0.0));
        match value {
            Value::Number(number) => number,
            Value::Times { sum, .. } => sum,
        }
    }

    fn add(&mut self, name: MetricName, labels: &[&dyn ToString], by: f64) {
        *self.number(name, labels) += by;
    }

    fn set(&mut self, name: MetricName, labels: &[&dyn ToString], to: f64) {
        *self.number(name, labels) = to;
    }

    fn observe(&mut self, name: MetricName, labels: &[&dyn ToString], measured: f64) {
        let nothing = Value::Times { within: [0; BOUNDS.len()], count: 0, sum: 0.0 };
        let value = self.0.entry((name, texts(labels))).or_insert(nothing);
        if let Value::Times { within, count, sum } = value {
            *count += 1;
            *sum += measured;
            if let Some(bound) = name.bounds().iter().position(|bound| measured <= *bound) {
                within[bound] += 1;
            }
        }
    }
}

fn texts(labels: &[&dyn ToString]) -> Vec<String> {
    labels.iter().map(|label| label.to_string()).collect()
}

/// Labels as they stand behind a name.
struct Labels<'a>(&'a [&'static str], &'a [String], Option<(&'static str, String)>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(names, values, last) = self;
        let last = last.iter().map(|(name, value)| (*name, value));
        let all: Vec<String> = names
            .iter()
            .copied()
            .zip(*values)
            .chain(last)
            .map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{name}=\"{value}\"")
            })
            .collect();
        if all.is_empty() { Ok(()) } else { write!(f, "{{{}}}", all.join(",")) }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = None;
        for ((metric, values), value) in &self.0 {
            let (name, labels) = (metric.as_str(), metric.labels());
            if told != Some(*metric) {
                writeln!(f, "# HELP {name} {}", metric.help())?;
                writeln!(f, "# TYPE {name} {}", metric.kind().name())?;
                told = Some(*metric);
            }
            match value {
                Value::Number(number) => writeln!(f, "{name}{} {number}", Labels(labels, values, None))?,
                Value::Times { within, count, sum } => {
                    let mut up_to = 0;
                    for (bound, within) in metric.bounds().iter().zip(within) {
                        up_to += within;
                        let labels = Labels(labels, values, Some(("le", bound.to_string())));
                        writeln!(f, "{name}_bucket{labels} {up_to}")?;
                    }
                    let all = Labels(labels, values, Some(("le", "+Inf".to_owned())));
                    writeln!(f, "{name}_bucket{all} {count}")?;
                    let labels = Labels(labels, values, None);
                    writeln!(f, "{name}_sum{labels} {sum}\n{name}_count{labels} {count}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in docs/METRICS.md.
    fn documented() -> String {
        let row = |name: &MetricName| {
            let labels: Vec<String> = name.labels().iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |\n", name.as_str(), name.kind().name(), labels.join(", "), name.help())
        };
        MetricName::ALL.iter().map(row).collect()
    }

    #[test]
    fn the_documentation_lists_every_metric_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
        let text = std::fs::read_to_string(path).expect("docs/METRICS.md");
        let told: String =
            text.lines().filter(|line| line.starts_with("| `")).map(|line| format!("{line}\n")).collect();
        assert_eq!(told, documented(), "docs/METRICS.md");
        assert!(MetricName::ALL.len() >= 30);
    }

    #[test]
    fn names_say_the_unit_and_are_unlike_each_other() {
        let names: std::collections::BTreeSet<&str> = MetricName::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(names.len(), MetricName::ALL.len());
        for name in MetricName::ALL {
            let text = name.as_str();
            assert!(text.starts_with("tabfleet_"), "{text}");
            assert_eq!(text.ends_with("_total"), name.kind() == MetricKind::Counter, "{text}");
            assert_eq!(text.ends_with("_seconds"), text.contains("seconds") && !text.ends_with("_total"), "{text}");
        }
    }

    #[test]
    fn the_text_is_prometheus() {
        let mut metrics = Metrics::default();
        metrics.add(MetricName::JobsSubmitted, &[], 2.0);
        metrics.add(MetricName::AttemptsFailed, &[&"chrome/wasm", &"a \"quoted\"\ncause"], 1.0);
        metrics.observe(MetricName::QueueWait, &[], 0.0015);
        metrics.observe(MetricName::QueueWait, &[], 100.0);
        let text = metrics.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "# HELP tabfleet_jobs_submitted_total Jobs taken into the queue",
                "# TYPE tabfleet_jobs_submitted_total counter",
                "tabfleet_jobs_submitted_total 2",
                "# HELP tabfleet_attempts_failed_total Attempts that failed",
                "# TYPE tabfleet_attempts_failed_total counter",
                r#"tabfleet_attempts_failed_total{target="chrome/wasm",cause="a \"quoted\"\ncause"} 1"#,
                concat!(
                    "# HELP tabfleet_queue_wait_seconds Of jobs with a result, from the call until a tab took the job for the ",
                    "attempt that brought it; what failed before is within"
                ),
            ]
        );
        assert_eq!(
            (lines[8], lines[9], lines[lines.len() - 4], lines[lines.len() - 3]),
            (
                r#"tabfleet_queue_wait_seconds_bucket{le="0.001"} 0"#,
                r#"tabfleet_queue_wait_seconds_bucket{le="0.002"} 1"#,
                r#"tabfleet_queue_wait_seconds_bucket{le="60"} 1"#,
                r#"tabfleet_queue_wait_seconds_bucket{le="+Inf"} 2"#,
            )
        );
        assert_eq!(
            lines[lines.len() - 2..],
            ["tabfleet_queue_wait_seconds_sum 100.0015", "tabfleet_queue_wait_seconds_count 2"]
        );
    }
}
