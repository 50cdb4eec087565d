//! Further builds of a browser: `chrome@beta=PATH`.

use crate::types::Browser;
use std::{fmt, path::PathBuf, str::FromStr};

/// A build of a browser that runs side by side with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    pub browser: Browser,
    /// What its columns are called by.
    pub name: String,
    /// Its program.
    pub path: PathBuf,
}

/// What is no build of a browser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a build of a browser: write BROWSER@NAME=PATH, such as chrome@beta=/opt/chrome-beta/chrome")]
pub(super) struct BuildError(String);

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.browser, self.name)
    }
}

impl FromStr for Build {
    type Err = BuildError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (place, path) = text.split_once('=')?;
            let (browser, name) = place.split_once('@')?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
            (is_name && !path.is_empty()).then_some(())?;
            Some(Self { browser: browser.parse().ok()?, name: name.to_owned(), path: path.into() })
        };
        parse().ok_or_else(|| BuildError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_read_and_what_is_none_is_refused() {
        let beta: Build = "chrome@beta-1.2=/opt/a=b/chrome".parse().unwrap();
        let path = PathBuf::from("/opt/a=b/chrome");
        assert_eq!(beta, Build { browser: Browser::Chrome, name: "beta-1.2".into(), path });
        for text in
            ["chrome=/x", "chrome@=/x", "chrome@a b=/x", "netscape@a=/x", "chrome@beta", "chrome@beta=", "chrome@@=x"]
        {
            assert_eq!(text.parse::<Build>(), Err(BuildError(text.to_owned())));
        }
    }
}
