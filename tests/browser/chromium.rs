//! Chrome, and Edge or its stand-in, over CDP: real browsers, real crashes.

use crate::{
    pages::{Pages, Started, start},
    processes::{PATIENCE, Remains, descendants, kill, ticks_of, until},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tabfleet::{
    browser::{BrowserError, BrowserSignalKind, GpuMode, RunningBrowser},
    types::{Browser, Cause, TabId},
};

/// All renderers: Chromium keeps some of its own (a spare one, its address bar's) besides the tabs'.
fn renderers(browser: &dyn RunningBrowser) -> Vec<u32> {
    let processes = descendants(browser.process_id().unwrap());
    processes.into_iter().filter(|(_, command)| command.contains("--type=renderer")).map(|(pid, _)| pid).collect()
}

async fn says_what_it_is_and_leaves_nothing(slot: Browser) {
    let Some(Started { browser, mut signals }) = start(slot).await else { return };
    let identity = browser.identity();
    assert_eq!(identity.browser, slot);
    assert!(identity.version.split('.').count() == 4, "{identity:?}");
    assert!(identity.driver.starts_with("cdp "), "{identity:?}");
    assert_eq!(identity.stand_in, !identity.product.contains("Edg") && slot == Browser::Edge);
    assert_ne!(browser.gpu(), GpuMode::Auto);

    let remains = Remains::of(&*browser);
    assert!(remains.folder_exists() && remains.processes().len() > 1);
    let before = Instant::now();
    browser.close().await;
    println!("{slot}: closed in {:?}", before.elapsed());
    assert!(remains.nothing(), "{:?}", remains.processes());
    browser.close().await;
    assert_eq!(signals.so_far(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn chrome_says_what_it_is_and_leaves_nothing() {
    says_what_it_is_and_leaves_nothing(Browser::Chrome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_says_what_it_is_and_leaves_nothing() {
    says_what_it_is_and_leaves_nothing(Browser::Edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_open_side_by_side_restart_and_close() {
    let Some(Started { browser, mut signals }) = start(Browser::Chrome).await else { return };
    let mut pages = Pages::serve().await;
    let before = Instant::now();
    let opened = futures::future::join_all((1..=4).map(|tab| browser.open_tab(TabId(tab), &pages.url))).await;
    println!("four tabs opened in {:?}", before.elapsed());
    opened.into_iter().for_each(|opened| opened.unwrap());
    for _ in 0..4 {
        pages.told("loaded").await;
    }
    let before = Instant::now();
    browser.restart_worker(TabId(3)).await.unwrap();
    println!("restarted in {:?}", before.elapsed());
    pages.told("restarted").await;
    for tab in 1..=4 {
        browser.close_tab(TabId(tab)).await.unwrap();
    }
    assert!(matches!(browser.close_tab(TabId(1)).await, Err(BrowserError::NoSuchTab { tab: TabId(1) })));
    assert!(matches!(browser.restart_worker(TabId(9)).await, Err(BrowserError::NoSuchTab { tab: TabId(9) })));
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_there_is_an_error_and_leaves_no_tab() {
    let Some(Started { browser, mut signals }) = start(Browser::Chrome).await else { return };
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let error = browser.open_tab(TabId(1), &format!("http://{free}/")).await.unwrap_err();
    assert_eq!(error.failure().cause, Cause::TabFailed, "{error}");
    assert!(matches!(browser.close_tab(TabId(1)).await, Err(BrowserError::NoSuchTab { .. })));
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

async fn a_crash_is_noticed_at_once(slot: Browser) {
    let Some(Started { browser, mut signals }) = start(slot).await else { return };
    let mut pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    browser.open_tab(TabId(2), &pages.url).await.unwrap();
    pages.told("loaded").await;
    let before = Instant::now();
    renderers(&*browser).into_iter().for_each(kill);
    let mut crashed = Vec::new();
    for _ in 0..2 {
        let signal = signals.next().await;
        println!("{slot}: crash noticed in {:?}: {signal:?}", before.elapsed());
        let BrowserSignalKind::TabCrashed { tab, .. } = signal else { panic!("{signal:?}") };
        crashed.push(tab);
    }
    crashed.sort();
    assert_eq!(crashed, [TabId(1), TabId(2)]);
    // Idle, it takes 25 ms; the bound leaves room for a busy machine, but not for the five seconds of a Chromium whose
    // stderr is not read.
    assert!(before.elapsed() < Duration::from_millis(4500));
    for tab in crashed {
        browser.close_tab(tab).await.unwrap();
    }
    browser.open_tab(TabId(3), &pages.url).await.unwrap();
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_noticed_at_once_in_chrome() {
    a_crash_is_noticed_at_once(Browser::Chrome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_noticed_at_once_in_edge() {
    a_crash_is_noticed_at_once(Browser::Edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_leaves_is_noticed() {
    let Some(Started { browser, mut signals }) = start(Browser::Chrome).await else { return };
    let pages = Pages::serve().await;
    browser.open_tab(TabId(1), &format!("{}leaving", pages.url)).await.unwrap();
    browser.restart_worker(TabId(1)).await.unwrap();
    let elsewhere = format!("{}elsewhere", pages.url);
    assert_eq!(signals.next().await, BrowserSignalKind::TabNavigated { tab: TabId(1), url: elsewhere });
    browser.close_tab(TabId(1)).await.unwrap();
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_somebody_closes_is_noticed() {
    let Some(Started { browser, mut signals }) = start(Browser::Chrome).await else { return };
    let remains = Remains::of(&*browser);
    let pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    let targets: serde_json::Value = serde_json::from_str(&remains.ask_devtools("/json/list").await).unwrap();
    let ours = targets.as_array().unwrap().iter().find(|target| target["url"] == pages.url.as_str()).unwrap();
    remains.ask_devtools(&format!("/json/close/{}", ours["id"].as_str().unwrap())).await;
    assert_eq!(signals.next().await, BrowserSignalKind::TabClosed { tab: TabId(1) });
    browser.close_tab(TabId(1)).await.unwrap();
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_hangs_can_be_closed_and_hinders_no_other() {
    let Some(Started { browser, mut signals }) = start(Browser::Chrome).await else { return };
    let mut pages = Pages::serve().await;
    browser.open_tab(TabId(1), &format!("{}hanging", pages.url)).await.unwrap();
    let hanging = browser.restart_worker(TabId(1));
    let opening = async {
        browser.open_tab(TabId(2), &pages.url).await.unwrap();
        pages.told("loaded").await;
    };
    let (hung, ()) = tokio::join!(hanging, opening);
    assert_eq!(hung.unwrap_err().failure().cause, Cause::TabFailed);
    // It has been running for as long as the command was waited for.
    let renderer = renderers(&*browser).into_iter().max_by_key(|pid| ticks_of(*pid)).unwrap();
    let before = Instant::now();
    browser.close_tab(TabId(1)).await.unwrap();
    let gone = || !Path::new(&format!("/proc/{renderer}")).exists();
    until(PATIENCE, "the hung renderer to end", gone).await;
    println!("hung tab gone after {:?}", before.elapsed());
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_browser_is_noticed_and_nothing_of_it_is_left() {
    let Some(Started { browser, mut signals }) = start(Browser::Chrome).await else { return };
    let pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    let pid = browser.process_id().unwrap();
    let remains = Remains::of(&*browser);
    let before = Instant::now();
    kill(pid);
    let signal = signals.next().await;
    println!("browser's end noticed in {:?}: {signal:?}", before.elapsed());
    let BrowserSignalKind::Exited { status, .. } = signal else { panic!("{signal:?}") };
    assert!(status.contains("signal: 9"), "{status}");
    until(PATIENCE, "its processes to end", || remains.processes().is_empty()).await;
    let error = browser.open_tab(TabId(2), &pages.url).await.unwrap_err();
    assert_eq!(error.failure().cause, Cause::BrowserExited, "{error}");
    browser.close().await;
}
