//! `tabfleet health` beside commands that really run: what it says, what it exits with, and that nobody else can ask.

use crate::{
    command::{Ended, run, tabfleet},
    fleets::{PATIENCE, are_here},
    models::{self, ENDLESS, count, counting},
    processes::{kill, until, within},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tabfleet::{
    report::HealthReport,
    types::{HealthLevel, Tensor},
};
use tokio::{io::AsyncReadExt, process::Child};

fn notes(folder: &Path) -> Vec<PathBuf> {
    let notes = std::fs::read_dir(folder.join("tabfleet")).into_iter().flatten();
    notes.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "json")).collect()
}

/// A note that no fleet left.
fn put(note: &Path, text: &Value) {
    use std::os::unix::fs::DirBuilderExt;
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true).mode(0o700).create(note.parent().unwrap()).unwrap();
    std::fs::write(note, text.to_string()).unwrap();
}

/// A matrix that never ends by itself, and its note.
async fn busy(folder: &Path) -> (Child, PathBuf) {
    let y = ("y".to_owned(), Tensor::from_values([1], &[0.0_f32]).unwrap());
    models::save_case(&folder.join("suite"), "hangs", &counting(), &count(ENDLESS, 1.0), &[y]);
    let args = ["matrix", "suite", "--targets", "chrome/wasm,chrome/webnn", "--case-timeout", "1h"];
    let child = tabfleet(folder, &args).spawn().unwrap();
    until(PATIENCE, "the fleet's note", || notes(folder).len() == 1).await;
    (child, notes(folder).remove(0))
}

async fn health(folder: &Path, args: &[&str]) -> Ended {
    run(folder, &[&["health"], args].concat()).await
}

/// Asks until a tab is ready; the fleet may be asked while it launches.
async fn once_a_tab_is_ready(folder: &Path) -> HealthReport {
    let asked = async {
        loop {
            let told = health(folder, &["--json"]).await;
            let report: HealthReport = serde_json::from_str(&told.out).unwrap();
            if report.fleets[0].health.targets.iter().any(|target| target.ready_tabs > 0) {
                assert_eq!(told.code, Some(0), "{told:?}");
                return report;
            }
        }
    };
    within(PATIENCE, "a tab that is ready", asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_fleet_is_told_until_its_command_ends() {
    if !cfg!(target_os = "linux") || !are_here(&["chrome/wasm"]) {
        println!("SKIPPED: it takes Linux and Chrome");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut child, note) = busy(folder.path()).await;
    let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777;
    assert_eq!((mode(&note), mode(note.parent().unwrap())), (0o600, 0o700));

    let report = once_a_tab_is_ready(folder.path()).await;
    let [fleet] = &report.fleets[..] else { panic!("{report:?}") };
    assert_eq!((Some(fleet.pid), &*fleet.command), (child.id(), "matrix"));
    let wasm = fleet.health.targets.iter().find(|row| row.target.to_string() == "chrome/wasm").unwrap();
    assert!(wasm.health.level == HealthLevel::Healthy && wasm.given_up.is_none(), "{wasm:?}");

    let before = Instant::now();
    let told = health(folder.path(), &[]).await;
    println!("asked in {:?}:\n{}", before.elapsed(), told.out);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains(&format!("matrix, process {} at {}", fleet.pid, fleet.origin)), "{}", told.out);
    let row = told.out.lines().find(|line| line.contains("chrome/wasm")).unwrap();
    assert!(row.contains("healthy") && row.contains("closed"), "{row}");

    let note: Value = serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
    let token = note["token"].as_str().unwrap();
    let json = health(folder.path(), &["--json", "-vvv"]).await;
    assert!(![&json.out, &json.err, &told.out, &told.err].iter().any(|text| text.contains(token)));

    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    within(PATIENCE, "the command to end", child.wait()).await.unwrap();
    assert!(!folder.path().join("tabfleet").exists(), "{:?}", notes(folder.path()));
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
    assert!(!err.contains("will not find this fleet"), "{err}");
    assert_eq!(health(folder.path(), &[]).await.code, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_command_left_behind_is_not_believed() {
    if !cfg!(target_os = "linux") || !are_here(&["chrome/wasm"]) {
        println!("SKIPPED: it takes Linux and Chrome");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut child, note) = busy(folder.path()).await;
    kill(child.id().unwrap());
    child.wait().await.unwrap();
    let mut text: Value = serde_json::from_slice(&std::fs::read(&note).expect("nobody took the note away")).unwrap();
    assert_eq!(health(folder.path(), &[]).await.code, Some(5));
    assert!(!note.exists());

    // The process id was given to somebody else: to this test.
    text["pid"] = std::process::id().into();
    put(&note, &text);
    assert_eq!(health(folder.path(), &[]).await.code, Some(5));
    assert!(!note.exists());

    // Where the system does not tell when a process started, only asking does.
    text["process_start"] = Value::Null;
    put(&note, &text);
    assert_eq!(health(folder.path(), &[]).await.code, Some(5));
    assert!(!note.exists());

    // Somebody else answers on the port.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    text["origin"] = format!("http://{}", listener.local_addr().unwrap()).into();
    let other = axum::Router::new().route("/health", axum::routing::get(|| async { "I am fine" }));
    tokio::spawn(async move { axum::serve(listener, other).await });
    put(&note, &text);
    let told = health(folder.path(), &[]).await;
    assert!(told.code == Some(4) && told.err.contains("does not tell of its health: expected value"), "{told:?}");
}

#[tokio::test]
async fn without_a_fleet_it_exits_with_5_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let told = health(folder.path(), &[]).await;
    assert!(told.code == Some(5) && told.out.is_empty(), "{told:?}");
    let words = "no command of this user is running a fleet on this machine\nhint: ";
    assert!(told.err.contains(words), "{told:?}");
    let told = health(folder.path(), &["--json"]).await;
    let none = serde_json::json!({ "fleets": [] });
    assert_eq!((told.code, serde_json::from_str::<Value>(&told.out).unwrap()), (Some(5), none));

    assert!(!folder.path().join("tabfleet").exists(), "who looks leaves nothing");

    put(&folder.path().join("tabfleet/other.json"), &serde_json::json!({}));
    let told = health(folder.path(), &[]).await;
    assert!(told.code == Some(5) && told.err.contains("this is no fleet's note"), "{told:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_others_can_use_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("tabfleet");
    std::fs::create_dir(&notes).unwrap();
    std::fs::set_permissions(&notes, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let told = health(folder.path(), &[]).await;
    assert!(told.code == Some(4) && told.err.contains("not a folder that only this user can use"), "{told:?}");
    assert!(told.err.contains("hint: remove"), "{told:?}");
}
