//! The frame: how a JSON header and raw bytes go together in one stretch of bytes.

use super::batch::TensorBatch;
use crate::types::{TensorError, TensorInfo};
use bytes::Bytes;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use std::borrow::Cow;

/// The version of the protocol spoken here.
pub(super) const VERSION: u64 = 1;

/// Tensors start at multiples of this, so that the widest element type can be viewed in place.
pub(super) const ALIGNMENT: usize = 8;

/// Why a message is not a frame of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A text message.
    #[error("a text message came, and frames are binary")]
    Text,
    /// The message ends before its header does.
    #[error("the frame has {actual} bytes, but its header alone takes {needed}")]
    HeaderCut {
        /// How many bytes the header needs.
        needed: usize,
        /// How many there are.
        actual: usize,
    },
    /// The header is not JSON, or lacks a field.
    #[error("the header of the frame cannot be read: {what}")]
    Header {
        /// The parser's words.
        what: String,
    },
    /// The other side speaks another version.
    #[error("the tab speaks version {theirs} of the harness protocol, and the fleet version {VERSION}")]
    Version {
        /// The version it named, as JSON.
        theirs: String,
    },
    /// No message is called this.
    #[error("there is no message of type `{given}`")]
    UnknownType {
        /// The type it named.
        given: String,
    },
    /// The frame's length is not what its header says.
    #[error("the frame has {actual} bytes, but its header describes {described}")]
    Length {
        /// How many bytes the frame should have, header and padding included.
        described: u64,
        /// How many there are.
        actual: usize,
    },
    /// A message of several frames is cut or empty.
    #[error("the bundle of frames is broken: {what}")]
    Bundle {
        /// What is wrong with it.
        what: String,
    },
    /// A tensor's bytes do not fit its type and shape.
    #[error("the tensor `{name}` is broken")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        source: TensorError,
    },
    /// Something else than `hello` came first.
    #[error("the first frame of a connection must be `hello`, and it was `{given}`")]
    HelloExpected {
        /// The type it named.
        given: String,
    },
    /// A second `hello`.
    #[error("a second `hello` came on one connection")]
    SecondHello,
    /// The message is larger than allowed, or breaks the WebSocket protocol itself.
    #[error("the WebSocket broke: {what}")]
    WebSocket {
        /// The library's words.
        what: String,
    },
}

/// The next multiple of the alignment.
pub(super) const fn align(offset: usize) -> usize {
    offset.next_multiple_of(ALIGNMENT)
}

/// A frame taken apart, its parts being views of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    header: Bytes,
    message: Bytes,
}

/// What every header has.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    v: Value,
    #[serde(borrow, rename = "type")]
    kind: Option<Kind<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Kind<'a> {
    Name(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

impl Frame {
    /// Takes a message apart without copying. Whether its length is right is known only to who knows the header.
    pub(super) fn split(message: Bytes) -> Result<Self, FrameError> {
        let actual = message.len();
        let Some(length) = message.first_chunk::<4>() else {
            return Err(FrameError::HeaderCut { needed: 4, actual });
        };
        let end = 4_usize.saturating_add(u32::from_le_bytes(*length) as usize);
        if actual < end {
            return Err(FrameError::HeaderCut { needed: end, actual });
        }
        Ok(Self { header: message.slice(4..end), message })
    }

    /// The message type, once the version is known to be ours.
    pub(super) fn kind(&self) -> Result<Cow<'_, str>, FrameError> {
        // A struct can be read from a JSON array, too; a header cannot.
        if self.header.trim_ascii_start().first() != Some(&b'{') {
            return Err(FrameError::Header { what: "it is not a JSON object".to_owned() });
        }
        let Envelope { v, kind } = self.parse_borrowed()?;
        // As JavaScript compares: 1.0 is 1.
        if v.as_f64() != Some(VERSION as f64) {
            return Err(FrameError::Version { theirs: v.to_string() });
        }
        // Only now, because what another version puts into its headers is its own affair.
        match kind {
            Some(Kind::Name(name)) => Ok(name),
            _ => Err(FrameError::Header { what: "it has no `type`".to_owned() }),
        }
    }

    /// The header as what its type says it is.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        self.parse_borrowed()
    }

    /// The tensors after the header, which must be all there is.
    pub(super) fn tensors(&self, infos: Vec<TensorInfo>) -> Result<TensorBatch, FrameError> {
        let start = align(4 + self.header.len());
        infos.iter().try_for_each(check_description)?;
        // In u64 with saturation, because the numbers are the other side's.
        let described = infos.iter().fold(start as u64, |end, info| {
            end.checked_next_multiple_of(ALIGNMENT as u64).unwrap_or(u64::MAX).saturating_add(info.bytes as u64)
        });
        if described != self.message.len() as u64 {
            return Err(FrameError::Length { described, actual: self.message.len() });
        }
        let batch = TensorBatch::of_parts(infos, self.message.slice(start..));
        batch.check_texts()?;
        Ok(batch)
    }

    fn parse_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, FrameError> {
        serde_json::from_slice(&self.header).map_err(|error| FrameError::Header { what: error.to_string() })
    }
}

/// One message of header and body. The body is copied once.
pub(super) fn join(header: &impl Serialize, body: &[u8]) -> Bytes {
    join_with(header, |frame| frame.extend_from_slice(body))
}

/// As [`join`], of a body that `write` adds to a frame that ends at a multiple of the alignment.
pub(super) fn join_with(header: &impl Serialize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        v: u64,
        #[serde(flatten)]
        header: &'a T,
    }
    // Serializing fails only for maps whose keys are no strings and for what its own `Serialize` refuses: neither
    // exists in a header.
    let json = serde_json::to_vec(&Versioned { v: VERSION, header }).unwrap_or_default();
    let padded = align(4 + json.len());
    let mut frame = Vec::with_capacity(padded);
    // A header of more than 4 GiB cannot be: the receiver refuses what would come of it.
    frame.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&json);
    frame.resize(padded, 0);
    write(&mut frame);
    frame.into()
}

/// Whether a description contradicts itself. Texts tell their length only in their data.
fn check_description(info: &TensorInfo) -> Result<(), FrameError> {
    let broken = |source| Err(FrameError::Tensor { name: info.name.clone(), source });
    // Eight bytes is the widest element; the product with it must not overflow either.
    let Some(widest) = info.shape.iter().try_fold(8_usize, |product, dim| product.checked_mul(*dim)) else {
        return broken(TensorError::TooLarge { shape: info.shape.clone() });
    };
    match info.dtype.byte_len(widest / 8) {
        Some(expected) if expected != info.bytes => {
            broken(TensorError::Length { dtype: info.dtype, shape: info.shape.clone(), expected, given: info.bytes })
        }
        _ => Ok(()),
    }
}
