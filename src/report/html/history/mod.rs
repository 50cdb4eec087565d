//! Answers of the history as one page: what stands out, a map of models and targets, and for each model a page with its
//! series, their changes and what surrounds them.

use crate::{
    report::Findings,
    report::{ReportError, file},
};
use std::path::Path;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 3] = [include_str!("charts.js"), include_str!("tables.js"), include_str!("main.js")];

/// Writes the findings as a page, `index.html` in `folder`. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old page is then left as it was.
pub fn write_history_html(findings: &Findings, folder: &Path) -> Result<(), ReportError> {
    let style = [super::STYLE, STYLE].concat();
    let script = [&[super::DOM], &SCRIPTS[..]].concat().concat();
    file::replace(&folder.join("index.html"), |out| super::fill(PAGE, &style, findings, &script, out))
}
