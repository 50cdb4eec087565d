//! One file per command, thin: arguments in, library calls, a report out.

pub mod config;
