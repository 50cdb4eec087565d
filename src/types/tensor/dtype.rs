//! Element types.

use crate::types::names;

/// A tensor's element type, named as ONNX Runtime Web names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary16.
    Float16,
    /// IEEE 754 binary64.
    Float64,
    /// Signed 8-bit.
    Int8,
    /// Signed 16-bit.
    Int16,
    /// Signed 32-bit.
    Int32,
    /// Signed 64-bit.
    Int64,
    /// Unsigned 8-bit.
    Uint8,
    /// Unsigned 16-bit.
    Uint16,
    /// Unsigned 32-bit.
    Uint32,
    /// Unsigned 64-bit.
    Uint64,
    /// One byte an element, 0 or 1.
    Bool,
    /// UTF-8 texts: see [`Tensor::from_strings`](super::Tensor::from_strings) for their layout.
    String,
    /// Signed 4-bit, two a byte, the first in the low half.
    Int4,
    /// Unsigned 4-bit, two a byte, the first in the low half.
    Uint4,
}
names!(Dtype {
    Float32 = "float32",
    Float16 = "float16",
    Float64 = "float64",
    Int8 = "int8",
    Int16 = "int16",
    Int32 = "int32",
    Int64 = "int64",
    Uint8 = "uint8",
    Uint16 = "uint16",
    Uint32 = "uint32",
    Uint64 = "uint64",
    Bool = "bool",
    String = "string",
    Int4 = "int4",
    Uint4 = "uint4",
});

impl Dtype {
    /// How many bytes `elements` of this type take, or `None` for strings, whose length is their own.
    pub const fn byte_len(self, elements: usize) -> Option<usize> {
        Some(match self {
            Dtype::Float64 | Dtype::Int64 | Dtype::Uint64 => elements * 8,
            Dtype::Float32 | Dtype::Int32 | Dtype::Uint32 => elements * 4,
            Dtype::Float16 | Dtype::Int16 | Dtype::Uint16 => elements * 2,
            Dtype::Int8 | Dtype::Uint8 | Dtype::Bool => elements,
            Dtype::Int4 | Dtype::Uint4 => elements.div_ceil(2),
            Dtype::String => return None,
        })
    }
}
