//! Which of a setting's sources wins.

use super::{ConfigError, Settings, SettingsArgs, kind::Raw, settings::Colour, table::Entry};
use crate::types::Browser;
use std::{
    env, fmt, fs, io,
    ops::Deref,
    path::{Path, PathBuf},
};

/// The file that is read when no other is named and it exists.
const DEFAULT_FILE: &str = "tabfleet.toml";
/// Names another file; not a setting, since a file cannot say which file it is.
const FILE_ENV: &str = "TABFLEET_CONFIG";

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

impl<T> Deref for Resolved<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Where a value came from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Env(String),
    /// A flag on the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.pad("default"),
            Source::File(path) => f.pad(&path.display().to_string()),
            Source::Env(name) => f.pad(name),
            Source::Flag => f.pad("flag"),
        }
    }
}

/// The settings of this process: its flags, its environment, and the file that `--config` or `TABFLEET_CONFIG` names or,
/// without them, `tabfleet.toml` in the current folder if there is one.
///
/// # Errors
/// Every [`ConfigError`]; also for a `TABFLEET_*` variable that is no setting's.
pub fn load(args: &SettingsArgs) -> Result<Settings, ConfigError> {
    let entries = Settings::entries();
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        let known = name == FILE_ENV || browser_of(&name).is_some() || entries.iter().any(|entry| entry.env == name);
        if name.starts_with("TABFLEET_") && !known {
            let nearest = nearest(&name, entries.iter().map(|entry| &*entry.env));
            return Err(ConfigError::Unknown { given: Source::Env(name.clone()), name, nearest });
        }
    }
    let env = |name: &str| env::var(name).ok();
    let named = args.config.clone().or_else(|| env(FILE_ENV).filter(|text| !text.is_empty()).map(PathBuf::from));
    let file = named.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    resolve(args, env, file.as_deref())
}

/// The settings from these flags, this environment and this file, which must exist. An empty variable counts as none.
///
/// # Errors
/// Every [`ConfigError`].
pub fn resolve(
    args: &SettingsArgs,
    env: impl Fn(&str) -> Option<String>,
    file: Option<&Path>,
) -> Result<Settings, ConfigError> {
    let in_file = file.map(read).transpose()?.unwrap_or_default();
    let env = |name: &str| env(name).filter(|text| !text.is_empty());
    let mut settings = Settings::read(&|entry: &Entry| {
        if let Some(given) = args.given.get(&entry.name) {
            return Some((given.clone(), Source::Flag));
        }
        if let Some(text) = env(&entry.env) {
            return Some((Raw::Text(text), Source::Env(entry.env.clone())));
        }
        let value = in_file.get(&entry.name)?;
        Some((Raw::from(value), Source::File(file?.to_owned())))
    })?;
    // A browser's program has a variable of its own, which beats the file for that browser and no other. So does a flag.
    for browser in Browser::ALL {
        let name = binary_env(*browser);
        let Some(path) = env(&name) else { continue };
        if settings.binary.source != Source::Flag {
            settings.binary.value.insert(*browser, path.into());
            settings.binary.source = Source::Env(name);
        } else {
            settings.binary.value.entry(*browser).or_insert_with(|| path.into());
        }
    }
    // no-color.org: any text at all means no colour, unless this program was told otherwise in particular.
    if settings.colour.source == Source::Default && env("NO_COLOR").is_some() {
        settings.colour = Resolved { value: Colour::Never, source: Source::Env("NO_COLOR".to_owned()) };
    }
    Ok(settings)
}

/// The variable that names a browser's program: `TABFLEET_CHROME_BINARY`.
fn binary_env(browser: Browser) -> String {
    format!("TABFLEET_{}_BINARY", browser.name().to_uppercase())
}

fn browser_of(name: &str) -> Option<Browser> {
    Browser::ALL.iter().copied().find(|browser| binary_env(*browser) == name)
}

fn read(path: &Path) -> Result<toml::Table, ConfigError> {
    let unreadable = |source: io::Error| ConfigError::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|source| ConfigError::NotToml { path: path.to_owned(), source: Box::new(source) })?;
    let entries = Settings::entries();
    match table.keys().find(|key| !entries.iter().any(|entry| entry.name == **key)) {
        None => Ok(table),
        Some(unknown) => Err(ConfigError::Unknown {
            name: unknown.clone(),
            given: Source::File(path.to_owned()),
            nearest: nearest(unknown, entries.iter().map(|entry| &*entry.name)),
        }),
    }
}

/// The name most like the given one, if any is like it at all.
fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Below it the likeness is chance: `tabs` and `tab` have 0.94, `retries` and `rtol` 0.69.
    const ALIKE: f64 = 0.75;
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}
