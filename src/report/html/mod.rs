//! The matrix as a site that needs no network: style, script and data of each page are all in it, so that it opens from a
//! disk, an attachment or any server. `index.html` holds the run and what earlier runs found; `performance.html`, where
//! there is a history, how run times went.

mod data;
mod history;
mod shard;

pub use history::{write_history_html, write_performance_html};
pub use shard::write_shard_html;

use super::{EarlierRuns, MatrixReport, ReportError, file};
use serde::Serialize;
use std::{
    io::{self, Write},
    path::Path,
};

/// What every page has around what it shows.
const SHELL: &str = include_str!("shell.html");
const STYLE: &str = include_str!("style.css");
/// What every page's script needs.
const DOM: &str = include_str!("dom.js");

/// The style of the pages of the matrix's site.
const SITE_STYLE: &str = include_str!("site.css");
const VIEWS: &str = include_str!("views.html");
const MATRIX: Page<'_> = Page {
    name: "matrix",
    without_script: "This page draws its tables with JavaScript. The same results are in the JSON report.",
    navigation: r##"<nav id="views" aria-label="Views"><a href="#/">Overview</a><a href="#/operators">Operators</a><a href="#/cases">Cases</a><a href="#/changes">Changes</a><a href="#/speed">Speed</a></nav>"##,
    main: VIEWS,
    footer: "What was not measured is shown as –. Run times are measured inside the browser, in milliseconds. A star marks a \
             slot filled by another product than it is named for.",
    styles: &[SITE_STYLE],
    scripts: &[
        include_str!("data.js"),
        include_str!("changed.js"),
        include_str!("overview.js"),
        include_str!("timings.js"),
        include_str!("tolerance.js"),
        include_str!("cases.js"),
        include_str!("operators.js"),
        include_str!("case.js"),
        include_str!("changes.js"),
        include_str!("main.js"),
    ],
};

/// Writes the report as a site, `index.html` in `folder`: totals and what wants attention, operators and cases on every
/// target, a page for each case, what changed, and how the run times are spread. What
/// changed is told since the newest earlier run, and verdict histories are of all of them. Where
/// [`write_performance_html`] has put its page into the folder, the site leads there. The file is whole at every moment:
/// the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old page is then left as it was.
pub fn write_html(report: &MatrixReport, earlier: &EarlierRuns, folder: &Path) -> Result<(), ReportError> {
    let performance = folder.join(history::PERFORMANCE).is_file().then_some(history::PERFORMANCE);
    file::replace(&folder.join("index.html"), |out| page(report, earlier, performance, out))
}

fn page(
    report: &MatrixReport,
    earlier: &EarlierRuns,
    performance: Option<&'static str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    MATRIX.write(&data::PageData::of(report, earlier, performance), out)
}

/// A page: what it shows in the frame that all pages share.
struct Page<'a> {
    /// What stands after the program's name.
    name: &'a str,
    /// What is told where scripts do not run.
    without_script: &'a str,
    /// Where it leads, as HTML.
    navigation: &'a str,
    /// What its script fills, as HTML.
    main: &'a str,
    footer: &'a str,
    styles: &'a [&'a str],
    scripts: &'a [&'a str],
}

impl Page<'_> {
    fn write(&self, data: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
        let style = [&[STYLE], self.styles].concat().concat();
        let script = [&[DOM], self.scripts].concat().concat();
        // In a script element only `<` can end the data early, and in JSON it can only be inside a text.
        let data = serde_json::to_string(data)?.replace('<', "\\u003c");
        // In the order in which they stand there.
        let places = [
            ("<!--NAME-->", self.name),
            ("/*STYLE*/", &style),
            ("<!--WITHOUT SCRIPT-->", self.without_script),
            ("<!--NAME-->", self.name),
            ("<!--NAVIGATION-->", self.navigation),
            ("<!--MAIN-->", self.main),
            ("<!--FOOTER-->", self.footer),
            ("/*DATA*/", &data),
            ("/*SCRIPT*/", &script),
        ];
        let mut rest = SHELL;
        for (place, content) in places {
            let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
            out.write_all(before.as_bytes())?;
            out.write_all(content.as_bytes())?;
            rest = after;
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ErrorRow, sample};
    use crate::types::Category;

    fn text(report: &MatrixReport, earlier: &EarlierRuns) -> String {
        let mut page = Vec::new();
        super::page(report, earlier, None, &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn the_page_holds_all_it_needs() {
        let page = text(&sample::matrix(), &EarlierRuns::default());
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(
            !page.contains("<!--")
                && !page.contains("/*STYLE*/")
                && !page.contains("/*DATA*/")
                && !page.contains("/*SCRIPT*/")
        );
        let links = regex::Regex::new(r#"(src|href)="?https?:|@import|fetch\(|url\("#).unwrap();
        assert!(!links.is_match(&page));
    }

    #[test]
    fn an_error_message_cannot_leave_the_data() {
        let mut report = sample::matrix();
        let message = "</script><script>alert(1)</script><!-- /*SCRIPT*/";
        report.results[0].error = Some(ErrorRow { category: Category::System, message: message.into() });
        let page = text(&report, &EarlierRuns::default());
        assert_eq!(page.matches("<script").count(), SHELL.matches("<script").count());
        let (_, data) = page.split_once(r#"id="data">"#).unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert!(data["texts"].as_array().unwrap().iter().any(|kept| kept == message));
    }

    #[test]
    fn twelve_thousand_results_stay_small() {
        let report = sample::large_matrix(1500);
        assert_eq!(report.results.len(), 12_000);
        let size = text(&report, &sample::nights(&report, 30)).len();
        assert!(size < 5_000_000, "{size} bytes");
        println!("the page of 12,000 sample results, with 30 nights before, takes {size} bytes");
    }

    /// The pages are kept in the folder that `TABFLEET_SAMPLE_PAGES` names, to look at.
    #[test]
    fn pages_are_written_whole_and_may_load_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = std::env::var_os("TABFLEET_SAMPLE_PAGES").map(std::path::PathBuf::from);
        let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
        let (first, next, large) = (sample::matrix(), sample::next_matrix(), sample::large_matrix(1500));
        let mut before = EarlierRuns::default();
        before.add("before.json".to_owned(), sample::matrix());
        let nights = sample::nights(&large, 30);
        for (name, report, earlier) in
            [("few", first, EarlierRuns::default()), ("next", next, before), ("many", large, nights)]
        {
            let folder = folder.join(name);
            write_html(&report, &earlier, &folder).unwrap();
            write_html(&report, &earlier, &folder).unwrap();
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(files, ["index.html"], "nothing is left beside the page");
            let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
            assert!(page == text(&report, &earlier) && page.contains("default-src 'none'"));
        }
    }
}
