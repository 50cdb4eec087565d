//! Tensors as ONNX's `TensorProto`, which is what the `.pb` files of a case hold.

use super::tensor_file::TensorFileError;
use super::value::{dtype_of, number_of};
use crate::types::{Dtype, Tensor};
use prost::Message;
use tract_onnx::pb::{TensorProto, tensor_proto::DataLocation};

/// Reads a serialized `TensorProto`: its name (which may be empty) and the tensor.
///
/// # Errors
/// [`TensorFileError::Malformed`] when it is none or its dimensions make no sense, [`TensorFileError::Unsupported`] for
/// element types the runtime does not have, segments and external data, [`TensorFileError::Tensor`] when there are more
/// or fewer elements than the shape holds.
pub fn tensor_from_proto(bytes: &[u8]) -> Result<(String, Tensor<'static>), TensorFileError> {
    let proto = TensorProto::decode(bytes).map_err(|error| TensorFileError::malformed(error.to_string()))?;
    if proto.segment.is_some() {
        return Err(TensorFileError::unsupported("a segment of a tensor"));
    }
    if proto.data_location == Some(DataLocation::External as i32) || !proto.external_data.is_empty() {
        return Err(TensorFileError::unsupported("a tensor whose data are in another file"));
    }
    if proto.data_type == 0 {
        return Err(TensorFileError::malformed("it has no element type"));
    }
    let dtype =
        dtype_of(proto.data_type).map_err(|what| TensorFileError::unsupported(format!("a tensor of {what}")))?;
    let dim =
        |&dim: &i64| usize::try_from(dim).map_err(|_| TensorFileError::malformed(format!("a dimension is {dim}")));
    let shape = proto.dims.iter().map(dim).collect::<Result<Vec<_>, _>>()?;
    let name = proto.name.clone();
    if dtype == Dtype::String {
        let text = |bytes| String::from_utf8(bytes).map_err(|_| TensorFileError::malformed("a string is not UTF-8"));
        let texts = proto.string_data.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
        return Ok((name, Tensor::from_strings(shape, &texts)?));
    }
    let mut data = if proto.raw_data.is_empty() { from_fields(dtype, &proto) } else { proto.raw_data };
    if dtype == Dtype::Bool {
        data.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    Ok((name, Tensor::new(dtype, shape, data)?))
}

/// The little-endian bytes of elements that are written one by one, each in the field that the format has for its type.
/// What is narrower than a field's numbers is in their low bits.
fn from_fields(dtype: Dtype, proto: &TensorProto) -> Vec<u8> {
    let int32 = &proto.int32_data;
    match dtype {
        Dtype::Float32 => proto.float_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Float64 => proto.double_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Int64 => proto.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Uint64 => proto.uint64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Uint32 => proto.uint64_data.iter().flat_map(|x| (*x as u32).to_le_bytes()).collect(),
        Dtype::Int32 => int32.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Int16 | Dtype::Uint16 | Dtype::Float16 => int32.iter().flat_map(|x| (*x as u16).to_le_bytes()).collect(),
        // Four-bit elements come two a number, packed as they are in memory.
        Dtype::Int8 | Dtype::Uint8 | Dtype::Int4 | Dtype::Uint4 => int32.iter().map(|x| *x as u8).collect(),
        Dtype::Bool => int32.iter().map(|x| u8::from(*x != 0)).collect(),
        Dtype::String => Vec::new(),
    }
}

/// The tensor as a serialized `TensorProto` of that name.
pub fn tensor_to_proto(name: &str, tensor: &Tensor<'_>) -> Vec<u8> {
    let mut proto = TensorProto {
        name: name.to_owned(),
        // A dimension larger than i64 would need more memory than there is.
        dims: tensor.shape().iter().map(|&dim| dim as i64).collect(),
        data_type: number_of(tensor.dtype()),
        ..TensorProto::default()
    };
    match tensor.to_strings() {
        Ok(texts) => proto.string_data = texts.into_iter().map(String::into_bytes).collect(),
        Err(_) => proto.raw_data = tensor.bytes().to_vec(),
    }
    proto.encode_to_vec()
}
