//! What the statistics are worth, measured: `cargo bench --bench statistics -- GROUP…` prints a table of each group named,
//! of all without a name.
//!
//! Annotated series are read from the folder that `TABFLEET_SERIES` names, where there is one.

mod annotated;
mod change_points;
mod forecast;
mod no_change;
mod power;
mod reading;
mod recording;
mod scan;
mod score;
mod series;
mod table;

/// The groups of measures, by the names that the command line takes.
const GROUPS: [&str; 7] = ["no-change", "power", "scan", "change-points", "forecast", "recording", "reading"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if reading::generated()? {
        return Ok(());
    }
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let groups = if named.is_empty() { GROUPS.map(str::to_owned).to_vec() } else { named };
    println!("{}", table::HEADING);
    for group in groups {
        match group.as_str() {
            "no-change" => no_change::measure(),
            "power" => power::measure(),
            "scan" => scan::measure(),
            "change-points" => change_points::run(),
            "forecast" => forecast::run(),
            "recording" => recording::run()?,
            "reading" => reading::run()?,
            unknown => return Err(format!("there is no group {unknown}; there are {}", GROUPS.join(", ")).into()),
        }
    }
    Ok(())
}
