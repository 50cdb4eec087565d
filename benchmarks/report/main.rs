//! How large the HTML report of 12,000 results is, and how long Chromium takes to open it: benchmarks/report/README.md.

#[path = "../../tests/shared/devtools.rs"]
mod devtools;
#[path = "../../tests/shared/processes.rs"]
mod processes;
mod sample;

use devtools::Page;
use serde_json::json;
use std::{path::Path, time::Duration};
use tabfleet::{
    browser::{Catalogue, LaunchOptions, Overrides, RunningBrowser, launch},
    report::{EarlierRuns, write_html},
    types::{Browser, BrowserId, TabId},
};

const CASES: usize = 1500;
const NIGHTS: usize = 30;
/// Each view is opened this often; an odd number, so that the median is one of them.
const TIMES: usize = 11;

/// The views and the element whose presence means that there is something to see.
const VIEWS: [(&str, &str, &str); 4] = [
    ("overview", "#/", "#targets article"),
    ("operators", "#/operators", "#operator-grid tbody tr"),
    ("cases", "#/cases", "#grid tbody tr"),
    ("changes", "#/changes", "#difference tbody tr"),
];

/// Notes the time since the navigation started at the end of the frame that first shows the element.
const WATCH: &str = r#"window.drawn = new Promise((resolve) => {
    const look = () => document.querySelector(SELECTOR) ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))) : setTimeout(look);
    look();
});"#;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut past = EarlierRuns::default();
    (0..NIGHTS).for_each(|night| past.add(format!("night {night}"), sample::run(CASES, night)));
    let report = sample::run(CASES, NIGHTS);
    write_html(&report, &past, folder.path()).expect("the report is written");
    let page = folder.path().join("index.html");
    let size = page.metadata().expect("the page is there").len();
    println!("{} results, and what {NIGHTS} runs before found: {:.2} MB\n", report.results.len(), size as f64 / 1e6);

    let (signals, _ended) = tokio::sync::mpsc::unbounded_channel();
    let catalogue = Catalogue::embedded().expect("the catalogue");
    let options = LaunchOptions { launch_timeout: Duration::from_secs(60), ..LaunchOptions::new(Browser::Chrome) };
    let browser = launch(&catalogue, &Overrides::default().from_env(), BrowserId(1), &options, signals).await;
    let browser = browser.expect("Chrome runs here");
    println!(
        "opened in {} {}, {TIMES} times each, from the navigation's start to the end of the frame that shows it\n",
        browser.identity().product,
        browser.identity().version
    );
    println!("| view | median ms | longest ms |\n|---|---:|---:|");
    for (number, (name, address, selector)) in VIEWS.into_iter().enumerate() {
        let mut times = opened(&*browser, number as u64, &page, address, selector).await;
        times.sort_by(f64::total_cmp);
        println!("| {name} | {:.0} | {:.0} |", times[TIMES / 2], times[TIMES - 1]);
    }
    browser.close().await;
}

async fn opened(browser: &dyn RunningBrowser, number: u64, page: &Path, address: &str, selector: &str) -> Vec<f64> {
    let mut times = Vec::new();
    for time in 0..TIMES as u64 {
        // A page of its own each time, so that nothing of the last one is left.
        let (tab, mark) = (TabId(1 + number * 100 + time), format!("data:text/html,{number}-{time}"));
        browser.open_tab(tab, &mark).await.expect("a tab opens");
        let mut devtools = Page::of(browser.process_id().expect("a local browser"), &mark).await;
        devtools.command("Page.enable", json!({})).await;
        let watch = WATCH.replace("SELECTOR", &json!(selector).to_string());
        devtools.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": watch })).await;
        let url = format!("file://{}?{number}-{time}{address}", page.display());
        devtools.command("Page.navigate", json!({ "url": url })).await;
        times.push(devtools.evaluate("window.drawn").await.as_f64().expect("a time"));
        browser.close_tab(tab).await.expect("the tab closes");
    }
    times
}
