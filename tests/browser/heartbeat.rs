//! Browsers and tabs that are asked whether they are there: those that answer, and those that hang.

use crate::{
    pages::{Pages, Started, start, start_with},
    processes::{PATIENCE, Remains, resume, stop, until, within},
};
use std::time::{Duration, Instant};
use tabfleet::{
    browser::{BrowserError, Heartbeat, LaunchOptions},
    types::{Browser, Cause, TabId},
};

/// How long what hangs is waited for. What does not answers sooner, on a busy machine, too.
const SOON: Duration = Duration::from_secs(5);

async fn answers_until_it_hangs(slot: Browser) {
    let options = LaunchOptions { command_timeout: SOON, ..crate::pages::options(slot) };
    let Some(Started { browser, mut signals }) = start_with(&options).await else { return };
    for _ in 0..5 {
        let before = Instant::now();
        assert_eq!(browser.heartbeat().await.unwrap(), Heartbeat::Answered);
        println!("{slot}: heartbeat answered in {:?}", before.elapsed());
    }
    let pid = browser.process_id().unwrap();
    let remains = Remains::of(&*browser);
    stop(pid);
    let before = Instant::now();
    let error = browser.heartbeat().await.unwrap_err();
    println!("{slot}: hang noticed in {:?}: {error}", before.elapsed());
    assert!(matches!(error, BrowserError::Hung { after, .. } if after == SOON), "{error}");
    assert_eq!(error.failure().cause, Cause::DriverHung);
    assert!(before.elapsed() < 2 * SOON);

    resume(pid);
    let answered = async { while !matches!(browser.heartbeat().await, Ok(Heartbeat::Answered)) {} };
    within(PATIENCE, "an answer after the hang", answered).await;
    assert_eq!(signals.so_far(), []);

    stop(pid);
    browser.close().await;
    until(PATIENCE, "everything to end", || remains.nothing()).await;
    let error = browser.heartbeat().await.unwrap_err();
    assert!(matches!(error, BrowserError::Exited { .. } | BrowserError::DriverGone { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chrome_answers_until_it_hangs() {
    answers_until_it_hangs(Browser::Chrome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_answers_until_it_hangs() {
    answers_until_it_hangs(Browser::Edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_answers_until_it_hangs() {
    answers_until_it_hangs(Browser::Firefox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_answers_until_it_hangs() {
    answers_until_it_hangs(Browser::Webkit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_answers_until_it_hangs_and_the_browser_still_does() {
    let options = LaunchOptions { command_timeout: SOON, ..crate::pages::options(Browser::Chrome) };
    let Some(Started { browser, mut signals }) = start_with(&options).await else { return };
    let mut pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    pages.told("loaded").await;
    assert_eq!(browser.tab_heartbeat(TabId(1)).await.unwrap(), Heartbeat::Answered);
    let nowhere = browser.tab_heartbeat(TabId(9)).await.unwrap_err();
    assert!(matches!(nowhere, BrowserError::NoSuchTab { tab: TabId(9) }), "{nowhere}");

    browser.open_tab(TabId(2), &format!("{}hanging", pages.url)).await.unwrap();
    browser.restart_worker(TabId(2)).await.unwrap_err();
    let error = browser.tab_heartbeat(TabId(2)).await.unwrap_err();
    assert_eq!(error.failure().cause, Cause::TabFailed, "{error}");
    assert_eq!(browser.tab_heartbeat(TabId(1)).await.unwrap(), Heartbeat::Answered);
    assert_eq!(browser.heartbeat().await.unwrap(), Heartbeat::Answered);

    browser.open_tab(TabId(3), &format!("{}elsewhere", pages.url)).await.unwrap();
    let error = browser.tab_heartbeat(TabId(3)).await.unwrap_err();
    assert!(matches!(&error, BrowserError::Tab { message, .. } if message.contains("not the harness page")), "{error}");
    assert_eq!(signals.so_far(), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdriver_session_that_is_busy_is_not_asked() {
    let Some(Started { browser, .. }) = start(Browser::Firefox).await else { return };
    let pages = Pages::serve().await;
    let opening = browser.open_tab(TabId(1), &pages.url);
    let meanwhile = async {
        // The other half of the join has taken the session by now: it was polled first.
        assert_eq!(browser.heartbeat().await.unwrap(), Heartbeat::NotAsked);
    };
    let (opened, ()) = tokio::join!(biased; opening, meanwhile);
    opened.unwrap();
    assert_eq!(browser.heartbeat().await.unwrap(), Heartbeat::Answered);
    assert_eq!(browser.tab_heartbeat(TabId(1)).await.unwrap(), Heartbeat::NotAsked);
    browser.close().await;
}
