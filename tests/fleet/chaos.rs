//! A fleet that is broken on purpose answers every job once and rightly, and tells of each injection.

use crate::{
    command::run,
    fleets::{Events, PATIENCE, builder},
    models::{self, count, counting},
};
use std::{path::Path, time::Duration};
use tabfleet::{
    chaos::{self, ChaosOptions},
    onnx::Suite,
    report::ChaosReport,
    types::{EventKind, FailureMode, Tensor},
};

/// Cases that take some tenths of a second each, so that there is always one under way to be hit.
fn suite(folder: &Path) -> Suite {
    let suite = folder.join("suite");
    for number in 1..=3_i64 {
        let trips = number * 20_000;
        let y = ("y".to_owned(), Tensor::from_values([1], &[trips as f32]).unwrap());
        models::save_case(&suite, &format!("count-{number}"), &counting(), &count(trips, 1.0), &[y]);
    }
    Suite::open(&suite).unwrap()
}

fn linux() -> bool {
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: processes are found through /proc, which only Linux has");
    }
    cfg!(target_os = "linux")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_no_job_is_lost_wrong_or_doubled() {
    let Some(builder) = builder(&["chrome/wasm"]).filter(|_| linux()) else { return };
    let fleet = builder.tabs_per_browser(2).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let modes = [FailureMode::TabCrash, FailureMode::BrowserKill, FailureMode::SocketCut];
    let options = ChaosOptions {
        modes: modes.into(),
        rate: 0.5,
        each: Some(1),
        duration: PATIENCE,
        seed: 11,
        in_hand: 6,
        attempt_timeout: PATIENCE,
        deadline: 2 * PATIENCE,
        ..ChaosOptions::default()
    };
    let cases = suite(folder.path()).cases;
    let report = chaos::run(&fleet, &cases, &options, std::future::pending(), |notice| match notice {
        chaos::Notice::Time(_) => {}
        notice => println!("{notice:?}"),
    });
    let report = report.await.unwrap();
    fleet.close().await.unwrap();
    assert!(report.is_good(), "{:#?}", report.bad_jobs);
    assert_eq!((report.missed_events, report.interrupted, report.jobs.unfinished), (0, false, 0));
    assert_eq!(report.jobs.answered, report.jobs.submitted);
    assert!(report.jobs.retried > 0, "nothing was hit: {:?}", report.injections);
    for (mode, row) in modes.iter().zip(&report.modes) {
        assert_eq!((row.mode, row.injected, row.detected, row.recovered), (*mode, 1, 1, 1), "{row:?}");
        let (detection, recovery) = (row.detection_p99_ms.unwrap(), row.recovery_p99_ms.unwrap());
        assert!(0.0 < detection && detection < recovery, "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_tells_what_there_is() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut events = Events::of(&fleet);
    // Each of the three cases is tried once first.
    let stop = async {
        for _ in 0..8 {
            let ended = |kind: &EventKind| matches!(kind, EventKind::JobEnded { .. }).then_some(());
            events.next("a job to end", ended).await;
        }
    };
    let options = ChaosOptions { modes: [FailureMode::SocketCut].into(), rate: 0.0, ..ChaosOptions::default() };
    let report = chaos::run(&fleet, &suite(folder.path()).cases, &options, stop, |_| ()).await.unwrap();
    assert!(report.interrupted && report.is_good(), "{report:#?}");
    let jobs = &report.jobs;
    assert!(jobs.answered > 0 && jobs.unfinished > 0, "{jobs:?}");
    assert_eq!(jobs.answered + jobs.unfinished, jobs.submitted);
    assert!(report.modes[0].skipped.as_ref().unwrap().contains("its turn did not come"), "{:?}", report.modes);
    assert!(report.elapsed_ms < Duration::from_secs(60).as_secs_f64() * 1e3);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_and_writes_what_it_broke() {
    if builder(&["chrome/wasm"]).is_none() || !linux() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path());
    let args = ["chaos", "--targets", "chrome/wasm", "--suite", "suite", "--json", "out/chaos.json", "--seed", "5"];
    let some = ["--inject", "socket-cut,driver-kill", "--rate", "1", "--duration", "4s", "--history", "h.duckdb"];
    let ended = run(folder.path(), &[&args[..], &some[..]].concat()).await;
    println!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for said in ["socket-cut", "socket-closed", "it is driven over CDP", "0 lost, 0 wrong, 0 doubled", "(seed 5)"] {
        assert!(ended.out.contains(said), "{said} is missing: {}", ended.out);
    }
    assert!(!folder.path().join("h.duckdb").exists(), "what is measured of broken browsers would be taken for theirs");
    let json = std::fs::read(folder.path().join("out/chaos.json")).unwrap();
    let report: ChaosReport = serde_json::from_slice(&json).unwrap();
    assert!(report.modes.iter().any(|row| row.mode == FailureMode::SocketCut && row.injected > 0), "{report:#?}");

    for (given, said) in [("tab-crash,earthquake", "one of tab-crash browser-kill"), ("", "one of tab-crash")] {
        let refused = run(folder.path(), &["chaos", "--inject", given]).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    let refused = run(folder.path(), &["chaos", "--rate", "1.5"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("a number from 0 to 1"), "{}", refused.err);
}
