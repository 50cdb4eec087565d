//! Firefox through geckodriver and WebKitGTK's MiniBrowser through WebKitWebDriver: real browsers, real ends.

use crate::{
    missing::skip,
    pages::{Pages, Started, options, start},
    processes::{PATIENCE, Remains, kill, name_of, until},
};
use std::{process::Stdio, time::Instant};
use tabfleet::{
    browser::{BrowserError, BrowserSignalKind, Catalogue, DriverKind, Found, Overrides, launch},
    types::{Browser, BrowserId, Cause, TabId},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc,
};

async fn tabs_open_restart_and_close_and_nothing_is_left(slot: Browser) {
    let Some(Started { browser, mut signals }) = start(slot).await else { return };
    let identity = browser.identity().clone();
    assert!(!identity.stand_in && identity.headless, "{identity:?}");
    assert!(identity.version.contains('.') && identity.driver.contains('.'), "{identity:?}");

    let mut pages = Pages::serve().await;
    for tab in 1..=3 {
        let before = Instant::now();
        browser.open_tab(TabId(tab), &pages.url).await.unwrap();
        pages.told("loaded").await;
        println!("{slot}: tab opened in {:?}", before.elapsed());
    }
    let before = Instant::now();
    browser.restart_worker(TabId(2)).await.unwrap();
    println!("{slot}: restarted in {:?}", before.elapsed());
    pages.told("restarted").await;
    for tab in 1..=3 {
        browser.close_tab(TabId(tab)).await.unwrap();
    }
    assert!(matches!(browser.close_tab(TabId(1)).await, Err(BrowserError::NoSuchTab { tab: TabId(1) })));

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
async fn firefox_tabs_open_restart_and_close_and_nothing_is_left() {
    tabs_open_restart_and_close_and_nothing_is_left(Browser::Firefox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_tabs_open_restart_and_close_and_nothing_is_left() {
    tabs_open_restart_and_close_and_nothing_is_left(Browser::Webkit).await;
}

async fn a_killed_browser_is_noticed(slot: Browser) {
    let Some(Started { browser, mut signals }) = start(slot).await else { return };
    let pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    let before = Instant::now();
    kill(browser.process_id().unwrap());
    let signal = signals.next().await;
    println!("{slot}: browser's end noticed in {:?}: {signal:?}", before.elapsed());
    assert!(matches!(signal, BrowserSignalKind::Exited { .. }), "{signal:?}");
    let error = browser.open_tab(TabId(2), &pages.url).await.unwrap_err();
    assert_eq!(error.failure().cause, Cause::BrowserExited, "{error}");
    browser.close().await;
    assert_eq!(signals.so_far(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_firefox_is_noticed() {
    a_killed_browser_is_noticed(Browser::Firefox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_webkit_is_noticed() {
    a_killed_browser_is_noticed(Browser::Webkit).await;
}

async fn a_killed_driver_is_noticed_and_takes_its_browser_along(slot: Browser, driver: &str) {
    let Some(Started { browser, mut signals }) = start(slot).await else { return };
    let pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    let remains = Remains::of(&*browser);
    let driver = remains.processes().into_iter().find(|pid| driver.starts_with(&name_of(*pid))).unwrap();
    let before = Instant::now();
    kill(driver);
    let signal = signals.next().await;
    println!("{slot}: driver's end noticed in {:?}: {signal:?}", before.elapsed());
    assert!(matches!(signal, BrowserSignalKind::DriverExited { .. }), "{signal:?}");
    let error = browser.open_tab(TabId(2), &pages.url).await.unwrap_err();
    assert_eq!(error.failure().cause, Cause::DriverExited, "{error}");
    drop(browser);
    until(PATIENCE, "everything to end", || remains.nothing()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_geckodriver_is_noticed() {
    a_killed_driver_is_noticed_and_takes_its_browser_along(Browser::Firefox, "geckodriver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_webkitwebdriver_is_noticed() {
    a_killed_driver_is_noticed_and_takes_its_browser_along(Browser::Webkit, "WebKitWebDriver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_runs_already_is_used() {
    let catalogue = Catalogue::embedded().unwrap();
    let driver = match catalogue.find(Browser::Firefox, &Overrides::default().from_env()) {
        Ok(Found { driver: DriverKind::WebDriver { driver_binary }, .. }) => driver_binary,
        Ok(other) => panic!("{other:?}"),
        Err(error) => return skip(Browser::Firefox, &error),
    };
    let mut endpoint = tokio::process::Command::new(driver)
        .args(["--port", "0", "--websocket-port", "0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(endpoint.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("geckodriver ended");
        if let Some((_, address)) = line.split_once("Listening on ") {
            break address.to_owned();
        }
    };
    let url = format!("http://{address}/").parse().unwrap();
    let overrides = Overrides { webdriver: [(Browser::Firefox, url)].into(), ..Overrides::default() };
    let (sender, _signals) = mpsc::unbounded_channel();
    let options = options(Browser::Firefox);
    let browser = launch(&catalogue, &overrides, BrowserId(1), &options, sender).await.unwrap();
    println!("remote: {:?}", browser.identity());
    assert_eq!(browser.process_id(), None);
    assert!(browser.identity().driver.starts_with("geckodriver "), "{:?}", browser.identity());
    let mut pages = Pages::serve().await;
    browser.open_tab(TabId(1), &pages.url).await.unwrap();
    pages.told("loaded").await;
    browser.close().await;
    let error = browser.open_tab(TabId(2), &pages.url).await.unwrap_err();
    assert!(matches!(error, BrowserError::Exited { .. }), "{error}");
}
