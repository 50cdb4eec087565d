//! What the statistics are worth, measured: `cargo bench --bench statistics -- GROUP…` prints a table of each group named.
//!
//! Annotated series are read from the folder that `TABFLEET_SERIES` names, where there is one.

mod change_points;
mod forecast;
mod score;
mod series;

fn main() {
    let groups: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for group in &groups {
        match group.as_str() {
            "change-points" => change_points::run(),
            "forecast" => forecast::run(),
            unknown => eprintln!("no group is called {unknown}"),
        }
    }
}
