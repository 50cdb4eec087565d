//! Cases: a model with inputs and the outputs expected of it.

use super::inputs::InputError;
use super::model::{ModelError, ModelFile};
use super::tensor_file::TensorFileError;
use super::tensor_proto::tensor_from_proto;
use super::value::{ValueInfo, ValueKind};
use crate::types::Tensor;
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A model with its data sets, as found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The suite it belongs to.
    pub suite: String,
    /// Its path within the suite, with `/` between folders.
    pub name: String,
    /// The model file.
    pub model: PathBuf,
    /// Its data, in the order of their numbers.
    pub data_sets: Vec<DataSet>,
}

/// The files of one `test_data_set_N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// The folder.
    pub folder: PathBuf,
    /// `input_N.pb` with its number, which is the position among the model's inputs.
    pub inputs: Vec<(usize, PathBuf)>,
    /// `output_N.pb` with its number, which is the position among the model's outputs.
    pub outputs: Vec<(usize, PathBuf)>,
}

/// A tensor and the name of the input or output it is for.
pub type NamedTensor = (String, Tensor<'static>);

/// A case, read.
#[derive(Clone, Debug)]
pub struct LoadedCase {
    /// The model.
    pub model: ModelFile,
    /// The inputs of each data set, and the outputs expected of them.
    pub sets: Vec<(Vec<NamedTensor>, Vec<NamedTensor>)>,
    /// The relative and the absolute tolerance that the case itself allows, in the `data.json` beside its model as ONNX's
    /// own cases have it; 0 where it says nothing.
    pub tolerance: (f64, f64),
}

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It needs what the runtime in the browser does not have, or has no data. Nothing is wrong with it.
    #[error("{reason}")]
    Skipped {
        /// Why.
        reason: String,
    },
    /// Something is wrong with its files.
    #[error(transparent)]
    Broken(#[from] BrokenCase),
}

/// What is wrong with a case's files.
#[derive(Debug, thiserror::Error)]
pub enum BrokenCase {
    /// The model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An input or output cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorFileError),
    /// A file whose number is beyond the model's inputs or outputs.
    #[error("{}: the model has only {count} {what}", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// `inputs` or `outputs`.
        what: &'static str,
        /// How many the model has.
        count: usize,
    },
    /// What the case says of itself cannot be read.
    #[error("{}: {what}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The inputs are not what the model takes.
    #[error("{}: {source}", folder.display())]
    Inputs {
        /// The data set.
        folder: PathBuf,
        /// What does not fit.
        source: InputError,
    },
}

/// What a case says of itself.
#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    rtol: f64,
    #[serde(default)]
    atol: f64,
}

impl Case {
    /// Reads the model and all its data.
    ///
    /// # Errors
    /// [`CaseError::Skipped`] for sequences, optionals, maps, element types the runtime in the browser does not have, and
    /// cases without data; [`CaseError::Broken`] when a file is missing or wrong.
    pub fn load(&self) -> Result<LoadedCase, CaseError> {
        let model = ModelFile::read(&self.model).map_err(BrokenCase::Model)?;
        for (values, what) in [(&model.inputs, "input"), (&model.outputs, "output")] {
            for value in values {
                if let ValueKind::Unsupported { what: kind } = &value.kind {
                    return skipped(format!("{what} `{}` is {kind}", value.name));
                }
            }
        }
        if self.data_sets.iter().all(|set| set.outputs.is_empty()) {
            return skipped("there are no data to compare with".to_owned());
        }
        let load = |set: &DataSet| {
            let inputs = tensors(&set.inputs, &model.inputs, "inputs")?;
            let outputs = tensors(&set.outputs, &model.outputs, "outputs")?;
            match model.check_inputs(&inputs) {
                Ok(()) => Ok((inputs, outputs)),
                Err(source) => Err(BrokenCase::Inputs { folder: set.folder.clone(), source }.into()),
            }
        };
        let sets = self.data_sets.iter().map(load).collect::<Result<_, CaseError>>()?;
        Ok(LoadedCase { tolerance: self.tolerance()?, model, sets })
    }

    fn tolerance(&self) -> Result<(f64, f64), BrokenCase> {
        let path = self.model.with_file_name("data.json");
        let broken = |what: String| BrokenCase::Data { path: path.clone(), what };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0.0, 0.0)),
            Err(error) => return Err(broken(error.to_string())),
        };
        let data: Data = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        Ok((data.rtol, data.atol))
    }
}

fn skipped<T>(reason: String) -> Result<T, CaseError> {
    Err(CaseError::Skipped { reason })
}

/// Reads the files of one direction. A tensor whose name is one of the model's goes by it, any other by its number.
fn tensors(
    files: &[(usize, PathBuf)],
    values: &[ValueInfo],
    what: &'static str,
) -> Result<Vec<NamedTensor>, CaseError> {
    let read = |(number, path): &(usize, PathBuf)| {
        let (name, tensor) = match named_tensor(path) {
            Ok(named) => named,
            Err(error) if error.is_unsupported() => return skipped(error.to_string()),
            Err(error) => return Err(BrokenCase::Tensor(error).into()),
        };
        if values.iter().any(|value| value.name == name) {
            return Ok((name, tensor));
        }
        match values.get(*number) {
            Some(value) => Ok((value.name.clone(), tensor)),
            None => Err(BrokenCase::TooMany { path: path.clone(), what, count: values.len() }.into()),
        }
    };
    files.iter().map(read).collect()
}

fn named_tensor(path: &Path) -> Result<NamedTensor, TensorFileError> {
    let io = |source: io::Error| TensorFileError::Io { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(io)?;
    tensor_from_proto(&bytes).map_err(|source| TensorFileError::In { path: path.to_owned(), source: Box::new(source) })
}
