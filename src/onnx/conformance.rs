//! ONNX's own conformance cases as a suite, made by the `onnx` Python package in an environment of its own.

use super::builtin::cache_folder;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the cases are made by.
const SCRIPT: &str = include_str!("conformance/write_cases.py");

/// The packages it needs, pinned.
const REQUIREMENTS: &str = include_str!("conformance/requirements.txt");

/// So many lines of what a failed step said are told: its last ones say why.
const LAST_WORDS: usize = 8;

/// Why the conformance cases could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// There is something where they should go.
    #[error("{} exists already; name another folder, or remove it", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// There is no such Python.
    #[error(
        "`{python}` cannot be started; install Python 3.11 or newer with its venv module, or name it with --python"
    )]
    NoPython {
        /// How it was called.
        python: String,
        /// What the system said.
        source: io::Error,
    },
    /// A step ended with an error.
    #[error("{what} failed:\n{words}")]
    Step {
        /// What was done.
        what: &'static str,
        /// The last it said.
        words: String,
    },
    /// The disk did not give or take it.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How many cases of each kind were written: `node`, `simple`, `pytorch-converted`, `pytorch-operator`, `light`.
pub type CaseCounts = Vec<(String, usize)>;

/// Writes the conformance cases into a new folder. The first time, the packages that make them are installed into an
/// environment in the user's cache, which takes a connection to PyPI; `tell` hears what is being done.
///
/// # Errors
/// [`ConformanceError`].
pub fn write_conformance_suite(
    output: &Path,
    python: &str,
    mut tell: impl FnMut(&str),
) -> Result<CaseCounts, ConformanceError> {
    if output.exists() {
        return Err(ConformanceError::Exists { path: output.to_owned() });
    }
    let environment = environment(python, &mut tell)?;
    tell("writing the cases");
    let interpreter = interpreter(&environment);
    let written = step(
        "writing the cases",
        Command::new(interpreter).arg("-I").arg(environment.join("write_cases.py")).arg(output),
        python,
    )?;
    let counts = written.lines().filter_map(|line| {
        let (kind, count) = line.split_once(' ')?;
        Some((kind.to_owned(), count.parse().ok()?))
    });
    Ok(counts.collect())
}

/// The environment with the packages; made, when it is not there. One for each content: another version of this program
/// does not find what it does not know.
fn environment(python: &str, tell: &mut impl FnMut(&str)) -> Result<PathBuf, ConformanceError> {
    let content = Sha256::digest(format!("{SCRIPT}\0{REQUIREMENTS}"));
    let content: String = content.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache_folder().join("tabfleet").join(format!("onnx-{content}"));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ConformanceError::Io { path, source }
    };
    // Written last: what has it is whole.
    let ready = folder.join("ready");
    if ready.is_file() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(io(&folder.join(name)));
    write("write_cases.py", SCRIPT)?;
    write("requirements.txt", REQUIREMENTS)?;
    tell("making a Python environment for the onnx package");
    step(
        "making a Python environment",
        Command::new(python).args(["-m", "venv", "--clear"]).arg(folder.join("venv")),
        python,
    )?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r"];
    step(
        "installing the onnx package",
        Command::new(interpreter(&folder)).args(pip).arg(folder.join("requirements.txt")),
        python,
    )?;
    write("ready", "")?;
    Ok(folder)
}

fn interpreter(environment: &Path) -> PathBuf {
    let venv = environment.join("venv");
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}

/// Does one step and returns what it printed.
fn step(what: &'static str, command: &mut Command, python: &str) -> Result<String, ConformanceError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ConformanceError::NoPython { python: python.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let words = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n");
    Err(ConformanceError::Step { what, words })
}
