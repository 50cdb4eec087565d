//! What the statistics are worth, measured: `cargo bench --bench statistics -- GROUP…` prints a table of each group named.

fn main() {
    let groups: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    eprintln!("groups: {groups:?}");
}
