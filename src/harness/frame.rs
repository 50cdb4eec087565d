//! The frame: how a JSON header and raw bytes share one binary WebSocket message.

use crate::types::TensorError;
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
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
    /// The bytes between header and body are not zero.
    #[error("the padding after the header is not zero")]
    Padding,
    /// The header is not JSON, or lacks a field.
    #[error("the header of the frame cannot be read: {what}")]
    Header {
        /// The parser's words.
        what: String,
    },
    /// The other side speaks another version.
    #[error("the tab speaks version {theirs} of the harness protocol, and this is version {VERSION}")]
    Version {
        /// The version it named.
        theirs: u64,
    },
    /// No message is called this.
    #[error("there is no message of type `{given}`")]
    UnknownType {
        /// The type it named.
        given: String,
    },
    /// The frame's length is not what its header says.
    #[error("the body of the frame has {actual} bytes, but its header describes {described}")]
    Length {
        /// How many bytes the header describes.
        described: u64,
        /// How many there are.
        actual: usize,
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
    /// What follows the header's padding.
    pub(super) body: Bytes,
}

/// What every header has.
#[derive(Deserialize)]
struct Envelope<'a> {
    v: u64,
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

impl Frame {
    /// Takes a message apart without copying.
    pub(super) fn split(message: &Bytes) -> Result<Self, FrameError> {
        let actual = message.len();
        let Some(length) = message.first_chunk::<4>() else {
            return Err(FrameError::HeaderCut { needed: 4, actual });
        };
        // 4 + u32::MAX + 7 fits: usize has 64 bits wherever a browser fleet runs, and saturates elsewhere.
        let end = 4_usize.saturating_add(u32::from_le_bytes(*length) as usize);
        let padded = end.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        if actual < padded {
            return Err(FrameError::HeaderCut { needed: padded, actual });
        }
        if message[end..padded].iter().any(|byte| *byte != 0) {
            return Err(FrameError::Padding);
        }
        Ok(Self { header: message.slice(4..end), body: message.slice(padded..) })
    }

    /// The message type, once the version is known to be ours.
    pub(super) fn kind(&self) -> Result<Cow<'_, str>, FrameError> {
        let envelope: Envelope<'_> = self.parse_borrowed()?;
        if envelope.v != VERSION {
            return Err(FrameError::Version { theirs: envelope.v });
        }
        Ok(envelope.kind)
    }

    /// The header as what its type says it is.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        self.parse_borrowed()
    }

    fn parse_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, FrameError> {
        serde_json::from_slice(&self.header).map_err(|error| FrameError::Header { what: error.to_string() })
    }
}

/// One message of header and body. The body is copied once.
pub(super) fn join(header: &impl Serialize, body: &[u8]) -> Bytes {
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
    let mut frame = Vec::with_capacity(padded + body.len());
    // A header of more than 4 GiB cannot be: the receiver refuses what would come of it.
    frame.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&json);
    frame.resize(padded, 0);
    frame.extend_from_slice(body);
    frame.into()
}
