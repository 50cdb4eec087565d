//! A plan as one page: the stages with what crosses between them, and the model node by node with the places where it is
//! cut.

use super::Page;
use crate::report::{ReportError, ShardReport, file};
use std::path::Path;

const PAGE: Page<'_> = Page {
    name: "shard",
    without_script: "This page draws its pictures with JavaScript. `tabfleet shard … --json FILE` writes the same as JSON.",
    navigation: "",
    main: "",
    footer: "Times, operations and activations are estimated from the model’s shapes. Run the stages to measure them.",
    styles: &[include_str!("style.css")],
    scripts: &[include_str!("stages.js"), include_str!("nodes.js"), include_str!("main.js")],
};

/// Writes the plan as a page, `index.html` in `folder`. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old page is then left as it was.
pub fn write_shard_html(report: &ShardReport, folder: &Path) -> Result<(), ReportError> {
    file::replace(&folder.join("index.html"), |out| PAGE.write(report, out))
}
