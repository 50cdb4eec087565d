//! The drivers: geckodriver with Firefox, WebKitWebDriver with MiniBrowser, and endpoints that run already.

use super::{
    BrowserError, RunningBrowser,
    display::Display,
    guard::Guard,
    launch::Launch,
    process::{LastWords, Process, Program},
    webdriver::{self, Local, OpenAs},
};
use crate::types::Browser;
use fantoccini::wd::Capabilities;
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::TcpListener;
use url::Url;

/// Launches geckodriver, and through it Firefox.
pub(super) async fn launch_firefox(
    launch: Launch,
    driver_binary: PathBuf,
    binary: PathBuf,
) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    let guard = Arc::new(Guard::start(launch.signals.sender.clone()).await?);
    let words = LastWords::default();
    within_launch_timeout(&launch, &words, async {
        let version = geckodriver_version(&launch, &driver_binary, &guard).await?;
        let mut args: Vec<OsString> =
            ["--port", "0", "--websocket-port", "0", "--profile-root"].into_iter().map(Into::into).collect();
        args.push(guard.folder().into());
        let mut driver = start(driver_binary.clone(), args, BTreeMap::new(), &guard, &words).await?;
        let address: SocketAddr =
            driver.wait_for_line(|line| line.split_once("Listening on ")?.1.trim().parse().ok()).await?;
        let options = firefox_options(&launch, Some(&forgiving(&binary, &guard)?));
        let capabilities = Capabilities::from_iter([("moz:firefoxOptions".into(), options)]);
        let local = Local { driver, display: Display::Users, guard, driver_name: format!("geckodriver {version}") };
        webdriver::connect(launch.clone(), &endpoint(address)?, capabilities, OpenAs::Tabs, Some(local)).await
    })
    .await
}

/// Firefox as a script that starts it without a variable that geckodriver insists on: with it, a tab that crashes takes
/// the whole browser along ("MOZ_CRASHREPORTER_SHUTDOWN is set, shutting down").
#[cfg(unix)]
fn forgiving(binary: &Path, guard: &Guard) -> Result<PathBuf, BrowserError> {
    use std::os::unix::{ffi::OsStrExt, fs::PermissionsExt};
    let path = guard.folder().join("firefox.sh");
    let quoted = binary.as_os_str().as_bytes().split(|byte| *byte == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]);
    let script = [b"#!/bin/sh\nunset MOZ_CRASHREPORTER_SHUTDOWN\nexec '", &quoted[..], b"' \"$@\"\n"].concat();
    let executable = || std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700));
    let written = std::fs::write(&path, script).and_then(|()| executable());
    let what = || "the script that starts Firefox could not be written".to_owned();
    written.map_err(|source| BrowserError::System { what: what(), source })?;
    Ok(path)
}

#[cfg(not(unix))]
fn forgiving(binary: &Path, _guard: &Guard) -> Result<PathBuf, BrowserError> {
    Ok(binary.to_owned())
}

/// Launches WebKitWebDriver (or safaridriver), and through it MiniBrowser (or Safari).
pub(super) async fn launch_webkit(
    launch: Launch,
    driver_binary: PathBuf,
    binary: PathBuf,
) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    let guard = Arc::new(Guard::start(launch.signals.sender.clone()).await?);
    let words = LastWords::default();
    within_launch_timeout(&launch, &words, async {
        let display = Display::open(launch.options.browser, launch.options.headless, &guard).await?;
        let mut env = launch.recipe.env.clone();
        display.describe(&mut env);
        let address = free_address().await?;
        let args = vec![format!("--port={}", address.port()).into()];
        let driver_name = driver_binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut driver = start(driver_binary.clone(), args, env, &guard, &words).await?;
        driver.wait_until_it_listens(address).await?;
        let mut capabilities = Capabilities::new();
        if driver_name == "WebKitWebDriver" {
            let options = json!({ "binary": binary, "args": launch.recipe.args });
            capabilities.insert("webkitgtk:browserOptions".into(), options);
        }
        let local = Local { driver, display, guard, driver_name };
        webdriver::connect(launch.clone(), &endpoint(address)?, capabilities, OpenAs::Windows, Some(local)).await
    })
    .await
}

/// Creates a session with an endpoint that runs already. What it launches is its own to end; of what happens to it,
/// only what a command runs into is noticed.
pub(super) async fn connect_remote(launch: Launch, url: Url) -> Result<Arc<dyn RunningBrowser>, BrowserError> {
    let words = LastWords::default();
    within_launch_timeout(&launch, &words, async {
        let args = json!({ "args": launch.recipe.args });
        let capabilities: Vec<(&str, Json)> = match launch.options.browser {
            Browser::Chrome => vec![("browserName", json!("chrome")), ("goog:chromeOptions", args)],
            Browser::Edge => vec![("browserName", json!("MicrosoftEdge")), ("ms:edgeOptions", args)],
            Browser::Firefox => {
                vec![("browserName", json!("firefox")), ("moz:firefoxOptions", firefox_options(&launch, None))]
            }
            Browser::Webkit => vec![],
        };
        let capabilities = capabilities.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let open_as = if launch.options.browser == Browser::Webkit { OpenAs::Windows } else { OpenAs::Tabs };
        webdriver::connect(launch.clone(), &url, capabilities, open_as, None).await
    })
    .await
}

async fn within_launch_timeout<T>(
    launch: &Launch,
    words: &LastWords,
    connect: impl Future<Output = Result<T, BrowserError>>,
) -> Result<T, BrowserError> {
    let after = launch.options.launch_timeout;
    tokio::time::timeout(after, connect).await.unwrap_or_else(|_| {
        Err(BrowserError::NeverConnected { browser: launch.options.browser, after, last_words: words.text() })
    })
}

async fn start(
    binary: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<String, String>,
    guard: &Arc<Guard>,
    words: &LastWords,
) -> Result<Process, BrowserError> {
    Process::start(Program { binary, args, env, without_env: Vec::new() }, guard, words.clone()).await
}

fn firefox_options(launch: &Launch, binary: Option<&Path>) -> Json {
    let mut options = json!({
        "args": launch.recipe.args,
        "prefs": launch.recipe.prefs,
        "env": launch.recipe.env,
    });
    if let Some(binary) = binary {
        options["binary"] = json!(binary);
    }
    options
}

/// The driver's version, when it is new enough.
async fn geckodriver_version(launch: &Launch, driver: &Path, guard: &Arc<Guard>) -> Result<String, BrowserError> {
    let mut asked =
        start(driver.into(), vec!["--version".into()], BTreeMap::new(), guard, &LastWords::default()).await?;
    let version = |line: &str| line.strip_prefix("geckodriver ")?.split_whitespace().next().map(str::to_owned);
    let found = asked.wait_for_line(version).await?;
    match &launch.driver_minimum {
        Some(needed) if numbers(&found) < numbers(needed) => Err(BrowserError::DriverTooOld {
            browser: launch.options.browser,
            driver: "geckodriver".into(),
            found,
            needed: needed.clone(),
            bring: launch.driver_bring.clone(),
        }),
        _ => Ok(found),
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

fn endpoint(address: SocketAddr) -> Result<Url, BrowserError> {
    let url = format!("http://{address}/");
    Url::parse(&url).map_err(|error| BrowserError::BadEndpoint { url, why: error.to_string() })
}

/// A port nobody listens on: WebKitWebDriver takes port 0, too, but does not say which it was given. Should somebody
/// else take the port first, the driver ends, which is an error of its own.
async fn free_address() -> Result<SocketAddr, BrowserError> {
    let taken = async { TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr() };
    taken.await.map_err(|source| BrowserError::System { what: "no port could be had for the driver".into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("0.9.0") < numbers("0.34.0"));
        assert!(numbers("1.0") > numbers("0.34.0"));
        assert!(numbers("0.34.0-beta") <= numbers("0.34.0"));
    }
}
