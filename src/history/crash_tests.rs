//! The process is really killed and the disk is really full: the test binary runs itself again as the victim.

use super::{
    History, HistoryError, Recorder, RunInfo,
    series_tests::file_with,
    tests::{model, succeeded},
};
use rustix::fs::{FlockOperation, fcntl_lock};
use std::{
    env,
    fs::File,
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

/// Not a test of its own: what is killed by the others here.
#[test]
fn records_until_killed() {
    let Some(file) = env::var_os(FILE).map(PathBuf::from) else { return };
    records_for_ever(&Recorder::open(&file, RunInfo::detect("killed")).unwrap());
}

fn records_for_ever(recorder: &Recorder) {
    let model = model();
    for job in 0.. {
        recorder.record(succeeded(job, 1, &model));
        if job % 100 == 1 {
            println!("\njob {job}");
            // The pace of a very fast fleet, 20,000 jobs a second: rows are written some three times a second.
            thread::sleep(Duration::from_millis(5));
        }
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

/// Not a test of its own: what [`a_file_that_another_process_is_just_making_is_left_to_it`] kills.
#[test]
fn locks_until_killed() {
    let Some(path) = env::var_os(FILE) else { return };
    let file = File::options().write(true).open(path).unwrap();
    // As DuckDB does, before it writes to a file that it has made.
    fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
    println!("\njob 0");
    loop {
        thread::park();
    }
}

#[test]
fn a_file_that_another_process_is_just_making_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.duckdb");
    File::create(&file).unwrap();
    let mut victim = victim("locks_until_killed", &file).spawn().unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "job 0"), "the victim ended by itself");
    for _ in 0..2 {
        let write = Recorder::open(&file, RunInfo::detect("run")).map(drop).unwrap_err();
        let read = History::open(&file).map(drop).unwrap_err();
        assert!(matches!((&write, &read), (HistoryError::InUse { .. }, HistoryError::InUse { .. })), "{write} {read}");
    }
    assert!(file.exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    Recorder::open(&file, RunInfo::detect("run")).unwrap().close().unwrap();
}

const KILLS: u64 = 100;
/// Files that recorders are killed at side by side; most of the time is spent waiting for the moment.
const FILES: u64 = 4;

#[test]
fn a_recorder_killed_a_hundred_times_loses_less_than_a_second_each_time() {
    thread::scope(|scope| {
        for lane in 0..FILES {
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("history.duckdb");
                for run in 1..=KILLS / FILES {
                    // At any moment of the first 0.6 s: before, while and after rows are written for the first time.
                    let job = (run * FILES + lane) * 1_371 % 12_000 / 100 * 100 + 1;
                    let killed = kill_at(victim("records_until_killed", &file).spawn().unwrap(), job);
                    is_whole(&file, run, killed);
                }
            });
        }
    });
}

/// No run is lost, and of the last one, which was killed then, only the last rows.
fn is_whole(file: &Path, run: u64, killed: SystemTime) {
    let history = History::open(file).unwrap();
    let runs = history.runs().unwrap();
    assert_eq!((runs.len() as u64, runs.last().unwrap().ended), (run, None));
    let (rows, first, last, at): (u64, Option<u64>, Option<u64>, i64) = history
        .connection()
        .query_row(
            "SELECT count(job)::UBIGINT, min(job), max(job), epoch_us(coalesce(max(happened_at), max(started_at))) \
             FROM runs LEFT JOIN performance_results USING (run_id) WHERE run_id = ?",
            [run],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(rows, last.map_or(0, |last| last + 1), "no row is missing between the first and the last");
    assert_eq!(first.unwrap_or(0), 0);
    let lost = killed.duration_since(UNIX_EPOCH + Duration::from_micros(at as u64)).unwrap_or_default();
    // Less than a second on an idle machine; a test's machine may be late with everything.
    assert!(lost < Duration::from_secs(5), "run {run} lost its last {lost:?}");
}

/// Not a test of its own: what [`recorders_killed_while_they_spool_leave_what_can_be_merged`] kills.
#[test]
fn spools_until_killed() {
    let Some(file) = env::var_os(FILE).map(PathBuf::from) else { return };
    let recorder = Recorder::open_or_spool(&file, RunInfo::detect("killed")).unwrap();
    assert_eq!(recorder.run_id(), None);
    records_for_ever(&recorder);
}

#[test]
fn recorders_killed_while_they_spool_leave_what_can_be_merged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.duckdb");
    let holder = Recorder::open(&file, RunInfo::detect("holder")).unwrap();
    for run in 1..=10 {
        kill_at(victim("spools_until_killed", &file).spawn().unwrap(), run * 1_371 / 100 * 100 + 1);
    }
    holder.close().unwrap();
    assert_eq!(History::merge(&file).unwrap().runs, (2..=11).collect::<Vec<_>>());
    let history = History::open(&file).unwrap();
    let (whole, results): (i64, u64) = history
        .connection()
        .query_row(
            "SELECT count(*) FILTER (rows = jobs), sum(rows)::UBIGINT \
             FROM (SELECT count(*) AS rows, max(job) + 1 AS jobs FROM performance_results GROUP BY run_id)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let with_results = history.runs().unwrap().iter().filter(|run| run.attempts > 0).count();
    assert!(whole == with_results as i64 && results > 0, "{whole} of {with_results} runs are whole");
}

/// Not a test of its own: what [`a_roll_up_that_is_killed_loses_and_doubles_nothing`] kills.
#[test]
fn rolls_up_until_killed() {
    let Some(file) = env::var_os(FILE).map(PathBuf::from) else { return };
    println!("\nrolling up");
    History::roll_up(&file, SystemTime::now()).unwrap();
    println!("\nrolled up");
}

/// Attempts, failed ones, and the sum of what they took, whether rolled up or not.
const WHOLE: &str = "SELECT (SELECT count(*) FROM performance_results) + (SELECT sum(attempts_rolled_up) FROM runs), \
    (SELECT count(*) FILTER (NOT success) FROM performance_results) + (SELECT sum(failures_rolled_up) FROM runs), \
    round(coalesce((SELECT sum(run_ms) FILTER (success) FROM performance_results), 0) + \
    coalesce((SELECT sum(count * mean) FROM daily_sketches WHERE metric = 'run_ms'), 0))::BIGINT";

#[test]
fn a_roll_up_that_is_killed_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.duckdb");
    // A roll-up of so many takes long enough to be killed anywhere in it.
    file_with(
        &file,
        "INSERT INTO runs (run_id, command, tabfleet, started_at, os, arch, cores) \
             SELECT i, 'bench', '0.1.0', TIMESTAMP '2026-01-01' + to_days(i::INTEGER), 'linux', 'x86_64', 2 FROM range(1, 41) t(i); \
         INSERT INTO performance_results (run_id, happened_at, job, attempt, tab, target, model, success, run_ms) \
             SELECT i, TIMESTAMP '2026-01-01' + to_days(i::INTEGER), s, 1, 1, 'chrome/wasm', 'm' || s % 20, s % 10 > 0, s % 7 \
             FROM range(1, 41) t(i), range(5000) u(s)",
    );
    let expected = super::tests::query(&file, WHOLE);
    let mut killed = 0;
    for delay in (0..40).map(|step| Duration::from_millis(step * step)) {
        let mut victim = victim("rolls_up_until_killed", &file).spawn().unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line == "rolling up"));
        // Nothing is waited for here: the moment of the kill is what varies.
        thread::sleep(delay);
        victim.kill().unwrap();
        victim.wait().unwrap();
        let ended = lines.map_while(Result::ok).any(|line| line == "rolled up");
        killed += u32::from(!ended);
        assert_eq!(super::tests::query(&file, WHOLE), expected, "killed after {delay:?}");
        if ended {
            break;
        }
    }
    assert!(killed >= 3, "only {killed} were killed before they had ended");
    History::roll_up(&file, SystemTime::now()).unwrap();
    assert_eq!(super::tests::query(&file, WHOLE), expected);
    assert_eq!(super::tests::query(&file, "SELECT count(*) FROM performance_results"), "0");
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
        recorder.record(succeeded(job, 1, &model));
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
