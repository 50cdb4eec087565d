//! From settings to a fleet.

use super::{config::Settings, error::CliError};
use crate::{
    browser::{Catalogue, Overrides},
    fleet::{AlertConfig, Fleet, FleetBuilder},
    history::RunInfo,
    schedule::preferred_browser,
    types::{Backend, Browser, Family, Target},
};
use std::collections::BTreeSet;

/// The user's own binaries, arguments and endpoints.
pub(super) fn overrides(settings: &Settings) -> Overrides {
    Overrides {
        binaries: settings.binary.value.clone(),
        args: settings.browser_arg.value.clone(),
        webdriver: settings.webdriver.value.clone(),
    }
}

pub(super) fn catalogue(settings: &Settings) -> Result<Catalogue, CliError> {
    Ok(match &settings.browsers_file.value {
        Some(path) => Catalogue::from_file(path)?,
        None => Catalogue::embedded()?,
    })
}

/// The browsers that are on this machine.
fn found(settings: &Settings) -> Result<Vec<Browser>, CliError> {
    let (catalogue, overrides) = (catalogue(settings)?, overrides(settings));
    Ok(Browser::ALL.iter().copied().filter(|browser| catalogue.find(*browser, &overrides).is_ok()).collect())
}

/// The targets asked for; without any asked for, every backend of every browser that is on this machine.
pub(super) fn targets(settings: &Settings) -> Result<BTreeSet<Target>, CliError> {
    let asked: BTreeSet<Target> = settings.targets.iter().flat_map(|pattern| pattern.targets()).collect();
    if !asked.is_empty() {
        return Ok(asked);
    }
    let found = found(settings)?;
    let pairs = found.into_iter().flat_map(|browser| Backend::ALL.iter().map(move |b| Target::new(browser, *b)));
    let targets: BTreeSet<Target> = pairs.collect();
    if targets.is_empty() { Err(CliError::NoBrowser) } else { Ok(targets) }
}

/// The one browser for a single model: the family's preferred one if it is here, else the first that is.
pub(super) fn browser_for(settings: &Settings, family: Family) -> Result<Browser, CliError> {
    let found = found(settings)?;
    let preferred = preferred_browser(family).filter(|browser| found.contains(browser));
    preferred.or_else(|| found.first().copied()).ok_or(CliError::NoBrowser)
}

/// A fleet as the settings say, still without targets.
pub(super) fn builder(settings: &Settings, command: &str) -> FleetBuilder {
    Fleet::builder().tabs_per_browser(*settings.tabs as usize).configure(|config| {
        config.policy.in_flight_per_tab = *settings.in_flight_per_tab as usize;
        config.policy.in_flight_bytes_per_tab = usize::try_from(*settings.in_flight_bytes).unwrap_or(usize::MAX);
        config.job_deadline = *settings.job_deadline;
        config.attempts = *settings.retries + 1;
        config.queue_limit = *settings.queue_limit as usize;
        config.overrides = overrides(settings);
        config.browsers_file = settings.browsers_file.value.clone();
        config.gpu = *settings.gpu;
        config.headless = *settings.headless;
        config.launch_timeout = *settings.launch_timeout;
        config.webnn_device = *settings.webnn_device;
        config.threads = *settings.threads;
        config.port = *settings.port;
        config.custom_runtime = settings.runtime.value.clone();
        config.history = settings.history.value.clone();
        config.run = RunInfo::detect(command);
        config.announce = true;
        config.alerts = Some(alerts(settings));
    })
}

fn alerts(settings: &Settings) -> AlertConfig {
    AlertConfig {
        error_rate: *settings.alert_error_rate,
        window: *settings.alert_window,
        cooldown: *settings.alert_cooldown,
        webhook: settings.alert_webhook.value.clone(),
        ..AlertConfig::default()
    }
}
