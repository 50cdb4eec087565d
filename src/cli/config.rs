//! Settings: what each is, where its value came from, and whether that value can be.
//!
//! A flag beats its `TABFLEET_*` environment variable, which beats `tabfleet.toml`, which beats the default; a list or a
//! map is taken whole from the one place that wins. Every setting is described once, in [`Settings`]'s table, from which
//! the flags, the variables, the file's keys and what [`print()`] shows are all made.

mod args;
mod error;
mod kind;
mod limits;
mod print;
mod resolve;
mod settings;
mod table;
mod targets;

pub use args::SettingsArgs;
pub use error::ConfigError;
pub(super) use kind::parse_bytes;
pub use print::print;
pub use resolve::{Resolved, Source, load, resolve};
pub use settings::{Colour, LogFormat, Settings};
pub use targets::{TargetPattern, parse_targets};

#[cfg(test)]
mod tests;
