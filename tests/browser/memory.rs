//! The memory of a browser, as the system counts it.

use crate::{
    pages::{Pages, Started, start},
    processes::descendants,
};
use std::time::{Duration, Instant};
use tabfleet::{
    browser::tree_memory,
    types::{Browser, TabId},
};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_holds_200_mb_is_seen_to() {
    if !cfg!(target_os = "linux") {
        assert_eq!(tree_memory(std::process::id()), None);
        println!("SKIPPED: only Linux tells of memory");
        return;
    }
    let Some(Started { browser, .. }) = start(Browser::Chrome).await else { return };
    let mut pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    pages.told("loaded").await;
    let pid = browser.process_id().unwrap();
    let before = tree_memory(pid).unwrap();
    println!("{} MiB in {} processes", before / MIB, descendants(pid).len() + 1);
    assert!((50 * MIB..4096 * MIB).contains(&before), "{before}");

    browser.open_tab(TabId(2), &format!("{}heavy", pages.url)).await.unwrap();
    pages.told("held").await;
    let after = tree_memory(pid).unwrap();
    println!("{} MiB with 200 MB held", after / MIB);
    assert!(after > before + 150 * MIB, "{before} {after}");

    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let start = Instant::now();
            tree_memory(pid).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("read in {:?} (median), {:?} (slowest)", times[10], times[19]);
    browser.close().await;
    assert_eq!(tree_memory(pid), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_driver_launched_counts() {
    for slot in [Browser::Firefox, Browser::Webkit] {
        let Some(Started { browser, .. }) = start(slot).await else { continue };
        let memory = browser.process_id().and_then(tree_memory).unwrap();
        println!("{slot}: {} MiB", memory / MIB);
        assert!((50 * MIB..4096 * MIB).contains(&memory), "{memory}");
        browser.close().await;
    }
}
