//! What was found of targets: which belong together, which are best, and how well they were.

use super::{super::TableStyle, Columns, day, name};
use crate::report::{Findings, quantity};
use comfy_table::{Cell, Color};

pub(super) fn correlations(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: ["model", "target", "what", "rho", "lag in runs", "p adjusted", "runs"],
        right: 3..=6,
        whole: &[1, 3, 4, 5, 6],
    };
    columns.of(&findings.correlations, style, |row| {
        [
            name(&row.a),
            row.a.target.clone(),
            row.says.clone(),
            format!("{:+.2}", row.rho),
            row.lag.to_string(),
            quantity::p_value(row.p_adjusted),
            row.points.to_string(),
        ]
    })
}

pub(super) fn recommendations(findings: &Findings, style: TableStyle) -> String {
    let rows: Vec<_> = findings
        .recommendations
        .iter()
        .flat_map(|of| of.targets.iter().enumerate().map(move |row| (of, row)))
        .collect();
    let columns = Columns {
        heads: ["model", "place", "target", "median ms", "samples", "failed", "newest", "confidence", ""],
        right: 3..=7,
        whole: &[1, 2, 3, 4, 5, 6, 7],
    };
    columns.of(&rows, style, |(of, (place, row))| {
        let says = match (&row.refused, row.tied, place) {
            (Some(refused), ..) => refused.clone(),
            (None, _, 0) => of.says.clone(),
            (None, true, _) => "as good, as far as the data tell".to_owned(),
            (None, false, _) => String::new(),
        };
        let first = |text: String| if *place == 0 { text } else { String::new() };
        let colour = if row.refused.is_some() { Color::DarkGrey } else { Color::Green };
        [
            Cell::new(first(of.model.clone())),
            Cell::new(place + 1),
            style.painted(&row.target, (*place == 0 || row.tied || row.refused.is_some()).then_some(colour)),
            Cell::new(quantity::number_or_dash(row.median_ms)),
            Cell::new(row.samples),
            Cell::new(format!("{:.1} %", row.failure_share * 100.0)),
            Cell::new(format!("{:.1} days", row.age_days)),
            Cell::new(first(quantity::or_dash(of.confidence.map(|confidence| format!("{confidence:.2}"))))),
            Cell::new(says),
        ]
    })
}

pub(super) fn health(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: [
            "target",
            "attempts",
            "failed",
            "breakers opened",
            "recoveries",
            "helped",
            "median ms",
            "health checks",
            "failed",
            "last attempt",
        ],
        right: 1..=8,
        whole: &[0, 9],
    };
    columns.of(&findings.health, style, |row| {
        let share = |failed: u64, of: u64| match of {
            0 => quantity::NOT_MEASURED.to_owned(),
            of => format!("{failed} ({:.1} %)", 100.0 * failed as f64 / of as f64),
        };
        [
            row.target.clone(),
            row.attempts.to_string(),
            share(row.failures, row.attempts),
            row.circuit_opened.to_string(),
            row.recoveries.to_string(),
            row.helped.to_string(),
            quantity::number_or_dash(row.recovery_ms),
            row.health_checks.to_string(),
            share(row.failed_checks, row.health_checks),
            quantity::or_dash(row.last_at.map(day)),
        ]
    })
}
