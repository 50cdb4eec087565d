//! What a model says of its inputs and outputs.

use super::proto;
use crate::types::Dtype;
use serde::Serialize;
use std::fmt;

/// A named input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueInfo {
    /// Its name in the graph.
    pub name: String,
    /// Its type.
    pub kind: ValueKind,
}

/// The type of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// A dense tensor.
    Tensor {
        /// The element type.
        dtype: Dtype,
        /// The dimensions; `None` where the model leaves even their number open.
        shape: Option<Vec<Dim>>,
    },
    /// What the runtime in the browser does not take.
    Unsupported {
        /// In words: `a sequence`, `a tensor of bfloat16`.
        what: String,
    },
}

/// One dimension of a shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dim {
    /// Always this many.
    Fixed(usize),
    /// As many as every other dimension of this name in the same call.
    Symbol(String),
    /// Any number.
    Unknown,
}

impl ValueKind {
    /// The element type, of a tensor.
    pub const fn dtype(&self) -> Option<Dtype> {
        match self {
            ValueKind::Tensor { dtype, .. } => Some(*dtype),
            ValueKind::Unsupported { .. } => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(size) => write!(f, "{size}"),
            Dim::Symbol(name) => f.write_str(name),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueKind::Tensor { dtype, shape: Some(shape) } => write!(f, "{dtype} {}", ShapeText(shape)),
            ValueKind::Tensor { dtype, shape: None } => write!(f, "{dtype} of any shape"),
            ValueKind::Unsupported { what } => f.write_str(what),
        }
    }
}

/// A shape for people: `[batch, 3, ?]`.
pub(super) struct ShapeText<'a, D>(pub &'a [D]);

impl<D: fmt::Display> fmt::Display for ShapeText<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{dim}")?;
        }
        f.write_str("]")
    }
}

impl From<proto::Value> for ValueInfo {
    fn from(value: proto::Value) -> Self {
        let unsupported = |what: &str| ValueKind::Unsupported { what: what.to_owned() };
        let kind = match value.kind.and_then(|kind| kind.value) {
            Some(proto::TypeKind::Tensor(tensor)) => match dtype_of(tensor.elem_type) {
                Ok(dtype) => ValueKind::Tensor {
                    dtype,
                    shape: tensor.shape.map(|shape| shape.dim.into_iter().map(Dim::from).collect()),
                },
                Err(what) => ValueKind::Unsupported { what: format!("a tensor of {what}") },
            },
            Some(proto::TypeKind::Sequence(_)) => unsupported("a sequence"),
            Some(proto::TypeKind::Optional(_)) => unsupported("an optional"),
            Some(proto::TypeKind::Map(_)) => unsupported("a map"),
            Some(proto::TypeKind::SparseTensor(_)) => unsupported("a sparse tensor"),
            Some(proto::TypeKind::Opaque(_)) => unsupported("an opaque value"),
            None => unsupported("a value without a type"),
        };
        ValueInfo { name: value.name, kind }
    }
}

impl From<proto::Dimension> for Dim {
    fn from(dim: proto::Dimension) -> Self {
        match dim.value {
            // Some exporters write -1 for a dimension that they do not know.
            Some(proto::DimensionValue::Value(size)) => usize::try_from(size).map_or(Dim::Unknown, Dim::Fixed),
            Some(proto::DimensionValue::Symbol(name)) if !name.is_empty() => Dim::Symbol(name),
            _ => Dim::Unknown,
        }
    }
}

/// The element type with this number in `TensorProto.DataType`, or the name of one the runtime does not have.
pub(super) fn dtype_of(number: i32) -> Result<Dtype, String> {
    let name = match number {
        1 => return Ok(Dtype::Float32),
        2 => return Ok(Dtype::Uint8),
        3 => return Ok(Dtype::Int8),
        4 => return Ok(Dtype::Uint16),
        5 => return Ok(Dtype::Int16),
        6 => return Ok(Dtype::Int32),
        7 => return Ok(Dtype::Int64),
        8 => return Ok(Dtype::String),
        9 => return Ok(Dtype::Bool),
        10 => return Ok(Dtype::Float16),
        11 => return Ok(Dtype::Float64),
        12 => return Ok(Dtype::Uint32),
        13 => return Ok(Dtype::Uint64),
        21 => return Ok(Dtype::Uint4),
        22 => return Ok(Dtype::Int4),
        0 => "no element type",
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        17 => "float8e4m3fn",
        18 => "float8e4m3fnuz",
        19 => "float8e5m2",
        20 => "float8e5m2fnuz",
        23 => "float4e2m1",
        24 => "float8e8m0",
        25 => "uint2",
        26 => "int2",
        other => return Err(format!("element type {other}, which is unknown to tabfleet")),
    };
    Err(name.to_owned())
}

/// The number of an element type in `TensorProto.DataType`.
pub(super) const fn number_of(dtype: Dtype) -> i32 {
    match dtype {
        Dtype::Float32 => 1,
        Dtype::Uint8 => 2,
        Dtype::Int8 => 3,
        Dtype::Uint16 => 4,
        Dtype::Int16 => 5,
        Dtype::Int32 => 6,
        Dtype::Int64 => 7,
        Dtype::String => 8,
        Dtype::Bool => 9,
        Dtype::Float16 => 10,
        Dtype::Float64 => 11,
        Dtype::Uint32 => 12,
        Dtype::Uint64 => 13,
        Dtype::Uint4 => 21,
        Dtype::Int4 => 22,
    }
}
