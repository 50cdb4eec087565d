//! The kinds of value a setting can have: what each accepts, and how it is shown.

use crate::types::Browser;
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use super::{TargetPattern, parse_targets};
use crate::fleet::AlertConfig;
use url::Url;

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// One text: a variable's, a flag's, or a plain value of the file's.
    Text(String),
    /// A flag that was given several times, or a list in the file.
    List(Vec<String>),
    /// A table in the file.
    Map(BTreeMap<String, Vec<String>>),
}

impl From<&toml::Value> for Raw {
    fn from(value: &toml::Value) -> Self {
        let list = |value: &toml::Value| match value {
            toml::Value::Array(values) => values.iter().map(plain).collect(),
            other => vec![plain(other)],
        };
        match value {
            toml::Value::Array(_) => Raw::List(list(value)),
            toml::Value::Table(table) => Raw::Map(table.iter().map(|(k, v)| (k.clone(), list(v))).collect()),
            other => Raw::Text(plain(other)),
        }
    }
}

fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Text(text) => f.write_str(text),
            Raw::List(texts) => f.write_str(&texts.join(" ")),
            Raw::Map(map) => {
                let entries: Vec<_> = map.iter().map(|(key, values)| format!("{key}={}", values.join(" "))).collect();
                f.write_str(&entries.join("; "))
            }
        }
    }
}

/// How a flag takes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arity {
    /// `--name` or `--name=VALUE`.
    Switch,
    /// `--name VALUE`, once.
    One,
    /// `--name VALUE`, as often as wanted.
    Many,
}

/// What a setting accepts.
pub(super) trait Kind {
    type Value;
    const VALUE_NAME: &'static str;
    const ARITY: Arity = Arity::One;
    /// What it accepts, for people: follows "it takes".
    fn expected(&self) -> String;
    /// `None` for what it does not accept.
    fn parse(&self, raw: &Raw) -> Option<Self::Value>;
    /// The value as it would be given.
    fn show(&self, value: &Self::Value) -> String;
}

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) => Some(text.trim()),
        Raw::List(_) | Raw::Map(_) => None,
    }
}

/// A number in a range.
pub(super) struct Number<T>(pub RangeInclusive<T>);

impl<T: FromStr + Display + PartialOrd> Kind for Number<T> {
    type Value = T;
    const VALUE_NAME: &'static str = "NUMBER";
    fn expected(&self) -> String {
        format!("a number from {} to {}", self.0.start(), self.0.end())
    }
    fn parse(&self, raw: &Raw) -> Option<T> {
        // TOML allows 10_000, and so does everything else here.
        text(raw)?.replace('_', "").parse().ok().filter(|number| self.0.contains(number))
    }
    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A duration in a range, with its unit.
pub(super) struct Span(pub RangeInclusive<Duration>);

impl Kind for Span {
    type Value = Duration;
    const VALUE_NAME: &'static str = "DURATION";
    fn expected(&self) -> String {
        let [from, to] = [self.0.start(), self.0.end()].map(|end| self.show(end));
        format!("a duration with its unit, from {from} to {to}")
    }
    fn parse(&self, raw: &Raw) -> Option<Duration> {
        humantime::parse_duration(text(raw)?).ok().filter(|span| self.0.contains(span))
    }
    fn show(&self, value: &Duration) -> String {
        // A day is 24 hours for no one who counts time-outs.
        let seconds = value.as_secs();
        if value.subsec_nanos() == 0 && seconds > 0 && seconds.is_multiple_of(3600) {
            return format!("{}h", seconds / 3600);
        }
        humantime::format_duration(*value).to_string()
    }
}

/// A number of bytes in a range.
pub(super) struct Size(pub RangeInclusive<u64>);

const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// The number of bytes that `64MiB` stands for.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let with_unit = SIZES.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

impl Kind for Size {
    type Value = u64;
    const VALUE_NAME: &'static str = "SIZE";
    fn expected(&self) -> String {
        let [from, to] = [self.0.start(), self.0.end()].map(|end| self.show(end));
        format!("a number of bytes or a size such as 64MiB, from {from} to {to}")
    }
    fn parse(&self, raw: &Raw) -> Option<u64> {
        parse_bytes(text(raw)?).filter(|bytes| self.0.contains(bytes))
    }
    fn show(&self, value: &u64) -> String {
        let fits = |unit: u64| *value >= unit && value.is_multiple_of(unit);
        SIZES
            .iter()
            .find(|(_, bytes)| fits(*bytes))
            .map_or("0B".to_owned(), |(unit, bytes)| format!("{}{unit}", value / bytes))
    }
}

/// One of a few names.
pub(super) struct Choice<T: 'static>(pub &'static [T]);

impl<T: Copy + Display> Kind for Choice<T> {
    type Value = T;
    const VALUE_NAME: &'static str = "NAME";
    fn expected(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|value| self.show(value)).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => names.concat(),
        }
    }
    fn parse(&self, raw: &Raw) -> Option<T> {
        let name = text(raw)?;
        self.0.iter().copied().find(|value| self.show(value) == name)
    }
    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// True or false.
pub(super) struct Switch;

impl Kind for Switch {
    type Value = bool;
    const VALUE_NAME: &'static str = "BOOL";
    const ARITY: Arity = Arity::Switch;
    fn expected(&self) -> String {
        "true or false".to_owned()
    }
    fn parse(&self, raw: &Raw) -> Option<bool> {
        text(raw)?.parse().ok()
    }
    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A path, or none.
pub(super) struct MaybePath;

impl Kind for MaybePath {
    type Value = Option<PathBuf>;
    const VALUE_NAME: &'static str = "PATH";
    fn expected(&self) -> String {
        "a path, or none".to_owned()
    }
    fn parse(&self, raw: &Raw) -> Option<Option<PathBuf>> {
        match text(raw)? {
            "" => None,
            "none" => Some(None),
            path => Some(Some(path.into())),
        }
    }
    fn show(&self, value: &Option<PathBuf>) -> String {
        value.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
    }
}

/// An address that can be posted to without TLS, or none.
pub(super) struct MaybeUrl;

impl Kind for MaybeUrl {
    type Value = Option<Url>;
    const VALUE_NAME: &'static str = "URL";
    fn expected(&self) -> String {
        "an http:// address without a password (this build speaks no TLS), or none".to_owned()
    }
    fn parse(&self, raw: &Raw) -> Option<Option<Url>> {
        match text(raw)? {
            "none" => Some(None),
            url => {
                let webhook = Some(Url::parse(url).ok()?);
                let alerts = AlertConfig { webhook, ..AlertConfig::default() };
                alerts.check().is_ok().then_some(alerts.webhook)
            }
        }
    }
    fn show(&self, value: &Option<Url>) -> String {
        value.as_ref().map_or("none".to_owned(), Url::to_string)
    }
}

/// Where something is served: an address, or a port of the loopback.
pub(super) struct MaybeAddress;

impl Kind for MaybeAddress {
    type Value = Option<SocketAddr>;
    const VALUE_NAME: &'static str = "ADDR";
    fn expected(&self) -> String {
        "a port of 127.0.0.1, an address with a port such as 0.0.0.0:9464, or none".to_owned()
    }
    fn parse(&self, raw: &Raw) -> Option<Option<SocketAddr>> {
        match text(raw)? {
            "none" => Some(None),
            text => match text.parse::<u16>() {
                Ok(port) => Some(Some((Ipv4Addr::LOCALHOST, port).into())),
                Err(_) => text.parse().ok().map(Some),
            },
        }
    }
    fn show(&self, value: &Option<SocketAddr>) -> String {
        value.map_or("none".to_owned(), |address| address.to_string())
    }
}

/// Targets; empty for all there are.
pub(super) struct Targets;

impl Kind for Targets {
    type Value = Vec<TargetPattern>;
    const VALUE_NAME: &'static str = "TARGETS";
    const ARITY: Arity = Arity::Many;
    fn expected(&self) -> String {
        "targets such as chrome/webgpu, browsers such as firefox, or all".to_owned()
    }
    fn parse(&self, raw: &Raw) -> Option<Vec<TargetPattern>> {
        let given = match raw {
            Raw::Text(text) => std::slice::from_ref(text),
            Raw::List(texts) => texts,
            Raw::Map(_) => return None,
        };
        let names: Vec<_> = given.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
        match names[..] {
            [] => None,
            ["all"] => Some(Vec::new()),
            _ => parse_targets(names).ok(),
        }
    }
    fn show(&self, value: &Vec<TargetPattern>) -> String {
        let names: Vec<_> = value.iter().map(ToString::to_string).collect();
        if names.is_empty() { "all".to_owned() } else { names.join(",") }
    }
}

/// Something for some of the browsers: a table in the file, `chrome=… ` for each flag, with `;` between in a variable.
pub(super) struct PerBrowser<T> {
    pub what: &'static str,
    pub parse: fn(&[String]) -> Option<T>,
    pub show: fn(&T) -> String,
}

impl<T> Kind for PerBrowser<T> {
    type Value = BTreeMap<Browser, T>;
    const VALUE_NAME: &'static str = "BROWSER=VALUE";
    const ARITY: Arity = Arity::Many;
    fn expected(&self) -> String {
        format!("{} for each of {}", self.what, browsers())
    }
    fn parse(&self, raw: &Raw) -> Option<BTreeMap<Browser, T>> {
        let texts = of_each_browser(raw)?.into_iter();
        texts.map(|(browser, values)| Some((browser, (self.parse)(&values)?))).collect()
    }
    fn show(&self, value: &BTreeMap<Browser, T>) -> String {
        show_each(value, self.show)
    }
}

/// A value for each of the browsers; those that are not named keep their default.
pub(super) struct EachBrowser<K: Kind> {
    pub of: K,
    pub default: fn(Browser) -> K::Value,
}

impl<K: Kind> EachBrowser<K> {
    pub fn defaults(&self) -> BTreeMap<Browser, K::Value> {
        Browser::ALL.iter().map(|browser| (*browser, (self.default)(*browser))).collect()
    }
}

impl<K: Kind> Kind for EachBrowser<K> {
    type Value = BTreeMap<Browser, K::Value>;
    const VALUE_NAME: &'static str = "BROWSER=VALUE";
    const ARITY: Arity = Arity::Many;
    fn expected(&self) -> String {
        format!("BROWSER={} for each of {}: {}", K::VALUE_NAME, browsers(), self.of.expected())
    }
    fn parse(&self, raw: &Raw) -> Option<BTreeMap<Browser, K::Value>> {
        let mut values = self.defaults();
        for (browser, texts) in of_each_browser(raw)? {
            let [text] = <[String; 1]>::try_from(texts).ok()?;
            values.insert(browser, self.of.parse(&Raw::Text(text))?);
        }
        Some(values)
    }
    fn show(&self, value: &BTreeMap<Browser, K::Value>) -> String {
        show_each(value, |value| self.of.show(value))
    }
}

fn browsers() -> String {
    Browser::ALL.iter().map(|browser| browser.name()).collect::<Vec<_>>().join(", ")
}

fn of_each_browser(raw: &Raw) -> Option<BTreeMap<Browser, Vec<String>>> {
    let mut texts = BTreeMap::<Browser, Vec<String>>::new();
    let mut add = |entry: &str| {
        let (browser, value) = entry.split_once('=')?;
        texts.entry(browser.trim().parse().ok()?).or_default().push(value.trim().to_owned());
        Some(())
    };
    match raw {
        Raw::Text(text) => text.split(';').filter(|entry| !entry.trim().is_empty()).try_for_each(add)?,
        Raw::List(entries) => entries.iter().try_for_each(|entry| add(entry))?,
        Raw::Map(map) => {
            for (browser, values) in map {
                texts.insert(browser.parse().ok()?, values.clone());
            }
        }
    }
    Some(texts)
}

fn show_each<T>(values: &BTreeMap<Browser, T>, show: impl Fn(&T) -> String) -> String {
    let entries: Vec<_> = values.iter().map(|(browser, value)| format!("{browser}={}", show(value))).collect();
    if entries.is_empty() { "none".to_owned() } else { entries.join("; ") }
}
