//! `tabfleet ci detect`: what was recognised of the continuous integration.

use super::outcome::Outcome;
use crate::ci;
use clap::{Args, Subcommand};

/// What the continuous integration is told, and what it tells.
#[derive(Debug, Args)]
pub(super) struct CiArgs {
    #[command(subcommand)]
    command: CiCommand,
}

#[derive(Debug, Subcommand)]
enum CiCommand {
    /// Tell what is recognised here of the commit and the job; every matrix report has the same
    Detect {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn execute(args: &CiArgs) -> Outcome {
    let CiCommand::Detect { json } = args.command;
    let run = ci::detect();
    if json {
        println!("{:#}", serde_json::json!(run));
        return Outcome::Good;
    }
    let none = "not a continuous integration".to_owned();
    let unknown = || "–".to_owned();
    println!("system  {}", run.system.unwrap_or(none));
    println!("commit  {}", run.commit.unwrap_or_else(unknown));
    println!("branch  {}", run.branch.unwrap_or_else(unknown));
    println!("job     {}", run.job.unwrap_or_else(unknown));
    println!("url     {}", run.url.unwrap_or_else(unknown));
    Outcome::Good
}
