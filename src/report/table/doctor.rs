//! What works on this machine, and what would help.

use super::{TableStyle, joined, targets};
use crate::report::{DoctorReport, quantity};

/// What works on this machine, what does not and why, and how to get what is missing.
pub fn doctor_table(report: &DoctorReport, style: TableStyle) -> String {
    let working = report.targets.iter().filter(|row| row.available).count();
    joined([
        format!("tabfleet {} on {}", report.tabfleet, quantity::machine(&report.host)),
        targets::targets(&report.targets, style),
        missing(report, style),
        format!("{working} of {} targets work.", report.targets.len()),
    ])
}

fn missing(report: &DoctorReport, style: TableStyle) -> String {
    if report.missing.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["browser", "not installed", "how to get it"]);
    for missing in &report.missing {
        table.add_row([missing.browser.name(), &missing.what, &missing.hint]);
    }
    table.trim_fmt()
}
