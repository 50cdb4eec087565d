//! Naming several targets at once.

use crate::types::{Backend, Browser, ParseTargetError, Target};
use std::{fmt, str::FromStr};

/// A target, or a browser with all of its backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPattern {
    /// The browser.
    pub browser: Browser,
    /// The backend; `None` for all of them.
    pub backend: Option<Backend>,
}

impl TargetPattern {
    /// Whether the target is meant.
    pub fn matches(&self, target: Target) -> bool {
        self.browser == target.browser && self.backend.is_none_or(|backend| backend == target.backend)
    }

    /// Every target that is meant, in the order of reports.
    pub fn targets(&self) -> impl Iterator<Item = Target> + use<> {
        let pattern = *self;
        Backend::ALL
            .iter()
            .map(move |backend| Target::new(pattern.browser, *backend))
            .filter(move |t| pattern.matches(*t))
    }
}

impl FromStr for TargetPattern {
    type Err = ParseTargetError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((browser, backend)) => Ok(Self { browser: browser.parse()?, backend: Some(backend.parse()?) }),
            None => Ok(Self { browser: text.parse()?, backend: None }),
        }
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend {
            Some(backend) => f.pad(&Target::new(self.browser, backend).to_string()),
            None => f.pad(self.browser.name()),
        }
    }
}

/// Names as patterns: `chrome/webgpu` is one target, `firefox` all of Firefox's.
///
/// # Errors
/// The first name that is neither a target nor a browser.
pub fn parse_targets<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<TargetPattern>, ParseTargetError> {
    names.into_iter().map(str::parse).collect()
}
