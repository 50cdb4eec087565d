//! Models run in this process, by tract: for whoever has leave to do without a browser.

use super::{ModelFile, NamedTensor, tensor_to_proto};
use crate::types::{Dtype, Element, RuntimeInfo, Tensor};
use half::f16;
use prost::Message;
use sha2::{Digest, Sha256};
use std::{fs, io, panic, path::PathBuf, sync::Arc};
use tract_onnx::{
    pb::{ModelProto, TensorProto},
    tensor::load_tensor,
    tract_core::plan,
    tract_hir::internal::{
        self as tract, Datum, DatumType, InferenceFact, InferenceModelExt, IntoTValue, TValue, TVec, TractError,
        TypedSimplePlan, TypedSimpleState,
    },
};

/// The version that Cargo.toml pins.
const TRACT: &str = "0.23.9";

/// A model as tract runs it, for inputs of certain types and shapes.
#[derive(Clone)]
pub struct NativeModel {
    plan: Arc<TypedSimplePlan>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    shapes: Vec<(Dtype, Vec<usize>)>,
}

/// Why tract does not run a model.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// Its file cannot be read any more.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The model.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its file is another than the one that the tabs were given.
    #[error("{} has changed since it was loaded; load it again", path.display())]
    Changed {
        /// The model.
        path: PathBuf,
    },
    /// An input that tract's form of the model has, and the job has not; or the other way round.
    #[error("tract takes the inputs {}, and was given {}", wanted.join(", "), given.join(", "))]
    Inputs {
        /// What tract takes.
        wanted: Vec<String>,
        /// What was given.
        given: Vec<String>,
    },
    /// It cannot do it, by its own words.
    #[error("tract cannot run it: {0}")]
    Tract(String),
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
}

impl From<TractError> for NativeError {
    fn from(error: TractError) -> Self {
        Self::Tract(format!("{error:#}"))
    }
}

/// What runs models here.
pub fn native_runtime() -> RuntimeInfo {
    RuntimeInfo { name: "tract".to_owned(), version: TRACT.to_owned() }
}

impl NativeModel {
    /// Reads the model, whose file has this sha256, and optimizes it for these inputs.
    ///
    /// # Errors
    /// [`NativeError`]; among them what tract does not know.
    pub fn load(file: &ModelFile, sha256: &str, inputs: &[NamedTensor]) -> Result<Self, NativeError> {
        let path = || file.path.clone();
        let bytes = fs::read(&file.path).map_err(|source| NativeError::Io { path: path(), source })?;
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if found != sha256 {
            return Err(NativeError::Changed { path: path() });
        }
        // tract goes by an operator's name alone, and another domain's operator of that name is another operator.
        if let Some(foreign) = file.operators.iter().find(|name| name.contains('.') && !name.starts_with("ai.onnx.ml."))
        {
            return Err(NativeError::Tract(format!("it knows ONNX's own operators, and not {foreign}")));
        }
        let folder = file.path.parent().and_then(|folder| folder.to_str());
        let proto = ModelProto::decode(&bytes[..]).map_err(|error| NativeError::Tract(error.to_string()))?;
        if let Some(function) = proto.functions.first() {
            return Err(NativeError::Tract(format!(
                "it knows no functions of a model's own, such as {}",
                function.name()
            )));
        }
        whatever_it_believes(|| Self::optimized(&proto, folder, inputs))
    }

    fn optimized(proto: &ModelProto, folder: Option<&str>, given: &[NamedTensor]) -> Result<Self, NativeError> {
        // What exporters say of inner tensors is not always so; tract infers them itself.
        let onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
        let mut model = onnx.parse(proto, folder)?.model;
        let name_of = |outlet: &tract::OutletId| model.node(outlet.node).name.clone();
        let inputs: Vec<String> = model.inputs.iter().map(name_of).collect();
        let outputs = proto.graph.iter().flat_map(|graph| &graph.output).map(|output| output.name.clone()).collect();
        let mut shapes = Vec::with_capacity(inputs.len());
        for (index, tensor) in in_order(&inputs, given)?.into_iter().enumerate() {
            let shape = tensor.shape().iter().copied();
            model.set_input_fact(
                index,
                InferenceFact::dt_shape(datum_type(tensor.dtype())?, shape.collect::<TVec<_>>()),
            )?;
            shapes.push((tensor.dtype(), tensor.shape().to_vec()));
        }
        let plan = TypedSimplePlan::new(model.into_optimized()?)?;
        Ok(Self { plan, inputs, outputs, shapes })
    }

    /// Whether it was loaded for inputs like these.
    pub fn takes(&self, inputs: &[NamedTensor]) -> bool {
        in_order(&self.inputs, inputs).is_ok_and(|given| {
            let given = given.into_iter().map(|tensor| (tensor.dtype(), tensor.shape()));
            given.eq(self.shapes.iter().map(|(dtype, shape)| (*dtype, &shape[..])))
        })
    }

    /// Runs it, and asks before each of its nodes whether it is to stop.
    ///
    /// # Errors
    /// [`NativeError`].
    pub fn run(
        &self,
        inputs: &[NamedTensor],
        stop: impl Fn() -> bool,
    ) -> Result<Vec<(String, Tensor<'static>)>, NativeError> {
        let given = in_order(&self.inputs, inputs)?;
        let given = given.into_iter().map(value).collect::<Result<TVec<TValue>, _>>()?;
        let made = whatever_it_believes(|| {
            let mut state = TypedSimpleState::new(&self.plan)?;
            let made = state.run_plan_with_eval(given, |context, op, node, inputs| {
                if stop() { Err(tract::anyhow!(NativeError::Stopped)) } else { plan::eval(context, op, node, inputs) }
            });
            made.map_err(|error| match error.downcast::<NativeError>() {
                Ok(stopped) => stopped,
                Err(error) => error.into(),
            })
        })?;
        self.outputs.iter().zip(&made).map(|(name, made)| Ok((name.clone(), tensor(made)?))).collect()
    }
}

/// tract asserts what it believes of models: one that it is wrong about fails, and nothing else does.
fn whatever_it_believes<T>(work: impl FnOnce() -> Result<T, NativeError>) -> Result<T, NativeError> {
    panic::catch_unwind(panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        Err(NativeError::Tract(format!("it panicked: {}", words.unwrap_or_default())))
    })
}

/// The tensors given, in the order in which tract takes them.
fn in_order<'a>(names: &[String], given: &'a [NamedTensor]) -> Result<Vec<&'a Tensor<'static>>, NativeError> {
    let find = |name: &String| given.iter().find(|(given, _)| given == name).map(|(_, tensor)| tensor);
    let found: Option<Vec<_>> = names.iter().map(find).collect();
    found.filter(|found| found.len() == given.len()).ok_or_else(|| NativeError::Inputs {
        wanted: names.to_vec(),
        given: given.iter().map(|(name, _)| name.clone()).collect(),
    })
}

fn datum_type(dtype: Dtype) -> Result<DatumType, NativeError> {
    Ok(match dtype {
        Dtype::Float32 => DatumType::F32,
        Dtype::Float16 => DatumType::F16,
        Dtype::Float64 => DatumType::F64,
        Dtype::Int8 => DatumType::I8,
        Dtype::Int16 => DatumType::I16,
        Dtype::Int32 => DatumType::I32,
        Dtype::Int64 => DatumType::I64,
        Dtype::Uint8 => DatumType::U8,
        Dtype::Uint16 => DatumType::U16,
        Dtype::Uint32 => DatumType::U32,
        Dtype::Uint64 => DatumType::U64,
        Dtype::Bool => DatumType::Bool,
        Dtype::String | Dtype::Int4 | Dtype::Uint4 => return Err(NativeError::Tract(format!("it knows no {dtype}"))),
    })
}

/// A tensor as tract has it. By way of the format that it reads itself, which needs no trust in bytes.
fn value(tensor: &Tensor<'_>) -> Result<TValue, NativeError> {
    let proto = TensorProto::decode(&tensor_to_proto("", tensor)[..]);
    let proto = proto.map_err(|error| NativeError::Tract(error.to_string()))?;
    Ok(load_tensor(&tract_onnx::data_resolver::MmapDataResolver, &proto, None)?.into_tvalue())
}

fn tensor(made: &tract::Tensor) -> Result<Tensor<'static>, NativeError> {
    match made.datum_type() {
        DatumType::F32 => of::<f32, f32>(made, |x| *x),
        DatumType::F16 => of::<f16, f16>(made, |x| *x),
        DatumType::F64 => of::<f64, f64>(made, |x| *x),
        DatumType::I8 => of::<i8, i8>(made, |x| *x),
        DatumType::I16 => of::<i16, i16>(made, |x| *x),
        DatumType::I32 => of::<i32, i32>(made, |x| *x),
        DatumType::I64 => of::<i64, i64>(made, |x| *x),
        DatumType::U8 => of::<u8, u8>(made, |x| *x),
        DatumType::U16 => of::<u16, u16>(made, |x| *x),
        DatumType::U32 => of::<u32, u32>(made, |x| *x),
        DatumType::U64 => of::<u64, u64>(made, |x| *x),
        DatumType::Bool => of::<bool, bool>(made, |x| *x),
        // tract has a type of its own for the dimensions that int64 tensors hold.
        DatumType::TDim => tensor(&*made.cast_to::<i64>()?),
        other => Err(NativeError::Tract(format!("an output is of its type {other:?}, which ONNX does not have"))),
    }
}

fn of<T: Datum, E: Element>(made: &tract::Tensor, element: impl Fn(&T) -> E) -> Result<Tensor<'static>, NativeError> {
    let elements: Vec<E> = made.to_plain_array_view::<T>()?.iter().map(element).collect();
    Tensor::from_values(made.shape(), &elements).map_err(|error| NativeError::Tract(error.to_string()))
}
