//! How the one table of settings becomes a type, flags, variables and keys.

use super::{
    ConfigError, Resolved, Source,
    kind::{Arity, Kind, Raw},
};

/// What flags, variables, keys and the printed table need to know of one setting.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its flag without the dashes, and its key in the file.
    pub name: String,
    /// Its environment variable.
    pub env: String,
    /// What it does, and why its default is what it is.
    pub help: &'static str,
    /// What it takes, for people.
    pub expected: String,
    pub default: String,
    pub value_name: &'static str,
    pub arity: Arity,
    /// What `--help` lists it under.
    pub heading: &'static str,
}

impl Entry {
    pub fn new<K: Kind>(heading: &'static str, field: &str, help: &'static str, kind: &K, default: &K::Value) -> Self {
        Self {
            name: field.replace('_', "-"),
            env: format!("TABFLEET_{}", field.to_uppercase()),
            help: help.trim(),
            expected: kind.expected(),
            default: kind.show(default),
            value_name: K::VALUE_NAME,
            arity: K::ARITY,
            heading,
        }
    }
}

/// Where a setting's value is looked for: `None` means that nobody gave one.
pub(super) type LookUp<'a> = &'a dyn Fn(&Entry) -> Option<(Raw, Source)>;

/// One setting's value.
pub(super) fn resolve_one<K: Kind>(
    entry: &Entry,
    kind: &K,
    default: K::Value,
    look_up: LookUp<'_>,
) -> Result<Resolved<K::Value>, ConfigError> {
    let Some((raw, source)) = look_up(entry) else {
        return Ok(Resolved { value: default, source: Source::Default });
    };
    match kind.parse(&raw) {
        Some(value) => Ok(Resolved { value, source }),
        None => Err(ConfigError::Value {
            name: entry.name.clone(),
            value: raw.to_string(),
            given: source,
            expected: entry.expected.clone(),
        }),
    }
}

/// Makes the settings' type from lines of the form `/// help` `name: type = default, kind;` below `in HEADING:`.
macro_rules! settings {
    ($(#[$doc:meta])* struct $Settings:ident {
        $(in $heading:ident: $($(#[doc = $help:literal])+ $field:ident: $type:ty = $default:expr, $kind:expr;)+)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Settings {
            $($($(#[doc = $help])+ pub $field: Resolved<$type>,)+)+
        }

        impl $Settings {
            /// One for each setting, in the order of the table.
            pub(super) fn entries() -> Vec<Entry> {
                vec![$($(Entry::new($heading, stringify!($field), concat!($($help),+), &$kind, &$default)),+),+]
            }

            /// Every setting's value.
            pub(super) fn read(look_up: LookUp<'_>) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($($field: {
                        let entry = Entry::new($heading, stringify!($field), concat!($($help),+), &$kind, &$default);
                        resolve_one(&entry, &$kind, $default, look_up)?
                    },)+)+
                })
            }

            /// Every setting's value as text and its source, in the order of the table.
            pub(super) fn shown(&self) -> Vec<(String, &Source)> {
                vec![$($(($kind.show(&self.$field.value), &self.$field.source)),+),+]
            }
        }
    };
}
pub(super) use settings;
