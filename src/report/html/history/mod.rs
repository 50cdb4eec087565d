//! Answers of the history as one page: what stands out, a map of models and targets, and for each model a page with its
//! series, their changes and what surrounds them.

use super::{Page, SITE_STYLE};
use crate::report::{Findings, ReportError, file};
use std::path::Path;

const PAGE: Page<'_> = Page {
    name: "history",
    without_script: "This page draws its charts with JavaScript. `tabfleet history … --json FILE` writes the same as JSON.",
    navigation: "",
    main: "",
    footer: "Points are medians of runs, bands their quartiles. A dashed line marks where the environment changed, a solid one \
             where the series changed its level. What was not measured is shown as –.",
    styles: &[SITE_STYLE, include_str!("style.css")],
    scripts: &[include_str!("charts.js"), include_str!("tables.js"), include_str!("main.js")],
};

/// The page of run times in a matrix's site.
pub(super) const PERFORMANCE: &str = "performance.html";

/// Where the matrix's site leads back from there.
const BACK: &str = r#"<nav id="views" aria-label="Views"><a href="index.html#/">← matrix</a></nav>"#;

/// Writes the findings as a page, `index.html` in `folder`. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old page is then left as it was.
pub fn write_history_html(findings: &Findings, folder: &Path) -> Result<(), ReportError> {
    file::replace(&folder.join("index.html"), |out| PAGE.write(findings, out))
}

/// Writes the findings as the page of run times of a matrix's site, `performance.html` in `folder`.
///
/// # Errors
/// As [`write_history_html`].
pub fn write_performance_html(findings: &Findings, folder: &Path) -> Result<(), ReportError> {
    file::replace(&folder.join(PERFORMANCE), |out| Page { navigation: BACK, ..PAGE }.write(findings, out))
}
