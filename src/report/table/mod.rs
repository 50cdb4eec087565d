//! Tables for the terminal.

use super::{BenchReport, DoctorReport, MatrixReport};

/// How a table is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStyle {
    /// Whether to colour it.
    pub colour: bool,
    /// How many columns the terminal has; `None` when nothing limits it.
    pub width: Option<u16>,
}

/// The matrix.
pub fn matrix_table(report: &MatrixReport, style: TableStyle) -> String {
    let _ = (report, style);
    String::new()
}

/// The benchmark.
pub fn bench_table(report: &BenchReport, style: TableStyle) -> String {
    let _ = (report, style);
    String::new()
}

/// The doctor's findings.
pub fn doctor_table(report: &DoctorReport, style: TableStyle) -> String {
    let _ = (report, style);
    String::new()
}
