//! A plan as one page: the stages with what crosses between them, and the model node by node with the places where it is
//! cut.

use crate::report::{ReportError, ShardReport, file};
use std::path::Path;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 3] = [include_str!("stages.js"), include_str!("nodes.js"), include_str!("main.js")];

/// Writes the plan as a page, `index.html` in `folder`. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old page is then left as it was.
pub fn write_shard_html(report: &ShardReport, folder: &Path) -> Result<(), ReportError> {
    let style = [super::STYLE, STYLE].concat();
    let script = [&[super::DOM], &SCRIPTS[..]].concat().concat();
    file::replace(&folder.join("index.html"), |out| super::fill(PAGE, &style, report, &script, out))
}
