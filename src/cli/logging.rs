//! The log, on standard error.

use super::{
    config::{LogFormat, Settings},
    style,
};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Starts logging: warnings by default, more with each `--verbose`, errors only with `--quiet`; `RUST_LOG` beats both.
pub(super) fn start(verbosity: i8, settings: &Settings) {
    // chromiumoxide calls it an error when a browser that was told to end closes its socket; what matters of a
    // browser's end is told by the fleet itself.
    let level = match verbosity {
        ..=-1 => "error,chromiumoxide=off",
        0 => "tabfleet=warn,error,chromiumoxide=off",
        1 => "tabfleet=info,warn",
        2 => "tabfleet=debug,info",
        3.. => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match *settings.log_format {
        LogFormat::Text => {
            log.with_target(false).with_ansi(style::coloured(settings, io::stderr().is_terminal())).init();
        }
        LogFormat::Json => log.json().init(),
    }
}
