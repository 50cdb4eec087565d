//! Commands that are stopped: politely or not, nothing of theirs is left, and results so far are kept.

use crate::{
    command::tabfleet,
    fleets::{PATIENCE, are_here},
    metrics::{free_address, get},
    models::{self, ENDLESS, count, counting, counting_and_negating},
    processes::{descendants, kill, resume, signal, stop, until, within},
    schema_check::departures,
};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tabfleet::{
    report::MatrixReport,
    types::{Tensor, Verdict},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

/// How many attempts have succeeded, as the metrics tell it.
const SUCCEEDED: &str = "tabfleet_attempts_succeeded_total{target=\"chrome/wasm\"}";

/// A suite of so many good cases and one that never ends. Their models can be cut in two.
fn suite(folder: &Path, good: i64) {
    let suite = folder.join("suite");
    let case = |name: &str, trips: i64| {
        let y = ("y".to_owned(), Tensor::from_values([1], &[-trips as f32]).unwrap());
        models::save_case(&suite, name, &counting_and_negating(), &count(trips, 1.0), &[y]);
    };
    (1..=good).for_each(|number| case(&format!("good-{number}"), number));
    case("hangs", ENDLESS);
}

/// A matrix of such a suite. Folders are made where its `TMPDIR` says, so that what is left of them can be looked for.
fn matrix(folder: &Path, targets: &[&str], more: &[&str]) -> Command {
    let temporary = folder.join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let targets = targets.join(",");
    let asked = ["matrix", "suite", "--targets", &targets, "--in-flight-per-tab", "1", "--case-timeout", "1h"];
    let mut command = tabfleet(folder, &[&asked[..], more].concat());
    command.env("TMPDIR", temporary);
    command
}

/// The folders that it has made and that are still there.
fn folders(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder.join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A matrix that never ends by itself, at the moment at which all its good cases have passed on every target.
struct Busy {
    child: Child,
    words: Lines<BufReader<ChildStderr>>,
    json: PathBuf,
    processes: Vec<u32>,
    /// The profile folders of its browsers.
    folders: Vec<PathBuf>,
}

impl Busy {
    async fn start(folder: &Path, targets: &[&str]) -> Self {
        suite(folder, 3);
        let json = folder.join("m.json");
        let mut child = matrix(folder, targets, &["--json", "m.json"]).spawn().unwrap();
        let words = BufReader::new(child.stderr.take().unwrap()).lines();
        let passed = || MatrixReport::read(&json).is_ok_and(|report| report.results.len() == 3 * targets.len());
        until(2 * PATIENCE, "all cases but the endless one", passed).await;
        let processes: Vec<u32> = descendants(child.id().unwrap()).into_iter().map(|(pid, _)| pid).collect();
        let folders = folders(folder);
        assert!(processes.len() > targets.len() && folders.len() >= targets.len(), "{processes:?} {folders:?}");
        Self { child, words, json, processes, folders }
    }

    fn nothing_is_left(&self) -> bool {
        !self.processes.iter().any(|pid| lives(*pid)) && !self.folders.iter().any(|folder| folder.exists())
    }
}

/// Whether it runs; the dead have no command line any more.
fn lives(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty())
}

fn the_results_so_far_are_kept(report: &MatrixReport, targets: usize) {
    assert_eq!(report.results.len(), 3 * targets);
    assert!(report.results.iter().all(|result| result.verdict == Verdict::Pass && result.case.starts_with("good-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_the_results_so_far_and_leaves_nothing() {
    if !cfg!(target_os = "linux") || !are_here(&["chrome/wasm", "firefox/wasm"]) {
        println!("SKIPPED: it takes Linux, Chrome and Firefox");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut busy = Busy::start(folder.path(), &["chrome/wasm", "firefox/wasm"]).await;
    let before = Instant::now();
    signal(busy.child.id().unwrap(), Signal::INT);
    let status = within(PATIENCE, "the command to end", busy.child.wait()).await.unwrap();
    println!("ended {:?} after Ctrl-C", before.elapsed());
    assert_eq!(status.code(), Some(130));
    assert!(busy.nothing_is_left(), "when the command has ended, so has everything of it");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&busy.json).unwrap()).unwrap();
    assert!(json["finished"].is_string(), "{json}");
    the_results_so_far_are_kept(&MatrixReport::read(&busy.json).unwrap(), 2);
    while let Some(line) = busy.words.next_line().await.unwrap() {
        assert!(!line.contains("panicked") && !line.to_lowercase().contains("error"), "{line}");
    }
}

/// A guard that is stopped holds the end up, as a browser in trouble may.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_twice_does_not_wait_for_an_orderly_end() {
    if !cfg!(target_os = "linux") || !are_here(&["chrome/wasm"]) {
        println!("SKIPPED: it takes Linux and Chrome");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut busy = Busy::start(folder.path(), &["chrome/wasm"]).await;
    let command = busy.child.id().unwrap();
    let (guards, others): (Vec<_>, Vec<_>) =
        descendants(command).into_iter().partition(|(_, command)| command.contains("tabfleet-guard"));
    guards.iter().for_each(|(guard, _)| stop(*guard));
    signal(command, Signal::INT);
    let browser_ended = || others.iter().all(|(pid, _)| !lives(*pid));
    until(PATIENCE, "the browser to end", browser_ended).await;
    signal(command, Signal::TERM);
    let status = within(PATIENCE, "the command to end", busy.child.wait()).await.unwrap();
    guards.iter().for_each(|(guard, _)| resume(*guard));
    assert_eq!(status.code(), Some(130));
    let mut words = Vec::new();
    while let Some(line) = busy.words.next_line().await.unwrap() {
        words.push(line);
    }
    assert!(words.iter().any(|line| line.starts_with("interrupted again")), "{words:?}");
    until(PATIENCE, "what the guards see to", || busy.nothing_is_left()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_what_bench_has_measured() {
    if !cfg!(target_os = "linux") || !are_here(&["chrome/wasm"]) {
        println!("SKIPPED: it takes Linux and Chrome");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let y = ("y".to_owned(), Tensor::from_values([1], &[100_000_f32]).unwrap());
    models::save_case(&folder.path().join("suite"), "slow", &counting(), &count(100_000, 1.0), &[y]);
    let metrics = free_address();
    let address = metrics.to_string();
    let endless = ["--precision", "0.000001", "--time-limit", "1h", "--warmup", "1"];
    let args = ["bench", "suite", "--targets", "chrome/wasm", "--json", "b.json", "--metrics", &address];
    let mut bench = tabfleet(folder.path(), &[&args[..], &endless].concat()).spawn().unwrap();
    within(PATIENCE, "runs beyond the one that does not count", async {
        loop {
            let told = get(metrics, "/metrics").await.unwrap_or_default();
            let done = told.lines().find_map(|line| line.strip_prefix(SUCCEEDED)?.trim().parse::<f64>().ok());
            if done.is_some_and(|done| done > 3.0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    signal(bench.id().unwrap(), Signal::INT);
    let status = within(PATIENCE, "the command to end", bench.wait()).await.unwrap();
    assert_eq!(status.code(), Some(130));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("b.json")).unwrap()).unwrap();
    let schema = serde_json::from_str(include_str!("../../docs/bench.schema.json")).unwrap();
    assert_eq!(departures(&schema, &report), Vec::<String>::new());
    assert_eq!(report["series"][0]["stopped_by"], "interrupted", "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_killed_command() {
    let all = ["chrome/wasm", "edge/wasm", "firefox/wasm", "webkit/wasm"];
    let here: Vec<&str> = all.into_iter().filter(|name| are_here(&[name])).collect();
    if !cfg!(target_os = "linux") || here.is_empty() {
        println!("SKIPPED: it takes Linux and a browser");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut busy = Busy::start(folder.path(), &here).await;
    let before = Instant::now();
    kill(busy.child.id().unwrap());
    busy.child.wait().await.unwrap();
    until(PATIENCE, "processes and folders to be gone", || busy.nothing_is_left()).await;
    println!("{} processes and {} folders gone after {:?}", busy.processes.len(), busy.folders.len(), before.elapsed());
    the_results_so_far_are_kept(&MatrixReport::read(&busy.json).unwrap(), here.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_stages_go_with_a_killed_command() {
    if !cfg!(target_os = "linux") || !are_here(&["chrome/wasm"]) {
        println!("SKIPPED: it takes Linux and Chrome");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path(), 0);
    let mut child = matrix(folder.path(), &["chrome/wasm"], &["--shards", "2"]).spawn().unwrap();
    let holds_stages = |folder: &PathBuf| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "onnx")).count() == 2
    };
    until(2 * PATIENCE, "files of stages", || folders(folder.path()).iter().any(holds_stages)).await;
    let processes = descendants(child.id().unwrap());
    kill(child.id().unwrap());
    child.wait().await.unwrap();
    let nothing_is_left = || !processes.iter().any(|(pid, _)| lives(*pid)) && folders(folder.path()).is_empty();
    until(PATIENCE, "processes and folders to be gone", nothing_is_left).await;
}
