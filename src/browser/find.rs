//! Finding browsers and drivers on this machine.

use super::{
    BrowserError,
    catalogue::{BrowserEntry, DriverName, EngineEntry},
};
use crate::types::Browser;
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};
use url::Url;

/// What the user names himself, per slot.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The binary to launch.
    pub binaries: BTreeMap<Browser, PathBuf>,
    /// Arguments added to the catalogue's.
    pub args: BTreeMap<Browser, Vec<String>>,
    /// A WebDriver endpoint to use instead of launching anything.
    pub webdriver: BTreeMap<Browser, Url>,
}

impl Overrides {
    /// Adds what the environment names and is not set yet: `TABFLEET_CHROME_BINARY`, `TABFLEET_EDGE_BINARY`,
    /// `TABFLEET_FIREFOX_BINARY`, `TABFLEET_WEBKIT_BINARY`.
    #[must_use]
    pub fn from_env(mut self) -> Self {
        for browser in Browser::ALL {
            if let Some(path) = env::var_os(Self::binary_variable(*browser)).filter(|path| !path.is_empty()) {
                self.binaries.entry(*browser).or_insert_with(|| path.into());
            }
        }
        self
    }

    pub(super) fn binary_variable(browser: Browser) -> String {
        format!("TABFLEET_{}_BINARY", browser.name().to_uppercase())
    }
}

/// A browser that was found, and how it will be driven.
#[derive(Clone, Debug)]
pub struct Found {
    /// The slot.
    pub browser: Browser,
    /// The binary; `None` when a remote WebDriver endpoint is used.
    pub binary: Option<PathBuf>,
    /// How it will be driven.
    pub driver: DriverKind,
}

/// How a browser is driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// Over its own DevTools socket.
    Cdp,
    /// Through a driver launched for it.
    WebDriver {
        /// The driver's binary.
        driver_binary: PathBuf,
    },
    /// Through a WebDriver endpoint that runs already.
    RemoteWebDriver {
        /// The endpoint.
        url: Url,
    },
}

pub(super) fn find(
    browser: Browser,
    entry: &BrowserEntry,
    engine: &EngineEntry,
    overrides: &Overrides,
) -> Result<Found, BrowserError> {
    if let Some(url) = overrides.webdriver.get(&browser) {
        // fantoccini is built without TLS: everything the fleet drives is on the loopback or a trusted network.
        if url.scheme() != "http" {
            return Err(BrowserError::BadEndpoint { url: url.to_string(), why: "only http:// is supported".into() });
        }
        return Ok(Found { browser, binary: None, driver: DriverKind::RemoteWebDriver { url: url.clone() } });
    }
    let binary = match overrides.binaries.get(&browser) {
        Some(path) if is_executable(path) => path.clone(),
        Some(path) => return Err(BrowserError::NotExecutable { browser, path: path.clone() }),
        None => look_for(&entry.names, entry.places.here()).map_err(|looked_for| BrowserError::NotFound {
            browser,
            looked_for,
            bring: entry.bring.here().clone(),
        })?,
    };
    let driver = match engine.driver {
        DriverName::Cdp => DriverKind::Cdp,
        DriverName::Geckodriver | DriverName::WebKitWebDriver => DriverKind::WebDriver {
            driver_binary: look_for(&engine.driver_names, engine.driver_places.here()).map_err(|looked_for| {
                BrowserError::DriverNotFound {
                    browser,
                    driver: engine.driver_names.join(" or "),
                    looked_for,
                    bring: engine.driver_bring.here().clone(),
                }
            })?,
        },
    };
    Ok(Found { browser, binary: Some(binary), driver })
}

/// The first executable among `names` on PATH and `places`; else everything that was looked for.
fn look_for(names: &[String], places: &[String]) -> Result<PathBuf, Vec<String>> {
    let on_path = names.iter().filter_map(|name| on_path(name));
    let in_places = places.iter().flat_map(|place| resolve(place)).filter(|path| is_executable(path));
    on_path.chain(in_places).next().ok_or_else(|| {
        let names = names.iter().map(|name| format!("{name} on PATH"));
        names.chain(places.iter().cloned()).collect()
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let name = if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() };
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(&name)).find(|path| is_executable(path))
}

/// Where a place of the catalogue may be. Those under `drivers` belong to the project and are looked for in each folder
/// that may be the project's: the one it was built in, the one the executable lies in, the current one.
fn resolve(place: &str) -> Vec<PathBuf> {
    if let Some(rest) = place.strip_prefix("~/") {
        return env::home_dir().map(|home| home.join(rest)).into_iter().collect();
    }
    if let Some((variable, rest)) = place.strip_prefix('%').and_then(|place| place.split_once('%')) {
        let folder = env::var_os(variable).map(PathBuf::from);
        return folder.map(|folder| folder.join(rest.trim_start_matches('\\'))).into_iter().collect();
    }
    if !place.starts_with("drivers") {
        return vec![PathBuf::from(place)];
    }
    let built_in = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let executable = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    let current = env::current_dir().ok();
    [built_in, executable, current].into_iter().flatten().map(|folder| folder.join(place)).collect()
}

fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

#[cfg(test)]
mod tests {
    use super::{super::Catalogue, *};

    #[test]
    fn what_is_named_is_never_replaced() {
        let path = PathBuf::from("/nowhere/chrome");
        let overrides = Overrides { binaries: [(Browser::Chrome, path.clone())].into(), ..Overrides::default() };
        let error = Catalogue::embedded().unwrap().find(Browser::Chrome, &overrides).unwrap_err();
        assert!(matches!(error, BrowserError::NotExecutable { path: named, .. } if named == path));
    }

    #[test]
    fn what_is_missing_is_told_with_what_brings_it() {
        let text = r#"
            [browser.chrome]
            engine = "chromium"
            names = ["no-such-browser"]
            places.linux = ["/no/such/place"]
            bring.linux = "conjuring brings it"
            [engine.chromium]
            driver = "cdp""#;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let catalogue = Catalogue::from_file(file.path()).unwrap();
        let error = catalogue.find(Browser::Chrome, &Overrides::default()).unwrap_err();
        if cfg!(target_os = "linux") {
            assert_eq!(error.to_string(), "no chrome was found; looked for no-such-browser on PATH, /no/such/place");
            assert!(error.hint().unwrap().contains("conjuring brings it"));
        }
    }

    #[test]
    fn a_remote_endpoint_needs_no_binary() {
        let url: Url = "http://127.0.0.1:4444/".parse().unwrap();
        let overrides = Overrides { webdriver: [(Browser::Edge, url.clone())].into(), ..Overrides::default() };
        let found = Catalogue::embedded().unwrap().find(Browser::Edge, &overrides).unwrap();
        assert_eq!((found.binary, found.driver), (None, DriverKind::RemoteWebDriver { url }));
    }
}
