//! The `tabfleet` command: parses the command line, runs one command, and maps its outcome to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tabfleet::cli::main()
}
