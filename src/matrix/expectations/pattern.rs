//! What entries match by: names with wildcards, targets, and ranges of versions.

use crate::{
    report::TargetBuild,
    types::{Backend, Browser},
};
use std::cmp::Ordering;

/// A name in which `*` stands for any text and `?` for one character.
#[derive(Clone, Debug)]
pub(super) struct Glob(Vec<char>);

impl Glob {
    pub fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    pub fn is_exact(&self) -> bool {
        !self.0.iter().any(|c| matches!(c, '*' | '?'))
    }

    /// Goes along both, and where they part back to the last `*`, which then takes one more.
    pub fn matches(&self, name: &str) -> bool {
        let (glob, name) = (&self.0, name.chars().collect::<Vec<_>>());
        let (mut at, mut star) = ((0, 0), None);
        loop {
            let (g, n) = at;
            match (glob.get(g), name.get(n)) {
                (None, None) => return true,
                (Some('*'), _) => {
                    star = Some(at);
                    at = (g + 1, n);
                }
                (Some('?'), Some(_)) => at = (g + 1, n + 1),
                (Some(a), Some(b)) if a == b => at = (g + 1, n + 1),
                _ => match &mut star {
                    Some((star, taken)) if *taken < name.len() => {
                        *taken += 1;
                        at = (*star + 1, *taken);
                    }
                    _ => return false,
                },
            }
        }
    }
}

/// Text that is looked for in a description, whatever the case of its letters.
#[derive(Clone, Debug)]
pub(super) struct Within(Glob);

impl Within {
    pub fn new(text: &str) -> Self {
        Self(Glob::new(&format!("*{}*", text.to_lowercase())))
    }

    pub fn is_in(&self, description: &str) -> bool {
        self.0.matches(&description.to_lowercase())
    }
}

/// The targets that an entry speaks of: a browser or any, one of its builds or all, a backend or any.
#[derive(Clone, Debug)]
pub(super) struct TargetGlob {
    browser: Option<Browser>,
    build: Option<Glob>,
    backend: Option<Backend>,
}

impl TargetGlob {
    pub fn parse(text: &str) -> Option<Self> {
        let (browser, backend) = text.split_once('/').unwrap_or((text, "*"));
        let (browser, build) = match browser.split_once('@') {
            Some((browser, build)) if !build.is_empty() => (browser, Some(Glob::new(build))),
            Some(_) => return None,
            None => (browser, None),
        };
        let browser = if browser == "*" { None } else { Some(browser.parse().ok()?) };
        let backend = if backend == "*" { None } else { Some(backend.parse().ok()?) };
        Some(Self { browser, build, backend })
    }

    pub fn matches(&self, column: TargetBuild<'_>) -> bool {
        self.browser.is_none_or(|browser| browser == column.target.browser)
            && self.backend.is_none_or(|backend| backend == column.target.backend)
            && self.build.as_ref().is_none_or(|build| column.build.is_some_and(|name| build.matches(name)))
    }

    /// Whether it is written as this column is.
    pub fn is(&self, column: TargetBuild<'_>) -> bool {
        let same_build =
            self.build.is_some() == column.build.is_some() && self.build.as_ref().is_none_or(Glob::is_exact);
        self.browser.is_some() && self.backend.is_some() && same_build && self.matches(column)
    }
}

/// Versions between bounds, all of which hold. `156` is every version that begins with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Versions(Vec<(Bound, Vec<u64>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Begins,
    AtLeast,
    Above,
    AtMost,
    Below,
}

impl Versions {
    pub fn parse(text: &str) -> Option<Self> {
        let bound = |part: &str| {
            let part = part.trim();
            let signs = [
                (">=", Bound::AtLeast),
                ("<=", Bound::AtMost),
                (">", Bound::Above),
                ("<", Bound::Below),
                ("=", Bound::Begins),
            ];
            let (bound, version) = signs
                .into_iter()
                .find_map(|(sign, bound)| Some((bound, part.strip_prefix(sign)?)))
                .unwrap_or((Bound::Begins, part));
            let numbers: Option<Vec<u64>> = version.trim().split('.').map(|number| number.parse().ok()).collect();
            Some((bound, numbers?))
        };
        text.split(',').map(bound).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether a version is in the range. Numbers that one of two versions does not have do not tell them apart: 156.0.1
    /// is at most 156.
    pub fn contains(&self, version: &str) -> bool {
        let number =
            |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
        let version: Vec<u64> = version.split(['.', '-', ' ']).map(number).collect();
        self.0.iter().all(|(bound, wanted)| {
            let order = version.iter().zip(wanted).map(|(a, b)| a.cmp(b)).find(|order| order.is_ne());
            match (bound, order.unwrap_or(Ordering::Equal)) {
                (Bound::Begins, order) => order.is_eq() && version.len() >= wanted.len(),
                (Bound::AtLeast, order) => order.is_ge(),
                (Bound::Above, order) => order.is_gt(),
                (Bound::AtMost, order) => order.is_le(),
                (Bound::Below, order) => order.is_lt(),
            }
        })
    }
}
