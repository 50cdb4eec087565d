//! How much memory a browser holds.

use super::process_tree;
use std::fs::read_to_string;

/// The memory of a process and of all that descend from it, in bytes; `None` where the system does not tell (only Linux
/// does) and when the process is gone.
///
/// Of what processes share, each is counted its part (the proportional set size), so that a browser's code is not
/// counted once for every tab. Where another user's processes do not show that, all of their resident memory counts.
///
/// This blocks while the system adds up, for 18 ms with a Chromium of nine processes: call it from a thread that may
/// wait.
pub fn tree_memory(pid: u32) -> Option<u64> {
    let root = process_memory(pid)?;
    // One that ends meanwhile holds nothing any more.
    let rest = process_tree::tree(pid).into_iter().skip(1).filter_map(process_memory);
    Some(root + rest.sum::<u64>())
}

fn process_memory(pid: u32) -> Option<u64> {
    proportional(pid).or_else(|| resident(pid))
}

/// From a file that the system adds up while it is read.
fn proportional(pid: u32) -> Option<u64> {
    let rollup = read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let size = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(size.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn resident(pid: u32) -> Option<u64> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(size.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
