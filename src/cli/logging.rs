//! The log, on standard error.

use super::config::LogFormat;
use tracing_subscriber::EnvFilter;

/// Starts logging: warnings by default, more with each `--verbose`, errors only with `--quiet`; `RUST_LOG` beats both.
pub(super) fn start(verbosity: i8, format: LogFormat) {
    let level = match verbosity {
        ..=-1 => "error",
        0 => "tabfleet=warn,error",
        1 => "tabfleet=info,warn",
        2 => "tabfleet=debug,info",
        3.. => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
