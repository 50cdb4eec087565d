//! `tabfleet suite`: suites of cases, made and looked at.

use super::{config::Settings, error::CliError, matrix::open_suites, outcome::Outcome, style::table_style};
use crate::{
    matrix::Planned,
    onnx::{CaseError, write_conformance_suite},
    report::{SuiteCase, SuiteView, suite_table},
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Make suites of cases, and tell what is in them.
#[derive(Debug, Args)]
pub(super) struct SuiteArgs {
    #[command(subcommand)]
    command: SuiteCommand,
}

#[derive(Debug, Subcommand)]
enum SuiteCommand {
    /// Write ONNX's own conformance cases: node, simple, pytorch-converted, pytorch-operator and light. The first time it
    /// takes Python and a connection to PyPI
    Onnx(OnnxArgs),
    /// Tell what is in a suite, by operator, operator set or element type, and what is skipped
    List(ListArgs),
}

#[derive(Debug, Args)]
struct OnnxArgs {
    /// Where to write the suite; must not exist yet
    #[arg(long, value_name = "DIR")]
    output: PathBuf,

    /// The Python to make them with, 3.11 or newer
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Folders of cases in the ONNX backend-test layout [default: the built-in suite]
    suites: Vec<PathBuf>,

    /// What to group cases by: operator, opset, type, or case for each of them
    #[arg(long, value_name = "WHAT", default_value = "operator")]
    by: SuiteView,
}

pub(super) fn execute(args: SuiteArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    match args.command {
        SuiteCommand::Onnx(OnnxArgs { output, python }) => {
            let tell = |what: &str| {
                if !quiet {
                    eprintln!("{what} …");
                }
            };
            let counts = write_conformance_suite(&output, &python, tell)?;
            let total: usize = counts.iter().map(|(_, count)| count).sum();
            let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            println!("{}: {total} cases ({})", output.display(), kinds.join(", "));
        }
        SuiteCommand::List(ListArgs { suites, by }) => {
            let cases: Vec<SuiteCase> =
                open_suites(&suites)?.into_iter().flat_map(|suite| suite.cases).map(looked_at).collect();
            print!("{}", suite_table(&cases, by, table_style(settings)));
        }
    }
    Ok(Outcome::Good)
}

/// The case, and why it will not be run if that is so already.
fn looked_at(case: crate::onnx::Case) -> SuiteCase {
    let not_run = match case.load() {
        Ok(_) => None,
        Err(CaseError::Skipped { reason }) => Some(reason),
        Err(CaseError::Broken(broken)) => Some(broken.to_string()),
    };
    SuiteCase { row: Planned::read(case).row, not_run }
}
