//! Protobuf messages as runs of fields that are passed on as they lie: what tabfleet does not know of a model (newer
//! fields, sequences, the metadata of nodes) is in its stages as it was, and weights are never decoded.

use super::error::ShardError;
use bytes::Bytes;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use std::path::Path;

/// One field of a message.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Its number.
    pub number: u32,
    /// The field as it lies, key included.
    pub whole: Bytes,
    /// What is in it: the bytes of a text, of a message or of a packed list. Empty for numbers.
    pub content: Bytes,
}

/// The fields of a message, in their order.
pub(super) fn fields(message: &Bytes, path: &Path) -> Result<Vec<Field>, ShardError> {
    let broken = || ShardError::broken(path, "a field of its protobuf message is not complete");
    let mut fields = Vec::new();
    let mut rest: &[u8] = message;
    while !rest.is_empty() {
        let start = message.len() - rest.len();
        let (number, wire) = decode_key(&mut rest).map_err(|_| broken())?;
        let length = match wire {
            WireType::Varint => {
                decode_varint(&mut rest).map_err(|_| broken())?;
                0
            }
            WireType::LengthDelimited => decode_varint(&mut rest).map_err(|_| broken())?,
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::StartGroup | WireType::EndGroup => return Err(broken()),
        };
        let begin = message.len() - rest.len();
        let length = usize::try_from(length).ok().filter(|length| *length <= rest.len()).ok_or_else(broken)?;
        rest = &rest[length..];
        let content = match wire {
            WireType::LengthDelimited => message.slice(begin..begin + length),
            _ => Bytes::new(),
        };
        fields.push(Field { number, whole: message.slice(start..begin + length), content });
    }
    Ok(fields)
}

/// Appends the key and the length of a field whose content follows.
pub(super) fn begin(out: &mut Vec<u8>, number: u32, length: usize) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

/// Appends a field.
pub(super) fn put(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    begin(out, number, content.len());
    out.extend_from_slice(content);
}
