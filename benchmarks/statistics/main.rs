//! What the statistics are worth, measured: `cargo bench --bench statistics -- GROUP…` prints a table of each group named.

mod reading;
mod recording;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if reading::generated()? {
        return Ok(());
    }
    let groups: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for group in &groups {
        match group.as_str() {
            "recording" => recording::run()?,
            "reading" => reading::run()?,
            unknown => eprintln!("no group is called {unknown}"),
        }
    }
    Ok(())
}
