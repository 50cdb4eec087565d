//! How long it takes to read 10,000 series of 200 points out of a history, and to ask the command what got slower in
//! them; and how much memory.

use duckdb::Connection;
use std::{fs, path::Path, process::Command, time::Instant};
use tabfleet::history::{History, Metric, Recorder, RunInfo, SeriesFilter};

/// The argument that makes the program generate a history and nothing else, for its memory not to be counted.
const GENERATE: &str = "generate-history";
const RUNS: u32 = 200;
/// Series of one metric, and how many samples each of their points has.
const SHAPES: [(u32, u32); 2] = [(10_000, 1), (10_000, 5)];

/// Prints one line for each shape.
///
/// # Errors
/// What kept the history from being generated or read.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for (series, samples) in SHAPES {
        let file = folder.path().join(format!("{series}-{samples}.duckdb"));
        let generate = Command::new(std::env::current_exe()?)
            .arg(GENERATE)
            .arg(&file)
            .args([series.to_string(), samples.to_string()])
            .status()?;
        if !generate.success() {
            return Err("the history could not be generated".into());
        }
        read(&file, samples)?;
        command(&file)?;
    }
    Ok(())
}

/// `tabfleet history regressions` as a whole, measured by GNU time where that is installed.
fn command(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    const TIME: &str = "/usr/bin/time";
    if !Path::new(TIME).exists() {
        println!("SKIPPED: tabfleet history regressions, for want of {TIME}");
        return Ok(());
    }
    let ended = Command::new(TIME)
        .args(["-f", "%e s, %M KiB", env!("CARGO_BIN_EXE_tabfleet"), "--quiet", "history", "regressions", "--history"])
        .arg(file)
        .output()?;
    let (said, measured) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    if !ended.status.success() {
        return Err(format!("tabfleet history regressions: {measured}").into());
    }
    let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    println!("tabfleet history regressions: {} at most ({})", last(&measured), last(&said));
    Ok(())
}

fn read(file: &Path, samples: u32) -> Result<(), Box<dyn std::error::Error>> {
    // Sets the highest resident memory back to the present one.
    fs::write("/proc/self/clear_refs", "5")?;
    let start = Instant::now();
    let history = History::open(file)?;
    let filter = SeriesFilter { metrics: vec![Metric::RunMs], ..SeriesFilter::default() };
    let (mut series, mut points, mut sum) = (0, 0, 0.0);
    history.each_series(&filter, |one| {
        series += 1;
        points += one.points.len();
        sum += one.points.iter().map(|point| point.median).sum::<f64>();
    })?;
    println!(
        "{series} series, {points} points of {samples} samples: {:.2} s, {} MiB at most, file {} MiB (sum {sum:.3})",
        start.elapsed().as_secs_f64(),
        highest_resident_mib()?,
        fs::metadata(file)?.len() >> 20
    );
    Ok(())
}

fn highest_resident_mib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}

/// Makes a history when the program's arguments ask for that. Says whether they did.
///
/// # Errors
/// What kept it from being made.
pub fn generated() -> Result<bool, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, file, series, samples] = &arguments[..] else { return Ok(false) };
    if mode != GENERATE {
        return Ok(false);
    }
    Recorder::open(Path::new(file), RunInfo::detect("benchmark"))?.close()?;
    // Each run measures every model on each of four targets, and has their descriptions.
    Connection::open(file)?.execute_batch(&format!(
        "DELETE FROM runs;
         INSERT INTO runs (run_id, command, tabfleet, started_at, git_commit, git_branch, os, arch, cores)
         SELECT i, 'bench', '0.1.0', TIMESTAMP '2026-01-01' + to_hours(i::INTEGER), sha1(i::VARCHAR), 'main', 'linux', 'x86_64', 2
         FROM range(1, {RUNS} + 1) t(i);
         INSERT INTO targets (run_id, target_id, target, available, product, version, adapter_vendor, runtime, runtime_version)
         SELECT i, t, 'target' || t, true, 'Chrome', (150 + i // 50)::VARCHAR, 'vendor', 'onnxruntime-web', '1.30.0'
         FROM range(1, {RUNS} + 1) r(i), range(4) t(t);
         INSERT INTO performance_results (run_id, happened_at, job, attempt, tab, target_id, target, model, model_sha256, family,
             success, queue_ms, run_ms, wire_ms, total_ms)
         SELECT i, TIMESTAMP '2026-01-01' + to_hours(i::INTEGER), s, 1, 1, t, 'target' || t, 'model number ' || m,
             sha256(m::VARCHAR), 'vision', random() > 0.01, random(), 10 + random(), random(), 12 + random()
         FROM range(1, {RUNS} + 1) r(i), range({series} // 4) m(m), range(4) t(t), range({samples}) s(s) ORDER BY i, s, m, t;"
    ))?;
    Ok(true)
}
