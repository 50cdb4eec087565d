//! `tabfleet matrix diff`: what changes from one browser, build or run to another.

use super::super::{config::Settings, error::CliError, outcome::Outcome, style::table_style};
use crate::{
    report::{Differences, MatrixReport, diff_table},
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
}

pub(super) fn execute(args: &DiffArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let differences = match (browser(&args.before), browser(&args.after)) {
        (Some(before), Some(after)) => {
            let report = MatrixReport::read(&args.report)?;
            Differences::of_browsers(&report, before, after)
        }
        (None, None) => {
            let (before, after) = (Path::new(&args.before), Path::new(&args.after));
            Differences::of_runs(&MatrixReport::read(before)?, &MatrixReport::read(after)?)
        }
        _ => return Err(CliError::NotTwoOfAKind { before: args.before.clone(), after: args.after.clone() }),
    };
    if differences.compared == 0 {
        return Err(CliError::NothingInCommon { before: args.before.clone(), after: args.after.clone() });
    }
    print!("{}", diff_table(&differences, &args.before, &args.after, table_style(settings)));
    Ok(Outcome::Good)
}

/// A browser, and the build of it that is named.
fn browser(text: &str) -> Option<(Browser, Option<&str>)> {
    let (browser, build) = text.split_once('@').map_or((text, None), |(browser, build)| (browser, Some(build)));
    Some((browser.parse().ok()?, build))
}
