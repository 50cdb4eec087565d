//! Which source wins, what is refused and how, and what a person sees.

use super::{
    Colour, ConfigError, LogFormat, Settings, SettingsArgs, Source, TargetPattern, parse_targets, print, resolve,
};
use crate::{
    browser::GpuMode,
    harness::WebnnDevice,
    types::{Backend, Browser, Target},
};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn args(flags: &[&str]) -> Result<SettingsArgs, clap::Error> {
    let command = SettingsArgs::augment_args(Command::new("tabfleet")).subcommand(Command::new("run"));
    SettingsArgs::from_arg_matches(&command.try_get_matches_from([&["tabfleet"], flags].concat())?)
}

fn from(flags: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tabfleet.toml");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    let env = |name: &str| env.get(name).map(|text| (*text).to_owned());
    resolve(&args(flags).unwrap(), env, file.map(|_| path.as_path()))
}

fn refused(flags: &[&str], env: &[(&str, &str)], file: Option<&str>) -> String {
    from(flags, env, file).unwrap_err().to_string()
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let (flag, env, file) = (["--tabs", "4"], [("TABFLEET_TABS", "5")], Some("tabs = 6"));
    let tabs = |settings: Result<Settings, ConfigError>| {
        let tabs = settings.unwrap().tabs;
        (tabs.value, tabs.source)
    };
    assert_eq!(tabs(from(&flag, &env, file)), (4..=4, Source::Flag));
    assert_eq!(tabs(from(&[], &env, file)), (5..=5, Source::Env("TABFLEET_TABS".to_owned())));
    assert!(
        matches!(tabs(from(&[], &[("TABFLEET_TABS", "")], file)), (tabs, Source::File(path)) if tabs == (6..=6) && path.ends_with("tabfleet.toml"))
    );
    assert_eq!(tabs(from(&[], &[], None)), (2..=2, Source::Default));
}

#[test]
fn a_flag_for_one_browsers_program_leaves_the_variable_of_another() {
    let env = [("TABFLEET_CHROME_BINARY", "/opt/chrome"), ("TABFLEET_FIREFOX_BINARY", "/opt/firefox")];
    let binary = from(&["--binary", "firefox=/opt/nightly"], &env, None).unwrap().binary;
    assert_eq!(binary.source, Source::Flag);
    let named = [(Browser::Chrome, PathBuf::from("/opt/chrome")), (Browser::Firefox, PathBuf::from("/opt/nightly"))];
    assert_eq!(binary.value, named.into());
}

#[test]
fn flags_work_after_the_command_too() {
    let given = args(&["run", "--tabs", "7", "--headless=false"]).unwrap();
    let settings = resolve(&given, |_| None, None).unwrap();
    assert_eq!((settings.tabs.value, settings.headless.value), (7..=7, false));
    assert!(*from(&["--headless"], &[], None).unwrap().headless);
    assert!(args(&["--tabs", "1", "--tabs", "2"]).is_err(), "one value for a single setting");
    assert_eq!(args(&["--config", "other.toml"]).unwrap().config.as_deref(), Some(Path::new("other.toml")));
}

#[test]
fn the_flags_can_be_flattened() {
    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        settings: SettingsArgs,
        #[arg(long)]
        other: bool,
    }
    Program::command().debug_assert();
    let program = Program::try_parse_from(["tabfleet", "--other", "--tabs=3"]).unwrap();
    assert!(program.other);
    assert_eq!(resolve(&program.settings, |_| None, None).unwrap().tabs.value, 3..=3);
}

#[test]
fn every_setting_can_be_given_everywhere() {
    let file = r#"
        targets = ["chrome/webgpu", "firefox"]
        case-timeout = "1m 30s"
        tabs = "1-4"
        in-flight-per-browser = 12
        queue-timeout = "2s"
        model-concurrency = 3
        retries = 3
        rtol = 0.5
        webnn-device = "npu"
        headless = false
        in-flight-bytes = "1GiB"
        queue-limit = 10_000
        history = "none"
        [binary]
        chrome = "/opt/chrome"
        [browser-arg]
        firefox = ["--a=b,c", "--d"]
        edge = "--single"
        [webdriver]
        firefox = "http://127.0.0.1:4444/"
    "#;
    let settings = from(&[], &[], Some(file)).unwrap();
    let chrome = TargetPattern { browser: Browser::Chrome, backend: Some(Backend::Webgpu) };
    let firefox = TargetPattern { browser: Browser::Firefox, backend: None };
    assert_eq!(*settings.targets, [chrome, firefox]);
    assert_eq!(*settings.case_timeout, Duration::from_secs(90));
    assert_eq!((settings.tabs.value.clone(), *settings.in_flight_per_browser), (1..=4, Some(12)));
    assert_eq!((*settings.queue_timeout, *settings.model_concurrency), (Some(Duration::from_secs(2)), Some(3)));
    assert_eq!((*settings.retries, *settings.webnn_device, *settings.headless), (3, WebnnDevice::Npu, false));
    assert_eq!((*settings.in_flight_bytes, *settings.queue_limit), (1 << 30, 10_000));
    assert_eq!(settings.history.value, None);
    assert_eq!(settings.browser_arg[&Browser::Firefox], ["--a=b,c", "--d"]);
    assert_eq!(settings.browser_arg[&Browser::Edge], ["--single"]);
    assert_eq!(settings.webdriver[&Browser::Firefox].port(), Some(4444));

    let env = [
        ("TABFLEET_TARGETS", "chrome/webgpu, firefox"),
        ("TABFLEET_BROWSER_ARG", "firefox=--a=b,c; firefox=--d; edge=--single"),
        ("TABFLEET_LOG_FORMAT", "json"),
        ("TABFLEET_HISTORY", "h.duckdb"),
    ];
    let from_env = from(&[], &env, None).unwrap();
    assert_eq!(from_env.targets.value, settings.targets.value);
    assert_eq!(from_env.browser_arg.value, settings.browser_arg.value);
    assert_eq!(*from_env.log_format, LogFormat::Json);
    assert_eq!(from_env.history.as_deref(), Some(Path::new("h.duckdb")));

    let flags = [
        "--targets=chrome/webgpu",
        "--targets=firefox",
        "--browser-arg=firefox=--a=b,c",
        "--browser-arg=firefox=--d",
        "--browser-arg=edge=--single",
        "--gpu=software",
    ];
    let from_flags = from(&flags, &env, Some(file)).unwrap();
    assert_eq!(from_flags.targets.value, settings.targets.value);
    assert_eq!(from_flags.browser_arg.value, settings.browser_arg.value);
    assert_eq!(*from_flags.gpu, GpuMode::Software);
    assert!(from(&["--targets", "all"], &env, None).unwrap().targets.is_empty());
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known() {
    let unknown = |text| match from(&[], &[], Some(text)).unwrap_err() {
        ConfigError::Unknown { name, nearest, .. } => (name, nearest.unwrap_or_default()),
        other => panic!("{other}"),
    };
    assert_eq!(unknown("tab = 3"), ("tab".to_owned(), "tabs".to_owned()));
    assert_eq!(unknown("case_timeout = '1s'"), ("case_timeout".to_owned(), "case-timeout".to_owned()));
    assert_eq!(unknown("color = 'never'"), ("color".to_owned(), "colour".to_owned()));
    assert_eq!(unknown("zzzz = 1"), ("zzzz".to_owned(), String::new()));
    assert!(matches!(from(&[], &[], Some("tabs =")), Err(ConfigError::NotToml { .. })));
    let missing = resolve(&SettingsArgs::default(), |_| None, Some(Path::new("no/such.toml")));
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
}

#[test]
fn values_out_of_range_are_refused_with_field_value_and_range() {
    let of = |name: &str, value: &str| refused(&[&format!("--{name}={value}")], &[], None);
    insta::assert_snapshot!(
        [
            of("tabs", "0"), of("tabs", "65"), of("tabs", "many"), of("tabs", "-1"), of("tabs", "4-1"), of("tabs", "1..4"), of("tabs", "0-4"),
            of("in-flight-per-browser", "0"), of("queue-timeout", "2"), of("model-concurrency", "0"), of("case-timeout", "30"),
            of("case-timeout", "9ms"), of("case-timeout", "25h"), of("retries", "11"), of("rtol", "NaN"),
            of("rtol", "-0.1"), of("gpu", "fast"), of("headless", "maybe"), of("port", "65536"),
            of("in-flight-bytes", "1KiB"), of("in-flight-bytes", "99999999999999GiB"), of("targets", "chrome/cuda"),
            of("targets", ""), of("binary", "opera=/x"), of("webdriver", "firefox=ftp://x"), of("history", ""),
            of("alert-webhook", "https://x"), of("alert-error-rate", "2"), of("alert-window", "0s"),
            of("retry-backoff", "none"), of("breaker-failures", "chrome"), of("breaker-failures", "chrome=0"),
            of("breaker-wait", "firefox=6m"), of("breaker-failure-rate", "0"), of("keep-targets", "-1"),
            refused(&[], &[("TABFLEET_TABS", "100")], None),
        ]
        .join("\n"),
        @r"
        `tabs` (flag) cannot be `0`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `tabs` (flag) cannot be `65`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `tabs` (flag) cannot be `many`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `tabs` (flag) cannot be `-1`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `tabs` (flag) cannot be `4-1`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `tabs` (flag) cannot be `1..4`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `tabs` (flag) cannot be `0-4`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        `in-flight-per-browser` (flag) cannot be `0`: it takes a number from 1 to 65536, or none
        `queue-timeout` (flag) cannot be `2`: it takes a duration with its unit, from 10ms to 24h, or none
        `model-concurrency` (flag) cannot be `0`: it takes a number from 1 to 10000000, or none
        `case-timeout` (flag) cannot be `30`: it takes a duration with its unit, from 10ms to 24h
        `case-timeout` (flag) cannot be `9ms`: it takes a duration with its unit, from 10ms to 24h
        `case-timeout` (flag) cannot be `25h`: it takes a duration with its unit, from 10ms to 24h
        `retries` (flag) cannot be `11`: it takes a number from 0 to 10
        `rtol` (flag) cannot be `NaN`: it takes a number from 0 to 1
        `rtol` (flag) cannot be `-0.1`: it takes a number from 0 to 1
        `gpu` (flag) cannot be `fast`: it takes auto, hardware or software
        `headless` (flag) cannot be `maybe`: it takes true or false
        `port` (flag) cannot be `65536`: it takes a number from 0 to 65535
        `in-flight-bytes` (flag) cannot be `1KiB`: it takes a number of bytes or a size such as 64MiB, from 1MiB to 16GiB
        `in-flight-bytes` (flag) cannot be `99999999999999GiB`: it takes a number of bytes or a size such as 64MiB, from 1MiB to 16GiB
        `targets` (flag) cannot be `chrome/cuda`: it takes targets such as chrome/webgpu, browsers such as firefox, or all
        `targets` (flag) cannot be ``: it takes targets such as chrome/webgpu, browsers such as firefox, or all
        `binary` (flag) cannot be `opera=/x`: it takes BROWSER=PATH for each of chrome, edge, firefox, webkit
        `webdriver` (flag) cannot be `firefox=ftp://x`: it takes BROWSER=URL (http) for each of chrome, edge, firefox, webkit
        `history` (flag) cannot be ``: it takes a path, or none
        `alert-webhook` (flag) cannot be `https://x`: it takes an http:// address without a password (this build speaks no TLS), or none
        `alert-error-rate` (flag) cannot be `2`: it takes a number from 0 to 1
        `alert-window` (flag) cannot be `0s`: it takes a duration with its unit, from 1s to 24h
        `retry-backoff` (flag) cannot be `none`: it takes exponential, linear, fibonacci or decorrelated-jitter
        `breaker-failures` (flag) cannot be `chrome`: it takes BROWSER=NUMBER for each of chrome, edge, firefox, webkit: a number from 1 to 1000
        `breaker-failures` (flag) cannot be `chrome=0`: it takes BROWSER=NUMBER for each of chrome, edge, firefox, webkit: a number from 1 to 1000
        `breaker-wait` (flag) cannot be `firefox=6m`: it takes BROWSER=DURATION for each of chrome, edge, firefox, webkit: a duration with its unit, from 1ms to 5m
        `breaker-failure-rate` (flag) cannot be `0`: it takes a number from 1 to 100
        `keep-targets` (flag) cannot be `-1`: it takes a number from 0 to 64
        `tabs` (TABFLEET_TABS) cannot be `100`: it takes a number from 1 to 64, or a range of such numbers written 1-4
        "
    );
}

#[test]
fn no_color_is_obeyed_unless_colour_is_asked_for() {
    let no_color = [("NO_COLOR", "1")];
    let colour = from(&[], &no_color, None).unwrap().colour;
    assert_eq!((colour.value, colour.source), (Colour::Never, Source::Env("NO_COLOR".to_owned())));
    assert_eq!(*from(&["--colour", "always"], &no_color, None).unwrap().colour, Colour::Always);
    assert_eq!(*from(&[], &[("NO_COLOR", "")], None).unwrap().colour, Colour::Auto);
}

#[test]
fn the_table_of_settings() {
    let env = [("TABFLEET_BINARY", "chrome=/opt/chrome"), ("NO_COLOR", "1")];
    let settings = from(&["--targets", "chrome,edge/webnn", "--case-timeout", "2m"], &env, None).unwrap();
    insta::assert_snapshot!(print(&settings), @r"
        setting                 value               from             takes
        targets                 chrome,edge/webnn   flag             targets such as chrome/webgpu, browsers such as firefox, or all
        tabs                    2                   default          a number from 1 to 64, or a range of such numbers written 1-4
        in-flight-per-tab       8                   default          a number from 1 to 1024
        in-flight-per-browser   none                default          a number from 1 to 65536, or none
        in-flight-bytes         64MiB               default          a number of bytes or a size such as 64MiB, from 1MiB to 16GiB
        queue-limit             10000               default          a number from 1 to 10000000
        queue-bytes             1GiB                default          a number of bytes or a size such as 64MiB, from 1MiB to 1024GiB
        model-concurrency       none                default          a number from 1 to 10000000, or none
        queue-timeout           none                default          a duration with its unit, from 10ms to 24h, or none
        job-deadline            1m                  default          a duration with its unit, from 10ms to 24h
        case-timeout            2m                  flag             a duration with its unit, from 10ms to 24h
        retries                 1                   default          a number from 0 to 10
        fallback                off                 default          off or native
        launch-timeout          30s                 default          a duration with its unit, from 1s to 10m
        rtol                    0.001               default          a number from 0 to 1
        atol                    0.00001             default          a number from 0 to 1
        float16-tolerance       0.01                default          a number from 0 to 1
        webnn-device            cpu                 default          cpu, gpu or npu
        gpu                     auto                default          auto, hardware or software
        threads                 0                   default          a number from 0 to 256
        headless                true                default          true or false
        port                    0                   default          a number from 0 to 65535
        metrics                 none                default          a port of 127.0.0.1, an address with a port such as 0.0.0.0:9464, or none
        seed                    0                   default          a number from 0 to 18446744073709551615
        history                 none                default          a path, or none
        history-mode            direct              default          direct or spool
        alert-error-rate        0.5                 default          a number from 0 to 1
        alert-window            1m                  default          a duration with its unit, from 1s to 24h
        alert-cooldown          5m                  default          a duration with its unit, from 1s to 24h
        alert-webhook           none                default          an http:// address without a password (this build speaks no TLS), or none
        runtime                 none                default          a path, or none
        browsers-file           none                default          a path, or none
        binary                  chrome=/opt/chrome  TABFLEET_BINARY  BROWSER=PATH for each of chrome, edge, firefox, webkit
        browser-arg             none                default          BROWSER=ARGUMENT, any number for each of chrome, edge, firefox, webkit
        webdriver               none                default          BROWSER=URL (http) for each of chrome, edge, firefox, webkit
        log-format              text                default          text or json
        colour                  never               NO_COLOR         auto, always or never
        heartbeat-interval      2s                  default          a duration with its unit, from 10ms to 24h
        heartbeat-timeout       3s                  default          a duration with its unit, from 10ms to 24h
        missed-heartbeats       2                   default          a number from 1 to 1000
        health-check-interval   30s                 default          a duration with its unit, from 10ms to 24h
        tab-memory-soft         2GiB                default          a number of bytes or a size such as 64MiB, from 1MiB to 16GiB
        tab-memory-hard         3GiB                default          a number of bytes or a size such as 64MiB, from 1MiB to 16GiB
        tab-jobs                1000                default          a number from 1 to 4294967295
        tab-age                 1h                  default          a duration with its unit, from 1s to 8760h
        tab-idle                30m                 default          a duration with its unit, from 1s to 8760h
        tab-failures            5                   default          a number from 1 to 4294967295
        browser-memory-soft     8GiB                default          a number of bytes or a size such as 64MiB, from 64MiB to 1024GiB
        browser-memory-hard     16GiB               default          a number of bytes or a size such as 64MiB, from 64MiB to 1024GiB
        quarantine-after        2                   default          a number from 1 to 1000
        keep-targets            1                   default          a number from 0 to 64
        retry-backoff           exponential         default          exponential, linear, fibonacci or decorrelated-jitter
        retry-pause             50ms                default          a duration with its unit, from 1ms to 24h
        retry-pause-cap         2s                  default          a duration with its unit, from 1ms to 24h
        breaker-failures        chrome=5            default          BROWSER=NUMBER for each of chrome, edge, firefox, webkit: a number from 1 to 1000
                                edge=5
                                firefox=4
                                webkit=3
        breaker-wait            chrome=30s          default          BROWSER=DURATION for each of chrome, edge, firefox, webkit: a duration with its unit, from 1ms to 5m
                                edge=25s
                                firefox=20s
                                webkit=45s
        breaker-slow-call       chrome=2s           default          BROWSER=DURATION for each of chrome, edge, firefox, webkit: a duration with its unit, from 1ms to 24h
                                edge=2s
                                firefox=1s 800ms
                                webkit=2s 500ms
        breaker-failure-rate    50                  default          a number from 1 to 100
        breaker-slow-call-rate  100                 default          a number from 1 to 100
        breaker-probes          3                   default          a number from 1 to 100
    ");
}

#[test]
fn a_bare_browser_means_all_its_backends() {
    let patterns = parse_targets(["firefox", "chrome/wasm"]).unwrap();
    let targets: Vec<Target> = patterns.iter().flat_map(TargetPattern::targets).collect();
    let names: Vec<_> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["firefox/webgpu", "firefox/webnn", "firefox/wasm", "chrome/wasm"]);
    assert!(parse_targets(["chrome/"]).is_err() && parse_targets([""]).is_err() && parse_targets(["wasm"]).is_err());
}

proptest! {
    /// What `tabfleet config` shows can be given again, and means the same.
    #[test]
    fn shown_values_are_understood(
        millis in 10_u64..=86_400_000, bytes in (1_u64 << 20)..=(1 << 34), tolerance in 0.0..=1.0, least in 1..=64_u32, more in 0..=63_u32
    ) {
        let most = (least + more).min(64);
        let flags = [format!("--tabs={least}-{most}"), format!("--queue-timeout={millis}ms"), format!("--job-deadline={millis}ms"), format!("--in-flight-bytes={bytes}"), format!("--atol={tolerance}")];
        let settings = from(&flags.each_ref().map(String::as_str), &[], None).unwrap();
        prop_assert_eq!(settings.job_deadline.as_millis(), u128::from(millis));
        let again: Vec<_> = Settings::entries()
            .iter()
            .zip(settings.shown())
            .filter(|(_, (_, source))| **source == Source::Flag)
            .map(|(entry, (value, _))| format!("--{}={value}", entry.name))
            .collect();
        let again = from(&again.iter().map(String::as_str).collect::<Vec<_>>(), &[], None).unwrap();
        prop_assert_eq!(again, settings);
    }
}
