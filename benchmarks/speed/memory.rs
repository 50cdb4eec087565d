//! The coordinator's memory, measured in a process that does nothing else.

use crate::{
    Failed,
    table::{Bar, Row},
    workload::{self, Workload},
};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// The argument that makes the program do this and nothing else.
pub const ARGUMENT: &str = "--memory-of-8-tabs";

const TABS: usize = 8;
const CHECKPOINTS: [usize; 4] = [100, 1_000, 5_000, 10_000];

/// Resident memory in MiB after so many jobs.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Resident {
    jobs: usize,
    all: f64,
    /// The heap and stacks.
    anon: f64,
    /// What is mapped of the program, its libraries and embedded files; the system may take it back.
    file: f64,
}

/// In a process of its own: prints the measurements as JSON.
pub async fn measure_here() -> Result<(), Failed> {
    let fleet = workload::launch(TABS).await?;
    let mlp64 = Workload::ready(&fleet, "mlp64").await?;
    let mut all = Vec::new();
    let mut done = 0;
    for jobs in CHECKPOINTS {
        mlp64.rate(jobs - done, 4 * TABS).await?;
        done = jobs;
        all.push(resident(jobs)?);
    }
    fleet.close().await?;
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

fn resident(jobs: usize) -> Result<Resident, Failed> {
    Ok(Resident { jobs, all: own_mib("VmRSS")?, anon: own_mib("RssAnon")?, file: own_mib("RssFile")? })
}

/// A size that the system tells of this process, in MiB.
pub fn own_mib(name: &str) -> Result<f64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in /proc/self/status")?;
    let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

pub async fn measure() -> Result<Vec<Row>, Failed> {
    let output = Command::new(std::env::current_exe()?).arg(ARGUMENT).output().await?;
    if !output.status.success() {
        return Err(format!("the memory run failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let all: Vec<Resident> = serde_json::from_slice(&output.stdout)?;
    let numbers = all.iter().map(|r| {
        let Resident { jobs, all, anon, file } = r;
        format!("{jobs} jobs {all:.1} MiB (anon {anon:.1}, file {file:.1})")
    });
    let numbers = numbers.collect::<Vec<_>>().join("; ");
    let of = |jobs| all.iter().find(|resident| resident.jobs == jobs).copied().ok_or("a checkpoint is missing");
    let (early, last) = (of(1_000)?, of(10_000)?);
    Ok(vec![
        Row {
            measure: "resident memory of the coordinator, 8 tabs, after 10,000 jobs (MiB)",
            bar: Bar::AtMost(80.0),
            value: last.all,
            numbers,
        },
        Row {
            measure: "its growth from 1,000 to 10,000 jobs (MiB); 1 is the allocator's noise",
            bar: Bar::AtMost(1.0),
            value: last.all - early.all,
            numbers: format!("anon {:+.2} MiB", last.anon - early.anon),
        },
    ])
}
