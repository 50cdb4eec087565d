//! From settings to a fleet.

use super::{
    config::{Resolved, Settings, Source},
    error::CliError,
};
use crate::{
    browser::{Catalogue, Overrides},
    fleet::{AlertConfig, Fleet, FleetBuilder},
    history::RunInfo,
    schedule::{BreakerPolicy, MemoryLimits, Policy, PolicyError, Retirement, Scaling, preferred_browser},
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
    Fleet::builder().configure(|config| {
        config.policy = policy(settings);
        config.job_deadline = *settings.job_deadline;
        config.attempts = *settings.retries + 1;
        config.queue_timeout = *settings.queue_timeout;
        config.model_concurrency = settings.model_concurrency.map(|jobs| jobs as usize);
        config.fallback = *settings.fallback;
        config.queue_limit = *settings.queue_limit as usize;
        config.queue_bytes = *settings.queue_bytes;
        config.overrides = overrides(settings);
        config.browsers_file = settings.browsers_file.value.clone();
        config.gpu = *settings.gpu;
        config.headless = *settings.headless;
        config.launch_timeout = *settings.launch_timeout;
        config.webnn_device = *settings.webnn_device;
        config.threads = *settings.threads;
        config.port = *settings.port;
        config.custom_runtime = settings.runtime.value.clone();
        config.metrics = *settings.metrics;
        config.history = settings.history.value.clone();
        config.history_mode = *settings.history_mode;
        config.run = RunInfo::detect(command);
        config.announce = true;
        config.alerts = Some(alerts(settings));
    })
}

/// What the scheduler decides by. That the numbers do not contradict each other is seen to when the fleet is launched.
fn policy(settings: &Settings) -> Policy {
    Policy {
        tabs_per_target: *settings.tabs.start() as usize,
        scaling: Scaling { max_tabs: *settings.tabs.end() as usize, ..Scaling::default() },
        in_flight_per_tab: *settings.in_flight_per_tab as usize,
        in_flight_per_browser: settings.in_flight_per_browser.map(|jobs| jobs as usize),
        in_flight_bytes_per_tab: usize::try_from(*settings.in_flight_bytes).unwrap_or(usize::MAX),
        quarantine_after: *settings.quarantine_after,
        retry_backoff: *settings.retry_backoff,
        retry_pause: *settings.retry_pause,
        retry_pause_cap: *settings.retry_pause_cap,
        breakers: Browser::ALL.iter().map(|browser| (*browser, breaker(settings, *browser))).collect(),
        keep_targets: *settings.keep_targets,
        heartbeat_interval: *settings.heartbeat_interval,
        heartbeat_timeout: *settings.heartbeat_timeout,
        missed_heartbeats: *settings.missed_heartbeats,
        health_check_interval: *settings.health_check_interval,
        tab_memory: MemoryLimits { soft: *settings.tab_memory_soft, hard: *settings.tab_memory_hard },
        retirement: Retirement {
            jobs: *settings.tab_jobs,
            age: *settings.tab_age,
            idle: *settings.tab_idle,
            failures: *settings.tab_failures,
            ..Retirement::default()
        },
        browser_memory: MemoryLimits { soft: *settings.browser_memory_soft, hard: *settings.browser_memory_hard },
        seed: *settings.seed,
        ..Policy::default()
    }
}

/// The settings that fields of the policy are made of, where one may be refused for what another is.
const FIELDS: [(&str, &str); 8] = [
    ("tab_memory.soft", "tab-memory-soft"),
    ("tab_memory.hard", "tab-memory-hard"),
    ("browser_memory.soft", "browser-memory-soft"),
    ("browser_memory.hard", "browser-memory-hard"),
    ("retry_pause", "retry-pause"),
    ("retry_pause_cap", "retry-pause-cap"),
    ("heartbeat_interval", "heartbeat-interval"),
    ("health_check_interval", "health-check-interval"),
];

/// The flags that can mend a policy.
pub(super) fn flags(error: &PolicyError) -> Vec<String> {
    let fields = [Some(&error.field), error.bound.as_ref()].into_iter().flatten();
    let named = fields.filter_map(|field| FIELDS.iter().find(|(name, _)| name == field));
    named.map(|(_, setting)| format!("--{setting}")).collect()
}

/// Refuses `--tabs` where their number is fixed. In a file or a variable it is meant for other commands, too.
pub(super) fn refuse_tabs(settings: &Settings, command: &'static str, why: &'static str) -> Result<(), CliError> {
    match settings.tabs {
        Resolved { source: Source::Flag, .. } => Err(CliError::TabsAreFixed { command, why }),
        _ => Ok(()),
    }
}

fn breaker(settings: &Settings, browser: Browser) -> BreakerPolicy {
    let mut breaker = BreakerPolicy {
        failure_rate_threshold: *settings.breaker_failure_rate,
        slow_call_rate_threshold: *settings.breaker_slow_call_rate,
        permitted_number_of_calls_in_half_open_state: *settings.breaker_probes,
        ..BreakerPolicy::of(browser)
    };
    if let Some(failures) = settings.breaker_failures.get(&browser) {
        breaker.minimum_number_of_calls = *failures;
        breaker.sliding_window_size = 2 * failures;
    }
    if let Some(wait) = settings.breaker_wait.get(&browser) {
        breaker.wait_duration_in_open_state = *wait;
    }
    if let Some(slow) = settings.breaker_slow_call.get(&browser) {
        breaker.slow_call_duration_threshold = *slow;
    }
    breaker
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

#[cfg(test)]
mod tests {
    use super::{super::config::SettingsArgs, *};
    use crate::{cli::config::resolve, schedule::RetryBackoff};
    use clap::{Args, Command, FromArgMatches};
    use std::time::Duration;

    fn policy_of(flags: &[&str]) -> Policy {
        let command = SettingsArgs::augment_args(Command::new("tabfleet")).no_binary_name(true);
        let args = SettingsArgs::from_arg_matches(&command.get_matches_from(flags)).unwrap();
        policy(&resolve(&args, |_| None, None).unwrap())
    }

    /// As without any settings, but for the tabs: two keep a target busy while one's answer is on its way.
    fn default_policy() -> Policy {
        let breakers = Browser::ALL.iter().map(|browser| (*browser, BreakerPolicy::of(*browser))).collect();
        let scaling = Scaling { max_tabs: 2, ..Scaling::default() };
        Policy { tabs_per_target: 2, scaling, breakers, ..Policy::default() }
    }

    #[test]
    fn without_settings_the_policy_is_the_librarys() {
        assert_eq!(policy_of(&[]), default_policy());
        assert_eq!(policy_of(&[]).validate(), Ok(()));
    }

    #[test]
    fn each_setting_has_its_number_in_the_policy() {
        let flags = "--tabs=1-4 --in-flight-per-tab=9 --in-flight-per-browser=10 --in-flight-bytes=2MiB \
                     --heartbeat-interval=1s --heartbeat-timeout=4s --missed-heartbeats=5 --health-check-interval=9s \
                     --tab-memory-soft=1GiB --tab-memory-hard=2GiB --browser-memory-soft=3GiB \
                     --browser-memory-hard=4GiB --quarantine-after=7 --keep-targets=0 --retry-backoff=fibonacci \
                     --retry-pause=8ms --retry-pause-cap=1s --seed=6 --breaker-failures=chrome=2 \
                     --breaker-wait=firefox=11s --breaker-wait=edge=12s --breaker-slow-call=webkit=13s \
                     --tab-jobs=10 --tab-age=1h --tab-idle=2m --tab-failures=3 --breaker-failure-rate=25 \
                     --breaker-slow-call-rate=75 --breaker-probes=1";
        let flags: Vec<_> = flags.split_whitespace().collect();
        let secs = Duration::from_secs;
        let mut expected = Policy {
            tabs_per_target: 1,
            scaling: Scaling { max_tabs: 4, ..Scaling::default() },
            in_flight_per_tab: 9,
            in_flight_per_browser: Some(10),
            in_flight_bytes_per_tab: 2 << 20,
            heartbeat_interval: secs(1),
            heartbeat_timeout: secs(4),
            missed_heartbeats: 5,
            health_check_interval: secs(9),
            tab_memory: MemoryLimits { soft: 1 << 30, hard: 2 << 30 },
            browser_memory: MemoryLimits { soft: 3 << 30, hard: 4 << 30 },
            retirement: Retirement { jobs: 10, age: secs(3600), idle: secs(120), failures: 3, ..Retirement::default() },
            quarantine_after: 7,
            keep_targets: 0,
            retry_backoff: RetryBackoff::Fibonacci,
            retry_pause: Duration::from_millis(8),
            retry_pause_cap: secs(1),
            seed: 6,
            ..default_policy()
        };
        for (browser, breaker) in &mut expected.breakers {
            breaker.failure_rate_threshold = 25.0;
            breaker.slow_call_rate_threshold = 75.0;
            breaker.permitted_number_of_calls_in_half_open_state = 1;
            match browser {
                Browser::Chrome => (breaker.minimum_number_of_calls, breaker.sliding_window_size) = (2, 4),
                Browser::Firefox => breaker.wait_duration_in_open_state = secs(11),
                Browser::Edge => breaker.wait_duration_in_open_state = secs(12),
                Browser::Webkit => breaker.slow_call_duration_threshold = secs(13),
            }
        }
        assert_eq!(policy_of(&flags), expected);
    }

    #[test]
    fn a_policy_that_contradicts_itself_names_the_flags_that_mend_it() {
        let flags_of = |given: &[&str]| flags(&policy_of(given).validate().unwrap_err());
        assert_eq!(flags_of(&["--tab-memory-hard=1GiB"]), ["--tab-memory-soft", "--tab-memory-hard"]);
        assert_eq!(flags_of(&["--browser-memory-hard=1GiB"]), ["--browser-memory-soft", "--browser-memory-hard"]);
        assert_eq!(flags_of(&["--retry-pause=9s"]), ["--retry-pause-cap", "--retry-pause"]);
        assert_eq!(flags_of(&["--heartbeat-interval=1m"]), ["--health-check-interval", "--heartbeat-interval"]);
        let known = SettingsArgs::augment_args(Command::new("tabfleet"));
        for (_, setting) in FIELDS {
            assert!(known.get_arguments().any(|flag| flag.get_long() == Some(setting)), "{setting}");
        }
    }
}
