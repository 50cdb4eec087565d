//! The table of settings: the one place where a default, a range or a reason is written down.

use super::{
    ConfigError, Resolved, Source, TargetPattern,
    kind::{
        Choice, EachBrowser, Kind, MaybeAddress, MaybePath, MaybeUrl, Number, PerBrowser, Size, Span, Switch, Targets,
    },
    limits::{MaybeLimit, Range},
    table::{Entry, LookUp, resolve_one, settings},
};
use crate::{
    browser::GpuMode,
    harness::WebnnDevice,
    history::HistoryMode,
    schedule::{BreakerPolicy, Fallback, Policy, RetryBackoff},
    types::{Browser, names},
};
use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};
use url::Url;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
names!(LogFormat { Text = "text", Json = "json" });

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// When it goes to a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
names!(Colour { Auto = "auto", Always = "always", Never = "never" });

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What `--help` lists the settings under.
pub(super) const SETTINGS: &str = "Settings (also in tabfleet.toml; see `tabfleet config`)";
/// And those of health and recovery.
const HEALTH: &str = "Health and recovery (settings, too)";

const MIB: u64 = 1 << 20;
const DAY: Duration = secs(24 * 3600);
const YEAR: Duration = secs(365 * 24 * 3600);

const BINARIES: PerBrowser<PathBuf> = PerBrowser {
    what: "BROWSER=PATH",
    parse: |texts| match texts {
        [path] if !path.is_empty() => Some(path.into()),
        _ => None,
    },
    show: |path| path.display().to_string(),
};
const ARGUMENTS: PerBrowser<Vec<String>> = PerBrowser {
    what: "BROWSER=ARGUMENT, any number",
    parse: |texts| Some(texts.to_vec()),
    show: |texts| texts.join(" "),
};
const ENDPOINTS: PerBrowser<Url> = PerBrowser {
    what: "BROWSER=URL (http)",
    parse: |texts| match texts {
        [url] => Url::parse(url).ok().filter(|url| url.scheme() == "http"),
        _ => None,
    },
    show: Url::to_string,
};
const FAILURES: EachBrowser<Number<u32>> =
    EachBrowser { of: Number(1..=1000), default: |browser| BreakerPolicy::of(browser).minimum_number_of_calls };
const WAITS: EachBrowser<Span> = EachBrowser {
    of: Span(millis(1)..=ANY_BREAKER.wait_duration_cap),
    default: |browser| BreakerPolicy::of(browser).wait_duration_in_open_state,
};
const SLOW_CALLS: EachBrowser<Span> = EachBrowser {
    of: Span(millis(1)..=DAY),
    default: |browser| BreakerPolicy::of(browser).slow_call_duration_threshold,
};
/// For what does not depend on the browser.
const ANY_BREAKER: BreakerPolicy = BreakerPolicy::of(Browser::Chrome);

settings! {
    /// Every setting, resolved.
    struct Settings {
        in SETTINGS:
        /// The targets to use. A bare browser means all of its backends; all means every target that is found.
        targets: Vec<TargetPattern> = Vec::new(), Targets;
        /// Tabs for each target, or the least and the most of them. Two keep a target busy while one's answer is on its
        /// way. Within a range their number follows the load, and a further one is kept if it gets more done. `run`,
        /// `bench` and `doctor` have a tab for each target.
        tabs: RangeInclusive<u32> = 2..=2, Range(1..=64);
        /// The most jobs a tab is given at once. Eight hide the way there and back of small models; more only wait in
        /// the tab, where they can no longer go elsewhere.
        in_flight_per_tab: u32 = 8, Number(1..=1024);
        /// The most jobs that all tabs of a browser are given at once. Without it, as many as its tabs may.
        in_flight_per_browser: Option<u32> = None, MaybeLimit(Number(1..=65_536));
        /// The most bytes of inputs a tab is given at once. They lie in the browser's memory twice.
        in_flight_bytes: u64 = 64 * MIB, Size(MIB..=16 * 1024 * MIB);
        /// The most jobs that wait or run. A queue without a bound hides that the fleet is too slow until memory runs out.
        queue_limit: u32 = 10_000, Number(1..=10_000_000);
        /// The most bytes of inputs of jobs that wait or run.
        queue_bytes: u64 = 1024 * MIB, Size(MIB..=1024 * 1024 * MIB);
        /// The most jobs of one model that wait or run. Without it, as many as there is room for.
        model_concurrency: Option<u32> = None, MaybeLimit(Number(1..=10_000_000));
        /// The longest a job may wait until a tab takes it: for its model's turn, for room in the queue, and for a tab.
        /// Without it, as long as its deadline.
        queue_timeout: Option<Duration> = None, MaybeLimit(Span(millis(10)..=DAY));
        /// The longest a job may take from the call to its answer, all attempts together.
        job_deadline: Duration = secs(60), Span(millis(10)..=DAY);
        /// The longest a case may take on a target; it then gets the verdict timeout.
        case_timeout: Duration = secs(30), Span(millis(10)..=DAY);
        /// Further attempts after a failed one. One tells a flaw of the tab from one of the model.
        retries: u32 = 1, Number(0..=10);
        /// What becomes of a job that no target can take: it ends with an error, or runs in this process. Jobs that are
        /// for certain targets, as all of `bench` and `matrix`, never do, so that what browsers do is not covered up.
        fallback: Fallback = Fallback::Off, Choice(Fallback::ALL);
        /// The longest a browser may take until it can be driven. A cold start on a busy machine takes ten seconds.
        launch_timeout: Duration = secs(30), Span(secs(1)..=secs(600));
        /// Relative tolerance of outputs. As in the ONNX backend tests.
        rtol: f64 = 1e-3, Number(0.0..=1.0);
        /// Absolute tolerance of outputs. GPUs add in another order than the expected outputs were computed in.
        atol: f64 = 1e-5, Number(0.0..=1.0);
        /// Relative and absolute tolerance of float16 outputs, which have 11 significant bits.
        float16_tolerance: f64 = 1e-2, Number(0.0..=1.0);
        /// The device that WebNN is asked for. The CPU is the one that every implementation has.
        webnn_device: WebnnDevice = WebnnDevice::Cpu, Choice(WebnnDevice::ALL);
        /// The GPU adapters that WebGPU may use.
        gpu: GpuMode = GpuMode::Auto, Choice(GpuMode::ALL);
        /// WASM threads of each tab; 0 lets the runtime decide.
        threads: u32 = 0, Number(0..=256);
        /// Whether browsers run without windows.
        headless: bool = true, Switch;
        /// The port that tabs connect to on 127.0.0.1; 0 takes a free one.
        port: u16 = 0, Number(0..=u16::MAX);
        /// Where metrics are served for Prometheus to scrape, at /metrics: an address, or a port of the loopback.
        metrics: Option<SocketAddr> = None, MaybeAddress;
        /// The seed of everything random: generated inputs, jitter, order.
        seed: u64 = 0, Number(0..=u64::MAX);
        /// The DuckDB file in which runs are recorded.
        history: Option<PathBuf> = None, MaybePath;
        /// What is done while another process has that file open: an error, or the run is kept beside it, for
        /// `tabfleet history merge` to take in.
        history_mode: HistoryMode = HistoryMode::Direct, Choice(HistoryMode::ALL);
        /// The share of failed attempts above which is warned; 1 is never. Half is more failures than answers.
        alert_error_rate: f64 = 0.5, Number(0.0..=1.0);
        /// The time over which failed attempts are counted. Of fewer than 20 in it, nothing is said.
        alert_window: Duration = secs(60), Span(secs(1)..=DAY);
        /// How long the same warning (failed attempts, an open circuit, a target given up) is not repeated.
        alert_cooldown: Duration = secs(300), Span(secs(1)..=DAY);
        /// Where warnings are posted to as JSON, besides the log.
        alert_webhook: Option<Url> = None, MaybeUrl;
        /// A runtime module to load models with, instead of the ONNX Runtime Web that is built in.
        runtime: Option<PathBuf> = None, MaybePath;
        /// A browser catalogue, instead of the one that is built in.
        browsers_file: Option<PathBuf> = None, MaybePath;
        /// The program of a browser, instead of the one that is found.
        binary: BTreeMap<Browser, PathBuf> = BTreeMap::new(), BINARIES;
        /// Further command-line arguments of a browser.
        browser_arg: BTreeMap<Browser, Vec<String>> = BTreeMap::new(), ARGUMENTS;
        /// A running WebDriver endpoint of a browser, instead of a driver of our own.
        webdriver: BTreeMap<Browser, Url> = BTreeMap::new(), ENDPOINTS;
        /// How the log is written.
        log_format: LogFormat = LogFormat::Text, Choice(LogFormat::ALL);
        /// Whether output is coloured. Without a value of its own, NO_COLOR is obeyed.
        colour: Colour = Colour::Auto, Choice(Colour::ALL);

        in HEALTH:
        /// How often tabs and browsers are asked whether they are there.
        heartbeat_interval: Duration = Policy::default().heartbeat_interval, Span(millis(10)..=DAY);
        /// How long tabs and browsers may take to answer that.
        heartbeat_timeout: Duration = Policy::default().heartbeat_timeout, Span(millis(10)..=DAY);
        /// Heartbeats missed in a row after which a tab is replaced or a browser restarted. One may be a busy machine's.
        missed_heartbeats: u32 = Policy::default().missed_heartbeats, Number(1..=1000);
        /// How often each tab is asked something whose answer is known, and memory is read.
        health_check_interval: Duration = Policy::default().health_check_interval, Span(millis(10)..=DAY);
        /// The WASM memory above which an idle tab's worker is replaced. WASM memory never shrinks.
        tab_memory_soft: u64 = Policy::default().tab_memory.soft, Size(MIB..=16 * 1024 * MIB);
        /// The WASM memory above which a tab's worker is replaced at once. It ends at 4 GiB.
        tab_memory_hard: u64 = Policy::default().tab_memory.hard, Size(MIB..=16 * 1024 * MIB);
        /// The jobs after which a tab is replaced by a fresh one, once it is a minute old. Browsers' memory creeps.
        tab_jobs: u32 = Policy::default().retirement.jobs, Number(1..=u32::MAX);
        /// The age at which a tab is replaced.
        tab_age: Duration = Policy::default().retirement.age, Span(secs(1)..=YEAR);
        /// The time without a job after which a tab is replaced.
        tab_idle: Duration = Policy::default().retirement.idle, Span(secs(1)..=YEAR);
        /// The failures after which a tab is replaced, also where successes came in between.
        tab_failures: u32 = Policy::default().retirement.failures, Number(1..=u32::MAX);
        /// The memory of its processes above which an idle browser is restarted.
        browser_memory_soft: u64 = Policy::default().browser_memory.soft, Size(64 * MIB..=1024 * 1024 * MIB);
        /// The memory of its processes above which a browser is restarted at once.
        browser_memory_hard: u64 = Policy::default().browser_memory.hard, Size(64 * MIB..=1024 * 1024 * MIB);
        /// How often a job may end what runs it before it is given up. Once may be the tab's fault, twice is the job's.
        quarantine_after: u32 = Policy::default().quarantine_after, Number(1..=1000);
        /// Targets that a job keeps whatever their circuit breakers say. With 0, a job that only open ones could run
        /// fails at once.
        keep_targets: usize = Policy::default().keep_targets, Number(0..=64);
        /// How the pauses grow before a job is tried again.
        retry_backoff: RetryBackoff = Policy::default().retry_backoff, Choice(RetryBackoff::ALL);
        /// The first pause before a job is tried again, where it helps to wait.
        retry_pause: Duration = Policy::default().retry_pause, Span(millis(1)..=DAY);
        /// The longest pause before a job is tried again.
        retry_pause_cap: Duration = Policy::default().retry_pause_cap, Span(millis(1)..=DAY);
        /// Calls to a browser's target before its breaker may open. It looks at the last calls, twice as many as these.
        breaker_failures: BTreeMap<Browser, u32> = FAILURES.defaults(), FAILURES;
        /// How long the breaker of a browser's target first stays open. Each further time doubles it.
        breaker_wait: BTreeMap<Browser, Duration> = WAITS.defaults(), WAITS;
        /// From when a call to a browser's target may be slow. It is if it also takes far longer than its model does.
        breaker_slow_call: BTreeMap<Browser, Duration> = SLOW_CALLS.defaults(), SLOW_CALLS;
        /// The failed calls, in percent, at which a breaker opens.
        breaker_failure_rate: f64 = ANY_BREAKER.failure_rate_threshold, Number(1.0..=100.0);
        /// The slow calls, in percent, at which a breaker opens.
        breaker_slow_call_rate: f64 = ANY_BREAKER.slow_call_rate_threshold, Number(1.0..=100.0);
        /// The calls that an open breaker lets through after its wait. If all succeed, it closes.
        breaker_probes: u32 = ANY_BREAKER.permitted_number_of_calls_in_half_open_state, Number(1..=100);
    }
}
