//! Suites: folders of cases in the layout of ONNX's backend tests.

use super::builtin;
use super::case::{Case, DataSet};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

/// A folder of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub root: PathBuf,
    /// Where its cases come from, as the `suite.json` in the folder says: `onnx 1.23.0`.
    pub source: Option<String>,
    /// What is in it, in the order of the names.
    pub cases: Vec<Case>,
}

/// Why a suite could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// There is nothing at the path, or no folder.
    #[error("{} is not a folder; give a folder of cases, or the folder of one", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// No case lies in it, however deep.
    #[error("{} holds no case; a case is a folder with model.onnx and test_data_set_0/input_0.pb, output_0.pb", path.display())]
    NoCases {
        /// The folder.
        path: PathBuf,
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

impl SuiteError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| SuiteError::Io { path, source }
    }
}

/// The folders of one case's data sets begin with this.
const DATA_SET: &str = "test_data_set_";

impl Suite {
    /// Finds the cases in a folder, however deep. A case is a folder with a `model.onnx` (or, beside data sets, one
    /// model of another name); it is named by its path from `path`, with `/` between the folders. When `path` is itself
    /// a case, the suite is that one case. Models and data are not read yet: see [`Case::load`].
    ///
    /// # Errors
    /// [`SuiteError`], when there is no folder, no case in it, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, SuiteError> {
        if !path.is_dir() {
            return Err(SuiteError::NotAFolder { path: path.to_owned() });
        }
        let absolute = path.canonicalize().map_err(SuiteError::io(path))?;
        let name = absolute.file_name().map_or_else(|| "suite".to_owned(), |name| name.to_string_lossy().into_owned());
        let mut search = Search { suite: name.clone(), cases: Vec::new(), seen: HashSet::new() };
        search.folder(path, "")?;
        let Search { mut cases, .. } = search;
        if cases.is_empty() {
            return Err(SuiteError::NoCases { path: path.to_owned() });
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { name, root: path.to_owned(), source: source(path), cases })
    }

    /// The suite that comes with tabfleet. Its files are written once to a cache folder of the user's, and put right
    /// there when they were changed.
    ///
    /// # Errors
    /// [`SuiteError::Io`] when that folder cannot be written.
    pub fn builtin() -> Result<Self, SuiteError> {
        let mut suite = Self::open(&builtin::unpack()?)?;
        builtin::NAME.clone_into(&mut suite.name);
        suite.cases.iter_mut().for_each(|case| builtin::NAME.clone_into(&mut case.suite));
        Ok(suite)
    }
}

/// What is not said, or not said well, is not known.
fn source(folder: &Path) -> Option<String> {
    let about: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("suite.json")).ok()?).ok()?;
    about["source"].as_str().map(str::to_owned)
}

struct Search {
    suite: String,
    cases: Vec<Case>,
    /// Folders already entered: a symbolic link may lead in a circle.
    seen: HashSet<PathBuf>,
}

impl Search {
    fn folder(&mut self, folder: &Path, name: &str) -> Result<(), SuiteError> {
        if !self.seen.insert(folder.canonicalize().map_err(SuiteError::io(folder))?) {
            return Ok(());
        }
        let mut folders = Vec::new();
        let mut models = Vec::new();
        for entry in fs::read_dir(folder).map_err(SuiteError::io(folder))? {
            let path = entry.map_err(SuiteError::io(folder))?.path();
            let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && !file_name.starts_with('.') {
                folders.push((file_name, path));
            } else if path.extension().is_some_and(|extension| extension == "onnx") {
                models.push(path);
            }
        }
        folders.sort();
        let (sets, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|(name, _)| name.starts_with(DATA_SET));
        let standard = models.iter().position(|model| model.file_name().is_some_and(|name| name == "model.onnx"));
        let only = (models.len() == 1 && !sets.is_empty()).then_some(0);
        let Some(model) = standard.or(only) else {
            return others.into_iter().try_for_each(|(below, path)| match name {
                "" => self.folder(&path, &below),
                name => self.folder(&path, &format!("{name}/{below}")),
            });
        };
        let mut data_sets = sets.iter().map(|(_, path)| data_set(path)).collect::<Result<Vec<_>, _>>()?;
        data_sets.sort_by_key(|set| number(&set.folder, DATA_SET, ""));
        let name = if name.is_empty() { self.suite.clone() } else { name.to_owned() };
        self.cases.push(Case { suite: self.suite.clone(), name, model: models.swap_remove(model), data_sets });
        Ok(())
    }
}

fn data_set(folder: &Path) -> Result<DataSet, SuiteError> {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(SuiteError::io(folder))? {
        let path = entry.map_err(SuiteError::io(folder))?.path();
        if let Some(n) = number(&path, "input_", ".pb") {
            inputs.push((n, path));
        } else if let Some(n) = number(&path, "output_", ".pb") {
            outputs.push((n, path));
        }
    }
    inputs.sort();
    outputs.sort();
    Ok(DataSet { folder: folder.to_owned(), inputs, outputs })
}

/// The number in a file's name between `before` and `after`.
fn number(path: &Path, before: &str, after: &str) -> Option<usize> {
    path.file_name()?.to_str()?.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}
