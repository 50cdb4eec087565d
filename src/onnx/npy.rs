//! NumPy's `.npy` format, versions 1 to 3, as NumPy's documentation of `numpy.lib.format` defines it.
//!
//! The crates for it want the element type and the number of dimensions at compile time, and lack float16.

use super::tensor_file::TensorFileError;
use crate::types::{Dtype, Tensor};
use std::{fs, path::Path};

/// The first bytes of every `.npy` file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Texts of no length take no data, so that a file of any size can say that it has any number of them.
const MOST_EMPTY_TEXTS: usize = 1 << 16;

/// A tensor from the bytes of an `.npy` file. Big-endian elements and Fortran order are converted.
///
/// # Errors
/// [`TensorFileError::Malformed`] when it is none or is cut off, [`TensorFileError::Unsupported`] for structured arrays,
/// dates, complex numbers, byte strings and objects, [`TensorFileError::Tensor`] when there are more or fewer elements
/// than the shape holds.
pub fn from_npy(bytes: &[u8]) -> Result<Tensor<'static>, TensorFileError> {
    let (header, data) = split(bytes)?;
    let header = Header::parse(header)?;
    let kind = Kind::parse(&header.descr)?;
    let count = header.shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    let expected = count.and_then(|count| count.checked_mul(kind.width));
    if expected != Some(data.len()) {
        let (shape, given) = (&header.shape, data.len());
        let what = format!("its header says {} of shape {shape:?}, but {given} bytes of data follow", header.descr);
        return Err(TensorFileError::Malformed { what });
    }
    let mut data = data.to_vec();
    if kind.big_endian {
        data.chunks_exact_mut(kind.unit.max(1)).for_each(<[u8]>::reverse);
    }
    if header.fortran_order {
        data = row_major(&data, &header.shape, kind.width);
    }
    match kind.dtype {
        Dtype::String => {
            let texts: Result<Vec<_>, _> = match kind.width {
                0 => match count {
                    Some(count) if count <= MOST_EMPTY_TEXTS => Ok(vec![String::new(); count]),
                    _ => Err(TensorFileError::malformed(format!(
                        "its header says {} of shape {:?}: more texts of no length than {MOST_EMPTY_TEXTS}",
                        header.descr, header.shape
                    ))),
                },
                width => data.chunks_exact(width).map(text).collect(),
            };
            Ok(Tensor::from_strings(header.shape, &texts?)?)
        }
        Dtype::Bool => {
            data.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
            Ok(Tensor::new(Dtype::Bool, header.shape, data)?)
        }
        dtype => Ok(Tensor::new(dtype, header.shape, data)?),
    }
}

/// The tensor as the bytes of an `.npy` file (version 1, or 2 for a shape of thousands of dimensions): little-endian,
/// row-major, its data aligned to 64 bytes.
///
/// # Errors
/// [`TensorFileError::Unsupported`] for int4 and uint4, which NumPy does not have, and for texts that end in a NUL,
/// which NumPy would cut off.
pub fn npy_bytes(tensor: &Tensor<'_>) -> Result<Vec<u8>, TensorFileError> {
    let (descr, data) = match tensor.dtype() {
        Dtype::String => {
            let texts = tensor.to_strings()?;
            if texts.iter().any(|text| text.ends_with('\0')) {
                return Err(TensorFileError::unsupported("a text that ends in a NUL, in NumPy's format,"));
            }
            // NumPy has no strings of no length: its empty ones have room for one character.
            let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
            let mut data = Vec::with_capacity(texts.len() * longest * 4);
            for text in &texts {
                let padded = text.chars().chain(std::iter::repeat('\0')).take(longest);
                padded.for_each(|c| data.extend_from_slice(&u32::from(c).to_le_bytes()));
            }
            (format!("<U{longest}"), data.into())
        }
        dtype => {
            let descr = DESCRS.iter().find(|(_, known)| *known == dtype).map(|(descr, _)| *descr);
            let descr = descr.ok_or_else(|| TensorFileError::unsupported(format!("{dtype}, in NumPy's format,")))?;
            let order = if descr.ends_with('1') { '|' } else { '<' };
            (format!("{order}{descr}"), std::borrow::Cow::Borrowed(tensor.bytes()))
        }
    };
    let dims: String = tensor.shape().iter().map(|dim| format!("{dim}, ")).collect();
    let shape = dims.strip_suffix(' ').filter(|_| tensor.shape().len() == 1).unwrap_or(dims.trim_end_matches(", "));
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let (version, prefix) = if header.len() + 64 <= usize::from(u16::MAX) { (1, 10) } else { (2, 12) };
    let padding = 63 - (prefix + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = Vec::with_capacity(prefix + header.len() + data.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[version, 0]);
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes()[..prefix - 8]);
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&data);
    Ok(bytes)
}

/// Writes the tensor to an `.npy` file.
///
/// # Errors
/// As [`npy_bytes`], and [`TensorFileError::Io`] when the file cannot be written.
pub fn write_npy(path: &Path, tensor: &Tensor<'_>) -> Result<(), TensorFileError> {
    let at = |source| TensorFileError::In { path: path.to_owned(), source: Box::new(source) };
    let bytes = npy_bytes(tensor).map_err(at)?;
    fs::write(path, bytes).map_err(|source| TensorFileError::Io { path: path.to_owned(), source })
}

const DESCRS: &[(&str, Dtype)] = &[
    ("f2", Dtype::Float16),
    ("f4", Dtype::Float32),
    ("f8", Dtype::Float64),
    ("i1", Dtype::Int8),
    ("i2", Dtype::Int16),
    ("i4", Dtype::Int32),
    ("i8", Dtype::Int64),
    ("u1", Dtype::Uint8),
    ("u2", Dtype::Uint16),
    ("u4", Dtype::Uint32),
    ("u8", Dtype::Uint64),
    ("b1", Dtype::Bool),
];

/// What a `descr` says.
struct Kind {
    dtype: Dtype,
    /// Bytes an element.
    width: usize,
    /// Bytes of what endianness applies to: an element, or one character of a text.
    unit: usize,
    big_endian: bool,
}

impl Kind {
    fn parse(descr: &str) -> Result<Self, TensorFileError> {
        let unsupported = || TensorFileError::unsupported(format!("NumPy's type `{descr}`"));
        let (big_endian, name) = match descr.split_at_checked(1).ok_or_else(unsupported)? {
            (">", name) => (true, name),
            ("<" | "|", name) => (false, name),
            // `=` is the writer's own order, which the file does not tell.
            _ => return Err(unsupported()),
        };
        if let Some(length) = name.strip_prefix('U') {
            let length: usize = length.parse().map_err(|_| unsupported())?;
            let width = length.checked_mul(4).ok_or_else(unsupported)?;
            return Ok(Kind { dtype: Dtype::String, width, unit: 4, big_endian });
        }
        let (_, dtype) = DESCRS.iter().find(|(known, _)| *known == name).ok_or_else(unsupported)?;
        let width = dtype.byte_len(1).ok_or_else(unsupported)?;
        Ok(Kind { dtype: *dtype, width, unit: width, big_endian })
    }
}

/// The header's text, and the data after it.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), TensorFileError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| TensorFileError::malformed("it does not begin as .npy does"))?;
    let cut = || TensorFileError::malformed("its header is cut off");
    let (version, rest) = rest.split_at_checked(2).ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_le_bytes(*length)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)),
        other => return Err(TensorFileError::unsupported(format!("version {other} of the .npy format"))),
    }
    .ok_or_else(cut)?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| TensorFileError::malformed("its header is not text"))?;
    Ok((header, data))
}

/// The header: a Python dictionary of three known keys.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, TensorFileError> {
        let malformed = || TensorFileError::malformed(format!("its header is `{}`", text.trim_end()));
        let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(malformed)?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest).ok_or_else(malformed)?;
            let value = after.trim_start().strip_prefix(':').ok_or_else(malformed)?.trim_start();
            rest = match key {
                "descr" if value.starts_with('[') => return Err(TensorFileError::unsupported("a structured array")),
                "descr" => {
                    let (text, after) = quoted(value).ok_or_else(malformed)?;
                    descr = Some(text.to_owned());
                    after
                }
                "fortran_order" => {
                    let (order, after) = None
                        .or_else(|| value.strip_prefix("False").map(|after| (false, after)))
                        .or_else(|| value.strip_prefix("True").map(|after| (true, after)))
                        .ok_or_else(malformed)?;
                    fortran_order = Some(order);
                    after
                }
                "shape" => {
                    let (dims, after) =
                        value.strip_prefix('(').and_then(|v| v.split_once(')')).ok_or_else(malformed)?;
                    let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
                    shape = Some(dims.map(str::parse).collect::<Result<_, _>>().map_err(|_| malformed())?);
                    after
                }
                _ => return Err(malformed()),
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self { descr, fortran_order, shape }),
            _ => Err(malformed()),
        }
    }
}

/// A quoted text at the beginning, and what is after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// One text of UTF-32 padded with NULs.
fn text(utf32: &[u8]) -> Result<String, TensorFileError> {
    let broken = || TensorFileError::malformed("a text holds what is no character");
    let chars = utf32.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]));
    let text: String = chars.map(char::from_u32).collect::<Option<_>>().ok_or_else(broken)?;
    Ok(text.trim_end_matches('\0').to_owned())
}

/// Elements of `width` bytes each, from column-major to row-major order.
fn row_major(data: &[u8], shape: &[usize], width: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = width;
    for dim in shape {
        strides.push(stride);
        stride *= dim;
    }
    let mut ordered = Vec::with_capacity(data.len());
    let mut index = vec![0; shape.len()];
    while ordered.len() < data.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        ordered.extend_from_slice(&data[at..at + width]);
        for (i, dim) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    ordered
}
