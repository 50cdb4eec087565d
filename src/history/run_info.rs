//! What a run was: the command, the code it ran and the machine it ran on.

use std::{env::consts, fs, process::Command, time::SystemTime};

/// What a run was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// The command as it was given, for instance `bench --targets chrome`.
    pub command: String,
    /// The version of tabfleet.
    pub tabfleet: String,
    /// When it started.
    pub started: SystemTime,
    /// The commit of the current folder's git work tree, where there is one.
    pub git_commit: Option<String>,
    /// Its branch; `None` also where no branch is checked out.
    pub git_branch: Option<String>,
    /// The machine.
    pub host: Host,
}

/// The machine a run ran on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The operating system, with its version where it tells: `Debian GNU/Linux 12 (bookworm)`, `macos`.
    pub os: String,
    /// The processor's architecture: `x86_64`, `aarch64`.
    pub arch: String,
    /// The processor's name, where the system tells.
    pub cpu: Option<String>,
    /// The cores this process may use.
    pub cores: u32,
    /// The machine's memory in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
}

impl RunInfo {
    /// A run of `command` that starts now, here.
    pub fn detect(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            started: SystemTime::now(),
            git_commit: git(&["rev-parse", "HEAD"]),
            git_branch: git(&["rev-parse", "--abbrev-ref", "HEAD"]).filter(|branch| branch != "HEAD"),
            host: Host::detect(),
        }
    }
}

impl Host {
    /// This machine.
    pub fn detect() -> Self {
        let field = |file, name| field(&fs::read_to_string(file).ok()?, name);
        Self {
            os: field("/etc/os-release", "PRETTY_NAME").unwrap_or_else(|| consts::OS.to_owned()),
            arch: consts::ARCH.to_owned(),
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism()
                .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
            memory_bytes: field("/proc/meminfo", "MemTotal").and_then(|text| {
                let kib: u64 = text.strip_suffix(" kB")?.parse().ok()?;
                kib.checked_mul(1024)
            }),
        }
    }
}

/// The first value of `name` in lines of the form `name: value` or `name="value"`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once([':', '='])?;
        (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_both_forms() {
        assert_eq!(field("a\nmodel name\t: Fast CPU @ 2: GHz\n", "model name").as_deref(), Some("Fast CPU @ 2: GHz"));
        assert_eq!(field("ID=debian\nPRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME").as_deref(), Some("Debian 12"));
        assert_eq!(field("MemTotal:  16 kB", "SwapTotal"), None);
    }
}
