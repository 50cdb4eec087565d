//! Launches that cannot succeed: each ends with a typed error that says what helps, and leaves nothing behind.

use crate::{
    pages::options,
    processes::{PATIENCE, until},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tabfleet::{
    browser::{BrowserError, Catalogue, LaunchOptions, Overrides, launch},
    types::{Browser, BrowserId, Cause},
};
use tokio::sync::mpsc;

async fn error_of(options: LaunchOptions, binary: PathBuf, args: Vec<String>) -> BrowserError {
    let browser = options.browser;
    let overrides =
        Overrides { binaries: [(browser, binary)].into(), args: [(browser, args)].into(), ..Overrides::default() };
    let (sender, _signals) = mpsc::unbounded_channel();
    let launched = launch(&Catalogue::embedded().unwrap(), &overrides, BrowserId(1), &options, sender).await;
    launched.err().expect("this is no browser")
}

fn no_browser() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shared/no-browser.sh")
}

/// A file into which the program writes its process id and its folder, and the argument that makes it do so.
fn tell() -> (tempfile::TempPath, String) {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let arg = format!("--tell={}", path.display());
    (path, arg)
}

async fn nothing_is_left(told: &Path) {
    let told = std::fs::read_to_string(told).unwrap();
    let (pid, folder) = told.trim().split_once(' ').unwrap();
    let (pid, folder) = (PathBuf::from(format!("/proc/{pid}")), PathBuf::from(folder));
    until(PATIENCE, "process and folder to be gone", || !pid.exists() && !folder.exists()).await;
}

#[tokio::test]
async fn a_binary_that_is_not_there_is_told() {
    let error = error_of(options(Browser::Chrome), "/nowhere/chrome".into(), vec![]).await;
    assert!(matches!(error, BrowserError::NotExecutable { .. }), "{error}");
    assert_eq!(error.failure().cause, Cause::LaunchFailed);
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_browser_that_ends_at_once_is_told_with_its_last_words() {
    let (told, tell) = tell();
    let args = vec![tell, "--say=there is no libfoo.so here".into(), "--end=127".into()];
    let error = error_of(options(Browser::Chrome), no_browser(), args).await;
    let BrowserError::EndedEarly { status, last_words, .. } = &error else { panic!("{error}") };
    assert_eq!((status.as_str(), last_words.as_str()), ("exit status: 127", "there is no libfoo.so here"));
    nothing_is_left(&told).await;
}

#[tokio::test]
async fn a_browser_that_never_connects_is_told_with_its_last_words() {
    let (told, tell) = tell();
    let options = LaunchOptions { launch_timeout: Duration::from_secs(2), ..options(Browser::Chrome) };
    let error = error_of(options, no_browser(), vec![tell, "--say=thinking".into()]).await;
    let BrowserError::NeverConnected { after, last_words, .. } = &error else { panic!("{error}") };
    assert_eq!((*after, last_words.as_str()), (Duration::from_secs(2), "thinking"));
    assert!(error.hint().is_some());
    nothing_is_left(&told).await;
}

#[tokio::test]
async fn a_launch_that_is_given_up_leaves_nothing() {
    let (told, tell) = tell();
    let launching = tokio::spawn(error_of(options(Browser::Edge), no_browser(), vec![tell]));
    let has_told = || std::fs::read_to_string(&told).is_ok_and(|told| told.ends_with('\n'));
    until(PATIENCE, "the program to start", has_told).await;
    launching.abort();
    nothing_is_left(&told).await;
}
