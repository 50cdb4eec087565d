//! `tabfleet matrix diff`: what differs between two browsers, two builds of one, or two runs.

use super::super::{config::Settings, error::CliError, outcome::Outcome, style::table_style};
use crate::{
    report::{
        EarlierRuns, MatrixDiff, MatrixReport, Side, TargetBuild, diff_markdown, diff_table, write_html, write_json,
        write_text,
    },
    types::Browser,
};
use clap::Args;
use std::path::{Path, PathBuf};

/// Tell what differs between two browsers, two builds of one, or two runs.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// A browser (chrome), a build of one (chrome@beta), or the JSON of a run
    before: String,

    /// The same, to compare it with
    after: String,

    /// The JSON of the run that the browsers are of
    #[arg(long, value_name = "FILE", default_value = "matrix.json")]
    report: PathBuf,

    /// Write the differences there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write them there as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Write an HTML report there; what differs is under Changes
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,

    /// Exit with 1 when something is worse than it was
    #[arg(long)]
    fail: bool,
}

pub(super) fn execute(args: &DiffArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let (before, after) = (&args.before, &args.after);
    let mut earlier = EarlierRuns::default();
    let (report, diff) = match (browser(before), browser(after)) {
        (Some(was), Some(is)) => {
            let report = MatrixReport::read(&args.report)?;
            let diff = MatrixDiff::of(&side(before, &report, was), &side(after, &report, is));
            (report, diff)
        }
        (None, None) => {
            let [was, is] = [MatrixReport::read(Path::new(before))?, MatrixReport::read(Path::new(after))?];
            let diff = MatrixDiff::of(&Side::run(before, &was), &Side::run(after, &is));
            earlier.add(before.clone(), was);
            (is, diff)
        }
        _ => return Err(CliError::NotTwoOfAKind { before: before.clone(), after: after.clone() }),
    };
    if diff.compared == 0 {
        return Err(CliError::NothingInCommon { before: before.clone(), after: after.clone() });
    }
    print!("{}", diff_table(&diff, table_style(settings)));
    if let Some(path) = &args.json {
        write_json(&diff, path)?;
    }
    if let Some(path) = &args.markdown {
        write_text(&diff_markdown(&diff), path)?;
    }
    if let Some(folder) = &args.html {
        write_html(&report, &earlier, folder)?;
    }
    Ok(if args.fail && diff.is_worse() { Outcome::Failed } else { Outcome::Good })
}

/// What a browser, or a build of one, did in a run, backend by backend.
fn side<'a>(name: &str, report: &'a MatrixReport, (browser, build): (Browser, Option<&str>)) -> Side<'a> {
    let backend = |column: TargetBuild<'a>| {
        (column.target.browser == browser && column.build == build).then(|| column.target.backend.to_string())
    };
    Side::of(name, report, backend)
}

/// A browser, and the build of it that is named.
fn browser(text: &str) -> Option<(Browser, Option<&str>)> {
    let (browser, build) = text.split_once('@').map_or((text, None), |(browser, build)| (browser, Some(build)));
    Some((browser.parse().ok()?, build))
}
