//! What cannot be used is told with its reason: browsers, drivers, ports, models.

use crate::{
    fleets::{PATIENCE, builder, launched, target},
    models::{self, counting},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tabfleet::{
    fleet::{Fleet, FleetError, ModelSpec},
    harness::HarnessError,
    types::Browser,
};

/// The built-in catalogue, in which these keys of a section name nothing that there is.
pub fn catalogue_without(folder: &Path, section: &[&str], keys: &[&str]) -> PathBuf {
    let text = include_str!("../../drivers/browsers.toml");
    let mut catalogue: toml::Table = toml::from_str(text).unwrap();
    let mut table = &mut catalogue;
    for name in section {
        table = table[*name].as_table_mut().unwrap();
    }
    for key in keys {
        let nothing = |_: &toml::Value| toml::Value::Array(vec!["no-such-program".into()]);
        match &mut table[*key] {
            toml::Value::Table(systems) => systems.iter_mut().for_each(|(_, places)| *places = nothing(places)),
            names => *names = nothing(names),
        }
    }
    let path = folder.join("browsers.toml");
    std::fs::write(&path, toml::to_string(&catalogue).unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_too_old_is_told_with_what_is_needed() {
    let Some(builder) = builder(&["firefox/wasm"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../../drivers/browsers.toml").replace(r#"driver_minimum = ""#, r#"driver_minimum = "99."#);
    let catalogue = folder.path().join("browsers.toml");
    std::fs::write(&catalogue, text).unwrap();
    let reason = reason(builder.configure(|config| config.browsers_file = Some(catalogue))).await;
    assert!(reason.contains("is too old for firefox: 99."), "{reason}");
    assert!(reason.contains("brings it"), "{reason}");
}

async fn reason(fleet: tabfleet::fleet::FleetBuilder) -> String {
    match fleet.launch().await {
        Err(FleetError::NothingWorks(targets)) => {
            assert!(targets.iter().all(|info| !info.available));
            targets[0].reason.clone().unwrap()
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it works"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_browser_is_told_with_what_brings_it() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = catalogue_without(folder.path(), &["browser", "chrome"], &["names", "places"]);
    let builder = Fleet::builder().targets([target("chrome/wasm")]).configure(|config| {
        config.browsers_file = Some(catalogue);
        config.overrides.binaries.clear();
    });
    let reason = reason(builder).await;
    assert!(reason.contains("no chrome was found; looked for no-such-program"), "{reason}");
    assert!(reason.contains("brings it"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_driver_is_told_with_what_brings_it() {
    let Some(builder) = builder(&["firefox/wasm"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let catalogue = catalogue_without(folder.path(), &["engine", "gecko"], &["driver_names", "driver_places"]);
    let reason = reason(builder.configure(|config| config.browsers_file = Some(catalogue))).await;
    assert!(reason.contains("firefox needs no-such-program, which was not found"), "{reason}");
    assert!(reason.contains("brings it"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_never_connects_is_told_with_its_last_words() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shared/no-browser.sh");
    let builder = Fleet::builder().targets([target("chrome/wasm")]).configure(|config| {
        config.launch_timeout = Duration::from_secs(1);
        config.overrides.binaries.insert(Browser::Chrome, program);
        config.overrides.args.insert(Browser::Chrome, vec!["--say=still thinking".to_owned()]);
    });
    let reason = reason(builder).await;
    assert!(reason.contains("chrome could not be reached within 1s"), "{reason}");
    assert!(reason.contains("still thinking"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_browser_that_does_not_start_leaves_the_others() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shared/no-browser.sh");
    let builder = builder.targets([target("edge/wasm")]).configure(|config| {
        config.overrides.binaries.insert(Browser::Edge, program);
        config.overrides.args.insert(Browser::Edge, vec!["--say=no".to_owned(), "--end=3".to_owned()]);
    });
    let fleet = builder.launch().await.unwrap();
    let targets = fleet.targets().await.unwrap();
    let found: Vec<_> = targets.iter().map(|info| (info.target.to_string(), info.available)).collect();
    assert_eq!(found, [("chrome/wasm".to_owned(), true), ("edge/wasm".to_owned(), false)]);
    let reason = targets[1].reason.as_ref().unwrap();
    assert!(reason.contains("exit status: 3") && reason.contains("no"), "{reason}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_before_any_browser_starts() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let launch = Fleet::builder().targets([target("chrome/wasm")]).configure(|config| config.port = port).launch();
    let error = launch.await.expect_err("the port is taken");
    assert!(
        matches!(error, FleetError::Harness(HarnessError::PortTaken { port: told, .. }) if told == port),
        "{error}"
    );
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_without_targets_or_with_a_missing_runtime_is_refused() {
    assert!(matches!(Fleet::builder().launch().await.err(), Some(FleetError::NoTargets)));
    let builder = Fleet::builder().targets([target("chrome/wasm")]).custom_runtime("/nowhere/runtime.js");
    let error = builder.launch().await.expect_err("there is no such runtime");
    assert!(error.to_string().contains("/nowhere/runtime.js"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_models_are_told_apart() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = std::fs::read(models::save(folder.path(), "whole.onnx", &counting())).unwrap();
    // A hole of more than 2 GiB takes no room on the disk.
    let huge = folder.path().join("huge.onnx");
    std::fs::File::create(&huge).unwrap().set_len((2 << 30) + 1).unwrap();
    let mut outside = counting();
    outside.graph.as_mut().unwrap().initializer[0] = models::external("weights.bin");
    let files = [
        (folder.path().join("missing.onnx"), "does not exist"),
        (write("empty.onnx", b""), "is empty"),
        (write("cut.onnx", &whole[..whole.len() / 2]), "is cut off"),
        (write("page.onnx", b"<!doctype html><title>404</title>"), "it is a page"),
        (write("other.onnx", b"MZ\x90\x00 something else"), "is not an ONNX model"),
        (huge, "more than 2 GiB"),
        (models::save(folder.path(), "outside.onnx", &outside), "keeps weights in `weights.bin`, and there is no file"),
        (folder.path().to_owned(), "it is a folder"),
    ];
    for (path, words) in files {
        let error = fleet.get_model(ModelSpec::onnx(&path)).await.expect_err("this is no model").to_string();
        assert!(error.contains(words) && error.contains(&*path.to_string_lossy()), "{error}");
    }
    // With its weights beside it, the last one runs.
    write("weights.bin", &0.5_f32.to_le_bytes());
    let model = fleet.get_model(ModelSpec::onnx(folder.path().join("outside.onnx"))).await.unwrap();
    let options = model.options().deadline(PATIENCE);
    let output = model.run_with(models::count(2, 1.0), options).await.unwrap();
    assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [2.5]);
    fleet.close().await.unwrap();
}
