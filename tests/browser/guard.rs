//! What the fleet starts does not outlive it, even when it is killed without warning.

use crate::{
    pages::start,
    processes::{PATIENCE, Remains, kill, resume, stop, until},
};
use std::{process::Stdio, time::Instant};
use tabfleet::types::Browser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const PLAY_THE_FLEET: &str = "TABFLEET_TEST_PLAY_THE_FLEET";

/// Not a test of its own: the child of the one below. Launches what is installed, tells each browser's process id,
/// and waits to be killed.
#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_that_will_be_killed() {
    if std::env::var_os(PLAY_THE_FLEET).is_none() {
        return;
    }
    let mut started = Vec::new();
    for browser in Browser::ALL {
        if let Some(browser) = start(*browser).await {
            println!("\nprocess {}", browser.browser.process_id().unwrap());
            started.push(browser);
        }
    }
    println!("\nlaunched");
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await.unwrap();
    // Nobody killed it: the test that started it is gone.
    for browser in started {
        browser.browser.close().await;
    }
}

#[tokio::test]
async fn nothing_outlives_a_killed_fleet() {
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: what is left is looked for in /proc");
        return;
    }
    let mut fleet = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["guard::the_fleet_that_will_be_killed", "--exact", "--nocapture"])
        .env(PLAY_THE_FLEET, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(fleet.stdout.take().unwrap()).lines();
    let mut remains = Vec::new();
    loop {
        let line = lines.next_line().await.unwrap().expect("the fleet ended before it was killed");
        println!("  {line}");
        if let Some(pid) = line.strip_prefix("process ") {
            remains.push(Remains::of_process(pid.parse().unwrap()));
        }
        if line == "launched" {
            break;
        }
    }
    if remains.is_empty() {
        println!("SKIPPED: no browser is installed");
        return;
    }
    let processes: Vec<usize> = remains.iter().map(|remains| remains.processes().len()).collect();
    println!("processes of each browser: {processes:?}");
    let before = Instant::now();
    kill(fleet.id().unwrap());
    fleet.wait().await.unwrap();
    let nothing_is_left = || remains.iter().all(Remains::nothing);
    until(PATIENCE, "processes and folders to be gone", nothing_is_left).await;
    println!("nothing left after {:?}", before.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_whose_guard_is_stopped_is_closed_all_the_same() {
    let Some(started) = start(Browser::Chrome).await else { return };
    let remains = Remains::of(&*started.browser);
    let guard = remains.guard();
    stop(guard);
    let closed = tokio::time::timeout(PATIENCE, started.browser.close()).await;
    let left = remains.processes();
    resume(guard);
    assert!(closed.is_ok(), "it waits for its guard for ever");
    assert_eq!(left, [] as [u32; 0], "the browser itself has ended");
    until(PATIENCE, "its folder to be gone", || remains.nothing()).await;
}
