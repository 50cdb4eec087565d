//! Which process started which, as Linux's `/proc` shows it; elsewhere nothing is shown.

use std::collections::HashMap;

/// The child of a process that has exactly one; `None` where the system does not show it.
pub(super) fn only_child(parent: u32) -> Option<u32> {
    let mut children = parents().filter(|(_, of)| *of == parent).map(|(pid, _)| pid);
    let child = children.next()?;
    children.next().is_none().then_some(child)
}

/// A process and all that descend from it.
pub(super) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, parent) in parents() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        // Taken out: process ids are given again, and what is read at different moments may go round in a circle.
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// Every process with its parent.
fn parents() -> impl Iterator<Item = (u32, u32)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes.filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        Some((pid, parent_of(pid)?))
    })
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may itself contain spaces and parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
