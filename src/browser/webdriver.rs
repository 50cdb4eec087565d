//! Firefox, WebKit and remote browsers over WebDriver.
use super::{BrowserError, RunningBrowser, launch::Launch};
use std::{path::PathBuf, sync::Arc};
use url::Url;

fn not_yet(launch: &Launch) -> BrowserError {
    BrowserError::Refused {
        browser: launch.options.browser,
        message: "WebDriver is not connected yet".into(),
        last_words: String::new(),
    }
}
pub(super) async fn launch_firefox(
    l: Launch,
    _d: PathBuf,
    _b: PathBuf,
) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    Err(not_yet(&l))
}
pub(super) async fn launch_webkit(
    l: Launch,
    _d: PathBuf,
    _b: PathBuf,
) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    Err(not_yet(&l))
}
pub(super) async fn connect_remote(l: Launch, _u: Url) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    Err(not_yet(&l))
}
