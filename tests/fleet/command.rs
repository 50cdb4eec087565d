//! The `tabfleet` program, started as a person would start it.

use crate::{fleets::PATIENCE, processes::within};
use std::{path::Path, process::Stdio};
use tokio::process::Command;

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program with these arguments, in a folder of its own, without settings from anywhere else.
pub fn tabfleet(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tabfleet"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ours = |name: &str| name.starts_with("TABFLEET_") && !name.ends_with("_BINARY");
    let inherited = std::env::vars().map(|(name, _)| name);
    inherited.filter(|name| ours(name)).chain(["RUST_LOG".to_owned()]).for_each(|name| {
        command.env_remove(name);
    });
    // Notes of running fleets go into the folder, too.
    command.env("TABFLEET_LAUNCH_TIMEOUT", "90s").env("XDG_RUNTIME_DIR", folder).kill_on_drop(true);
    command
}

pub async fn ended(mut command: Command) -> Ended {
    let output = within(4 * PATIENCE, "the command to end", command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program to its end.
pub async fn run(folder: &Path, args: &[&str]) -> Ended {
    ended(tabfleet(folder, args)).await
}
