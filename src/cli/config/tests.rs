//! Which source wins, what is refused and how, and what a person sees.

use super::{
    Colour, ConfigError, Gpu, LogFormat, Settings, SettingsArgs, Source, TargetPattern, WebnnDevice, parse_targets,
    print, resolve,
};
use crate::types::{Backend, Browser, Target};
use clap::{Args, Command, FromArgMatches};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

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
    assert_eq!(tabs(from(&flag, &env, file)), (4, Source::Flag));
    assert_eq!(tabs(from(&[], &env, file)), (5, Source::Env("TABFLEET_TABS".to_owned())));
    assert!(
        matches!(tabs(from(&[], &[("TABFLEET_TABS", "")], file)), (6, Source::File(path)) if path.ends_with("tabfleet.toml"))
    );
    assert_eq!(tabs(from(&[], &[], None)), (2, Source::Default));
}

#[test]
fn flags_work_after_the_command_too() {
    let given = args(&["run", "--tabs", "7", "--headless=false"]).unwrap();
    let settings = resolve(&given, |_| None, None).unwrap();
    assert_eq!((*settings.tabs, *settings.headless), (7, false));
    assert!(*from(&["--headless"], &[], None).unwrap().headless);
    assert!(args(&["--tabs", "1", "--tabs", "2"]).is_err(), "one value for a single setting");
    assert_eq!(args(&["--config", "other.toml"]).unwrap().config.as_deref(), Some(Path::new("other.toml")));
}

#[test]
fn every_setting_can_be_given_everywhere() {
    let file = r#"
        targets = ["chrome/webgpu", "firefox"]
        case-timeout = "1m 30s"
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
    assert_eq!(*from_flags.gpu, Gpu::Software);
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
            of("tabs", "0"), of("tabs", "65"), of("tabs", "many"), of("tabs", "-1"), of("case-timeout", "30"),
            of("case-timeout", "9ms"), of("case-timeout", "25h"), of("retries", "11"), of("rtol", "NaN"),
            of("rtol", "-0.1"), of("gpu", "fast"), of("headless", "maybe"), of("port", "65536"),
            of("in-flight-bytes", "1KiB"), of("in-flight-bytes", "99999999999999GiB"), of("targets", "chrome/cuda"),
            of("targets", ""), of("binary", "opera=/x"), of("webdriver", "firefox=ftp://x"), of("history", ""),
            refused(&[], &[("TABFLEET_TABS", "100")], None),
            refused(&[], &[], Some("tabs = [1]")).replace(|c: char| c == '\\', "/").split(" (").next().unwrap_or_default().to_owned(),
        ]
        .join("\n"),
        @""
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
    insta::assert_snapshot!(print(&settings), @"");
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
    fn shown_values_are_understood(millis in 10_u64..=86_400_000, bytes in (1_u64 << 20)..=(1 << 34), tolerance in 0.0..=1.0) {
        let flags = [format!("--job-deadline={millis}ms"), format!("--in-flight-bytes={bytes}"), format!("--atol={tolerance}")];
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
