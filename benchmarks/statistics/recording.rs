//! What recording adds to a job's latency, and how many rows a second it keeps up with.

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tabfleet::{
    Backend, Browser, Dtype, Event, EventKind, Family, Target, Timings,
    history::{HistoryError, Recorder, RunInfo},
    types::{JobId, ModelTag, TabId},
};

/// Events handed in for the caller's share, at the pace of a fast fleet.
const CALLS: u32 = 50_000;
const CALLS_PER_SECOND: u32 = 10_000;
/// How long each pace is held.
const HELD: Duration = Duration::from_secs(10);
const PACES: [u32; 4] = [50_000, 105_000, 125_000, 150_000];
/// Handed in at once, so that reading the clock costs nothing to speak of.
const AT_ONCE: u64 = 100;

/// Prints both.
///
/// # Errors
/// What kept the file from being written.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    caller(&folder.path().join("caller.duckdb"))?;
    for pace in PACES {
        let kept_up = sustained(&folder.path().join(format!("{pace}.duckdb")), pace)?;
        if !kept_up {
            break;
        }
    }
    Ok(())
}

/// What one call takes, which is what a job's latency gains: the rest happens on the writer's thread.
fn caller(file: &Path) -> Result<(), HistoryError> {
    let recorder = Recorder::open(file, RunInfo::detect("benchmark"))?;
    let model = model();
    let mut calls_us = Vec::with_capacity(CALLS as usize);
    let start = Instant::now();
    for number in 0..CALLS {
        wait_until(start + Duration::from_secs(1) * number / CALLS_PER_SECOND);
        let event = succeeded(u64::from(number), &model);
        let called = Instant::now();
        recorder.record(black_box(event));
        calls_us.push(called.elapsed().as_secs_f64() * 1e6);
    }
    let recorded = recorder.close()?;
    calls_us.sort_by(f64::total_cmp);
    let at = |share: f64| calls_us[(share * (calls_us.len() - 1) as f64) as usize];
    println!(
        "record(): median {:.2} us, 99% {:.2} us, longest {:.0} us, of {CALLS} calls at {CALLS_PER_SECOND}/s; {} lost",
        at(0.5),
        at(0.99),
        at(1.0),
        recorded.lost
    );
    Ok(())
}

/// Rows handed in at that pace, until they are in the closed file. Says whether none was lost.
fn sustained(file: &Path, pace: u32) -> Result<bool, HistoryError> {
    let recorder = Recorder::open(file, RunInfo::detect("benchmark"))?;
    let model = model();
    let (start, rows) = (Instant::now(), u64::from(pace) * HELD.as_secs());
    for number in 0..rows {
        if number % AT_ONCE == 0 {
            wait_until(start + Duration::from_secs_f64(number as f64 / f64::from(pace)));
        }
        recorder.record(succeeded(number, &model));
    }
    let recorded = recorder.close()?;
    let took = start.elapsed().as_secs_f64();
    let per_second = recorded.rows as f64 / took;
    println!(
        "{pace} rows/s for {} s: {per_second:.0} rows/s in the closed file after {took:.2} s, {} lost",
        HELD.as_secs(),
        recorded.lost
    );
    Ok(recorded.lost == 0)
}

/// A sleeping thread wakes up late by more than a call takes; but the writer needs a core, too.
fn wait_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if left > Duration::from_micros(200) {
            std::thread::sleep(left - Duration::from_micros(100));
        } else {
            std::hint::spin_loop();
        }
    }
}

fn model() -> Arc<ModelTag> {
    Arc::new(ModelTag {
        name: "resnet50-v1-12".to_owned(),
        sha256: "ab".repeat(32),
        family: Family::Vision,
        precision: Some(Dtype::Float32),
    })
}

fn succeeded(job: u64, model: &Arc<ModelTag>) -> Event {
    // Numbers as different as measured ones, which decides how well they compress.
    let noise = job.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33;
    let ms = |base: f64| base * (1.0 + noise as f64 / f64::from(u32::MAX));
    let timings =
        Timings { queue_ms: ms(0.25), run_ms: ms(12.5), wire_ms: ms(0.5), total_ms: ms(13.5), ..Timings::default() };
    let kind = EventKind::AttemptSucceeded {
        job: JobId(job),
        attempt: 1,
        tab: TabId(job % 8),
        target: Target::new(Browser::Chrome, Backend::Webgpu),
        model: Arc::clone(model),
        timings,
        cpu_fallback: Some(false),
        batch: Some(1),
        memory_bytes: Some(96 << 20),
        share: None,
        warm_up: false,
    };
    Event { at: SystemTime::now(), kind }
}
