//! `drivers/browsers.toml`: which browsers fill the slots, where they are found, how they are asked for each backend.

use super::{BrowserError, find};
use crate::types::{Backend, Browser};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// The browser catalogue: the one built in, or a user's file of the same form.
#[derive(Clone, Debug)]
pub struct Catalogue {
    browsers: BTreeMap<Browser, BrowserEntry>,
    engines: BTreeMap<String, EngineEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    browser: BTreeMap<Browser, BrowserEntry>,
    engine: BTreeMap<String, EngineEntry>,
}

/// One slot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BrowserEntry {
    pub engine: String,
    /// Looked for on PATH.
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub places: PerSystem<Vec<String>>,
    pub bring: PerSystem<String>,
}

/// What several slots have in common.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineEntry {
    pub driver: DriverName,
    #[serde(default)]
    pub driver_names: Vec<String>,
    #[serde(default)]
    pub driver_places: PerSystem<Vec<String>>,
    pub driver_minimum: Option<String>,
    #[serde(default)]
    pub driver_bring: PerSystem<String>,
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// How an engine is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum DriverName {
    #[serde(rename = "cdp")]
    Cdp,
    #[serde(rename = "geckodriver")]
    Geckodriver,
    #[serde(rename = "WebKitWebDriver")]
    WebKitWebDriver,
}

/// Flags, prefs and environment under a condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// For whoever reads the catalogue; required so that no flag is there without a reason.
    #[serde(rename = "why")]
    pub _why: String,
    #[serde(default)]
    pub when: When,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub prefs: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables of our own environment that the browser must not see.
    #[serde(default)]
    pub without_env: Vec<String>,
}

/// Holds when everything given holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    pub browser: Option<Browser>,
    pub backend: Option<Backend>,
    pub gpu: Option<GpuKind>,
    pub os: Option<System>,
    pub headless: Option<bool>,
    pub root: Option<bool>,
}

/// The adapter a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum GpuKind {
    Hardware,
    Software,
}

/// The operating systems the catalogue tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum System {
    Linux,
    Macos,
    Windows,
}

impl System {
    /// The one this runs on; every other Unix is taken for a Linux.
    pub const HERE: System = if cfg!(target_os = "macos") {
        System::Macos
    } else if cfg!(windows) {
        System::Windows
    } else {
        System::Linux
    };
}

/// One value per operating system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PerSystem<T: Default> {
    linux: T,
    macos: T,
    windows: T,
}

impl<T: Default> PerSystem<T> {
    /// The value for the system this runs on.
    pub fn here(&self) -> &T {
        match System::HERE {
            System::Linux => &self.linux,
            System::Macos => &self.macos,
            System::Windows => &self.windows,
        }
    }
}

impl Catalogue {
    /// The catalogue built into this crate.
    ///
    /// # Errors
    /// [`BrowserError::Catalogue`]; a test keeps the one built in from being wrong.
    pub fn embedded() -> Result<Self, BrowserError> {
        Self::parse(include_str!("../../drivers/browsers.toml"), "built in")
    }

    /// A user's own catalogue, of the same form as `drivers/browsers.toml`.
    ///
    /// # Errors
    /// [`BrowserError::Catalogue`] when it cannot be read or is not of that form.
    pub fn from_file(path: &Path) -> Result<Self, BrowserError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| BrowserError::Catalogue { origin: origin.clone(), message: e.to_string() })?;
        Self::parse(&text, &origin)
    }

    /// Finds the browser that fills a slot, and its driver.
    ///
    /// What `overrides` names is taken as it is and never replaced by something else.
    ///
    /// # Errors
    /// [`BrowserError::NotFound`], [`BrowserError::NotExecutable`], [`BrowserError::DriverNotFound`] or
    /// [`BrowserError::BadEndpoint`], which say what was looked for and what would bring it.
    pub fn find(&self, browser: Browser, overrides: &find::Overrides) -> Result<find::Found, BrowserError> {
        let (entry, engine) = self.entry(browser)?;
        find::find(browser, entry, engine, overrides)
    }

    pub(super) fn entry(&self, browser: Browser) -> Result<(&BrowserEntry, &EngineEntry), BrowserError> {
        let missing = |what: String| BrowserError::Catalogue { origin: "in use".into(), message: what };
        let entry = self.browsers.get(&browser).ok_or_else(|| missing(format!("it has no [browser.{browser}]")))?;
        let engine =
            self.engines.get(&entry.engine).ok_or_else(|| missing(format!("it has no [engine.{}]", entry.engine)))?;
        Ok((entry, engine))
    }

    fn parse(text: &str, origin: &str) -> Result<Self, BrowserError> {
        let wrong = |message: String| BrowserError::Catalogue { origin: origin.into(), message };
        let File { browser: browsers, engine: engines } = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if let Some((browser, entry)) = browsers.iter().find(|(_, entry)| !engines.contains_key(&entry.engine)) {
            return Err(wrong(format!("[browser.{browser}] is of engine `{}`, which is not described", entry.engine)));
        }
        Ok(Self { browsers, engines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_built_in_describes_every_slot() {
        let catalogue = Catalogue::embedded().unwrap();
        for browser in Browser::ALL {
            catalogue.entry(*browser).unwrap();
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let error =
            Catalogue::parse("[browser.chrome]\nengine = \"x\"\nname = []", "mine.toml").unwrap_err().to_string();
        assert!(error.contains("mine.toml") && error.contains("line 3") && error.contains("`name`"), "{error}");
    }

    #[test]
    fn a_flag_needs_a_reason() {
        let text = "[browser]\n[engine.x]\ndriver = \"cdp\"\n[[engine.x.rule]]\nargs = [\"--yes\"]";
        assert!(Catalogue::parse(text, "mine.toml").unwrap_err().to_string().contains("`why`"));
    }
}
