//! The process is really killed and the disk is really full: the test binary runs itself again as the victim.

use super::{
    History, HistoryError, Recorder, RunInfo,
    tests::{model, succeeded},
};
use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const FILE: &str = "HISTORY_VICTIM_FILE";

fn victim(test: &str, file: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    let name = format!("history::crash_tests::{test}");
    command.args(["--exact", &name, "--nocapture"]).env(FILE, file).stdout(Stdio::piped());
    command
}

/// Not a test of its own: what [`a_killed_recorder_loses_less_than_a_second`] kills.
#[test]
fn records_until_killed() {
    let Some(file) = env::var_os(FILE).map(PathBuf::from) else { return };
    let recorder = Recorder::open(&file, RunInfo::detect("killed")).unwrap();
    let model = model();
    for job in 0.. {
        recorder.record(&succeeded(job, 1, &model));
        println!("\njob {job}");
        // The pace of a fast fleet, so that the kill comes at a moment of its own and not when a disk is full.
        thread::sleep(Duration::from_micros(100));
    }
}

/// Waits until the victim has recorded that job, kills it, and says when.
fn kill_at(mut victim: Child, job: u64) -> SystemTime {
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let job = format!("job {job}");
    assert!(lines.map_while(Result::ok).any(|line| line == job), "the victim ended by itself");
    let killed = SystemTime::now();
    victim.kill().unwrap();
    victim.wait().unwrap();
    killed
}

#[test]
fn a_killed_recorder_loses_less_than_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.duckdb");
    for run in 1..=10_u32 {
        let killed = kill_at(victim("records_until_killed", &file).spawn().unwrap(), 2_000 + 1_371 * u64::from(run));
        let history = History::open(&file).unwrap();
        let runs = history.runs().unwrap();
        assert_eq!(runs.len(), run as usize, "no run is lost");
        assert_eq!(runs.last().unwrap().ended, None, "and this one did not end");
        let (rows, first, last, at): (u64, u64, u64, i64) = history
            .connection()
            .query_row(
                "SELECT count(*)::UBIGINT, min(job), max(job), max(epoch_us(happened_at)) FROM performance_results WHERE run_id = ?",
                [run],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!((first, rows), (0, last + 1), "no row is missing between the first and the last");
        let lost = killed.duration_since(UNIX_EPOCH + Duration::from_micros(at as u64)).unwrap_or_default();
        // Less than a second on an idle machine; a test's machine may be late with everything.
        assert!(lost < Duration::from_secs(5), "run {run} lost its last {lost:?}");
    }
}

#[test]
fn another_process_with_the_file_open_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.duckdb");
    let mut holder = victim("records_until_killed", &file).spawn().unwrap();
    let pid = holder.id();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line == "job 1"));
    let refused = [History::open(&file).map(drop), Recorder::open(&file, RunInfo::detect("run")).map(drop)];
    holder.kill().unwrap();
    holder.wait().unwrap();
    for error in refused.map(Result::unwrap_err) {
        assert!(matches!(&error, HistoryError::InUse { holder, .. } if *holder == format!("process {pid}")), "{error}");
    }
}

/// Not a test of its own: what [`a_full_disk_is_named_and_what_was_written_stays`] runs on a disk of its own.
#[test]
fn records_onto_a_full_disk() {
    let Some(file) = env::var_os(FILE).map(PathBuf::from) else { return };
    let recorder = Recorder::open(&file, RunInfo::detect("full disk")).unwrap();
    let model = model();
    // Paced by the writer's own progress: events beyond what the channel holds are lost for another reason.
    for job in 0..150_000 {
        recorder.record(&succeeded(job, 1, &model));
        if job % 100 == 0 {
            thread::sleep(Duration::from_micros(500));
        }
    }
    // The run's end may fit again once the batch that did not is taken back.
    let failure = match recorder.close() {
        Ok(recorded) => {
            assert!(recorded.lost > 0, "{recorded:?}");
            recorded.failure
        }
        Err(error) => Some(error),
    };
    assert!(matches!(failure, Some(HistoryError::DiskFull { .. })), "{failure:?}");
    let runs = History::open(&file).unwrap().runs().unwrap();
    println!("\nkept: {}", runs[0].attempts > 0);
}

#[test]
fn a_full_disk_is_named_and_what_was_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let inner = victim("records_onto_a_full_disk", &folder.path().join("history.duckdb"));
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o size=6m none \"$0\" && exec \"$@\""]);
    command.arg(folder.path()).arg(inner.get_program()).args(inner.get_args());
    command.env(FILE, folder.path().join("history.duckdb"));
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if told.contains("unshare failed") || told.contains("mount failed") || told.contains("permission denied") {
        eprintln!("SKIPPED: this machine does not let a process mount a disk of its own: {told}");
        return;
    }
    assert!(output.status.success() && told.contains("kept: true"), "{told}");
}
