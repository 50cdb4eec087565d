//! `tabfleet matrix support`: which operators work where.

use super::super::{config::Settings, error::CliError, outcome::Outcome, style::table_style};
use crate::report::{MatrixReport, SupportBy, support_table};
use clap::Args;
use std::path::PathBuf;

/// Tell which operators, or operator sets, work on which target.
#[derive(Debug, Args)]
pub(super) struct SupportArgs {
    /// The JSON of a run
    #[arg(value_name = "FILE")]
    report: PathBuf,

    /// What to tell it by: operator, opset
    #[arg(long, value_name = "WHAT", default_value = "operator")]
    by: SupportBy,
}

pub(super) fn execute(args: &SupportArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let report = MatrixReport::read(&args.report)?;
    print!("{}", support_table(&report, args.by, table_style(settings)));
    Ok(Outcome::Good)
}
