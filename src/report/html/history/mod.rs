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

/// The page of run times in a matrix's site.
pub(super) const PERFORMANCE: &str = "performance.html";

/// Where the matrix's site leads back from there.
const BACK: &str = r#"<nav id="views" aria-label="Views"><a href="index.html#/">← matrix</a></nav>"#;

/// Writes the findings as a page, `index.html` in `folder`. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old page is then left as it was.
pub fn write_history_html(findings: &Findings, folder: &Path) -> Result<(), ReportError> {
    write(findings, &folder.join("index.html"), "")
}

/// Writes the findings as the page of run times of a matrix's site, `performance.html` in `folder`.
///
/// # Errors
/// As [`write_history_html`].
pub fn write_performance_html(findings: &Findings, folder: &Path) -> Result<(), ReportError> {
    write(findings, &folder.join(PERFORMANCE), BACK)
}

fn write(findings: &Findings, path: &Path, navigation: &str) -> Result<(), ReportError> {
    let page = PAGE.replace("<!--NAVIGATION-->", navigation);
    let style = [super::STYLE, super::SITE_STYLE, STYLE].concat();
    let script = [&[super::DOM], &SCRIPTS[..]].concat().concat();
    file::replace(path, |out| super::fill(&page, &style, findings, &script, out))
}
