//! The CI templates: every command of each is really executed, as a night of four shares on one machine.

use crate::{
    fleets::{PATIENCE, are_here},
    processes::within,
};
use regex::Regex;
use std::path::Path;
use tabfleet::report::MatrixReport;
use tokio::process::Command;

/// What is run is less than a night would run: five cases, one target.
const CASES: &str = "/(mlp|mlp-dynamic|mlp-fp16|lstm|clip)$";

/// A night that goes by a template's commands, in a folder where the repository is `tabfleet`.
struct Night {
    folder: tempfile::TempDir,
}

impl Night {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), folder.path().join("tabfleet")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn execute(&self, command: &str, share: u32) {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", command]).current_dir(self.folder.path()).kill_on_drop(true);
        let ours = |name: &str| name.starts_with("TABFLEET_") && !name.ends_with("_BINARY");
        std::env::vars().map(|(name, _)| name).filter(|name| ours(name)).for_each(|name| {
            shell.env_remove(name);
        });
        shell.env("MATRIX_TABFLEET", env!("CARGO_BIN_EXE_tabfleet")).env("MATRIX_TABFLEET_DIR", "tabfleet");
        shell.env("TABFLEET_LAUNCH_TIMEOUT", "90s").env("XDG_RUNTIME_DIR", self.path("run"));
        shell.env("MATRIX_TARGETS", "chrome/wasm").env("MATRIX_OPTIONS", format!("--filter {CASES}"));
        // What the CI systems set.
        shell.env("CI_NODE_INDEX", share.to_string()).env("CI_NODE_TOTAL", "4").env("SHARE", share.to_string());
        shell.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", self.path("step-summary.md"));
        let output = within(4 * PATIENCE, command, shell.output()).await.unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        println!("$ {command}\n{said}");
        assert!(output.status.success(), "{command}: {:?}", output.status);
    }

    /// What everybody expects of the night after it.
    fn is_complete(&self) {
        let report = MatrixReport::read(self.path("matrix/matrix.json")).unwrap();
        assert_eq!((report.results.len(), report.failures()), (5, 0));
        assert!(report.ci.is_some());
        for file in ["junit.xml", "summary.md", "site/index.html", "site/performance.html"] {
            assert!(self.path("matrix").join(file).is_file(), "{file}");
        }
        assert!(self.path("matrix/site/badges/chrome-wasm.svg").is_file());
        assert!(self.path("matrix/site/wptreport/chrome-wasm.json").is_file());
        assert_eq!(std::fs::read_dir(self.path("matrix-past/reports")).unwrap().count(), 1, "kept for the next night");
        let summary = std::fs::read_to_string(self.path("step-summary.md")).unwrap();
        assert_eq!(summary.matches("## tabfleet matrix").count(), 1, "shares add nothing to it: {summary}");
    }
}

fn template(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci").join(name)).unwrap()
}

/// The commands, by a pattern whose first group is one; at least so many, or the pattern no longer fits.
fn commands(template: &str, pattern: &str, least: usize) -> Vec<String> {
    let found =
        Regex::new(pattern).unwrap().captures_iter(template).map(|found| found[1].to_owned()).collect::<Vec<_>>();
    assert!(found.len() >= least, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn github_actions() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let night = Night::new();
    for command in commands(&template("github-actions.yml"), r"(?m)^\s+run: (.+)$", 5) {
        let shares = if command.contains("matrix.share") { 1..=4 } else { 1..=1 };
        for share in shares {
            night.execute(&command.replace("${{ matrix.share }}", &share.to_string()), share).await;
        }
    }
    night.is_complete();
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_ci() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let night = Night::new();
    // Of all list items only commands begin so.
    let pattern = r"(?m)^    - ((?:test|rm|cp|cat|\$MATRIX_TABFLEET_DIR/).+)$";
    for command in commands(&template("gitlab-ci.yml"), pattern, 8) {
        let shares = if command.contains("CI_NODE_INDEX") { 1..=4 } else { 1..=1 };
        for share in shares {
            night.execute(&command, share).await;
        }
    }
    assert!(night.path("public/index.html").is_file());
    night.is_complete();
}

#[tokio::test(flavor = "multi_thread")]
async fn jenkins() {
    if !are_here(&["chrome/wasm"]) {
        return;
    }
    let night = Night::new();
    let all = commands(&template("Jenkinsfile"), r"(?m)^\s+sh '(.+)'$", 8);
    let last = all.iter().position(|command| command.contains("$SHARE")).expect("a command for a share");
    let (of_a_share, of_the_report) = all.split_at(last + 1);
    for share in 1..=4 {
        for command in of_a_share {
            night.execute(command, share).await;
        }
        // Each agent has a workspace of its own; Jenkins carries the stashes to the last one.
        night.execute("mkdir -p stash && cp matrix/shard-*.json stash/", share).await;
    }
    for command in of_the_report {
        if command.contains("merge") {
            night.execute("mkdir -p matrix && cp stash/* matrix/", 1).await;
        }
        night.execute(command, 1).await;
    }
    night.is_complete();
}
