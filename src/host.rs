//! The machine that the numbers come from.

use serde::{Deserialize, Serialize};
use std::{env, fs, num::NonZero, process::Command, thread};

/// The machine that the numbers come from. Its name is left out: reports are shown to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The operating system: `linux`, `macos`, `windows`.
    pub os: String,
    /// Its release, as it calls itself: `Debian GNU/Linux 12 (bookworm)`, `macOS 15.1`.
    pub os_version: Option<String>,
    /// The processor's architecture: `x86_64`, `aarch64`.
    pub arch: String,
    /// The processor's model.
    pub cpu: Option<String>,
    /// How many threads run at once, as far as this process is let.
    pub cores: Option<usize>,
    /// The machine's memory, in bytes.
    pub memory_bytes: Option<u64>,
}

impl Host {
    /// What this machine says about itself; `None` for what it does not say.
    pub fn detect() -> Self {
        Self {
            os: env::consts::OS.to_owned(),
            os_version: os_version(),
            arch: env::consts::ARCH.to_owned(),
            cpu: cpu(),
            cores: thread::available_parallelism().ok().map(NonZero::get),
            memory_bytes: memory_bytes(),
        }
    }

    /// The operating system, by its release where it tells one.
    pub fn system(&self) -> &str {
        self.os_version.as_ref().unwrap_or(&self.os)
    }
}

fn os_version() -> Option<String> {
    match env::consts::OS {
        "linux" => pretty_name(&fs::read_to_string("/etc/os-release").ok()?),
        "macos" => said_by("sw_vers", &["-productVersion"]).map(|version| format!("macOS {version}")),
        _ => None,
    }
}

fn cpu() -> Option<String> {
    match env::consts::OS {
        "linux" => cpu_model(&fs::read_to_string("/proc/cpuinfo").ok()?),
        "macos" => said_by("sysctl", &["-n", "machdep.cpu.brand_string"]),
        "windows" => env::var("PROCESSOR_IDENTIFIER").ok(),
        _ => None,
    }
}

fn memory_bytes() -> Option<u64> {
    match env::consts::OS {
        "linux" => memory_total(&fs::read_to_string("/proc/meminfo").ok()?),
        "macos" => said_by("sysctl", &["-n", "hw.memsize"])?.parse().ok(),
        _ => None,
    }
}

fn pretty_name(os_release: &str) -> Option<String> {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned()).filter(|name| !name.is_empty())
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let model = line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(model).filter(|model| !model.is_empty())
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn said_by(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_says_what_it_is() {
        let host = Host::detect();
        assert_eq!(host.os, env::consts::OS);
        assert!(host.cores.is_some_and(|cores| cores > 0));
        if host.os == "linux" {
            assert!(host.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        }
    }

    #[test]
    fn what_the_files_do_not_say_is_none() {
        assert_eq!(cpu_model("processor: 0\nmodel name\t:  Example   CPU \n"), Some("Example CPU".into()));
        assert_eq!(cpu_model("processor: 0\n"), None);
        assert_eq!(memory_total("MemTotal:       16 kB\n"), Some(16384));
        assert_eq!(memory_total("MemTotal: lots\n"), None);
        assert_eq!(pretty_name("ID=x\nPRETTY_NAME=\"X 1\"\n"), Some("X 1".into()));
        assert_eq!(pretty_name("PRETTY_NAME=\"\"\n"), None);
    }
}
