//! Dense tensors as raw little-endian bytes with a type and a shape.

mod dtype;
mod element;

pub use dtype::Dtype;
pub use element::Element;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range};

/// A tensor's name, type and shape: its description without its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// The model's name for it.
    pub name: String,
    /// The element type.
    pub dtype: Dtype,
    /// The dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// How many bytes its data take.
    pub bytes: usize,
}

/// A dense tensor in row-major order, borrowing its bytes or sharing the ownership of them.
#[derive(Clone)]
pub struct Tensor<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: TensorData<'a>,
}

/// A tensor's raw bytes. A clone of shared bytes costs a counter, not a copy, so that outputs are views of the frame
/// they came in.
#[derive(Clone)]
pub enum TensorData<'a> {
    /// The caller's.
    Borrowed(&'a [u8]),
    /// Owned together with whoever else holds them.
    Shared(Bytes),
}

impl TensorData<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            TensorData::Borrowed(slice) => slice,
            TensorData::Shared(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a [u8]> for TensorData<'a> {
    fn from(slice: &'a [u8]) -> Self {
        TensorData::Borrowed(slice)
    }
}

impl From<Vec<u8>> for TensorData<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        TensorData::Shared(bytes.into())
    }
}

impl From<Bytes> for TensorData<'_> {
    fn from(bytes: Bytes) -> Self {
        TensorData::Shared(bytes)
    }
}

impl PartialEq for Tensor<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.dtype, self.shape(), self.bytes()) == (other.dtype, other.shape(), other.bytes())
    }
}

/// A shape and data that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The data's length is not that of the shape.
    #[error("a {dtype} tensor of shape {shape:?} takes {expected} bytes, but {given} were given")]
    Length {
        /// The element type.
        dtype: Dtype,
        /// The dimensions.
        shape: Vec<usize>,
        /// What the shape asks for.
        expected: usize,
        /// What came.
        given: usize,
    },
    /// The shape's element count does not fit the address space.
    #[error("a tensor of shape {shape:?} is larger than this machine can address")]
    TooLarge {
        /// The dimensions.
        shape: Vec<usize>,
    },
    /// A string tensor whose offsets or UTF-8 are broken.
    #[error("a string tensor of shape {shape:?} has broken data: {what}")]
    BrokenStrings {
        /// The dimensions.
        shape: Vec<usize>,
        /// What is wrong.
        what: &'static str,
    },
    /// Asked for as another type than it is.
    #[error("the tensor holds {actual}, not {wanted}")]
    WrongType {
        /// Its element type.
        actual: Dtype,
        /// What was asked for.
        wanted: Dtype,
    },
}

impl<'a> Tensor<'a> {
    /// A tensor over raw little-endian bytes.
    ///
    /// # Errors
    /// [`TensorError::Length`] when the bytes are not as many as the shape asks for, [`TensorError::BrokenStrings`]
    /// when they are not a string tensor's.
    pub fn new(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        data: impl Into<TensorData<'a>>,
    ) -> Result<Self, TensorError> {
        let (shape, data) = (shape.into(), data.into());
        let elements = element_count(&shape)?;
        let bytes = data.as_slice();
        match dtype.byte_len(elements) {
            Some(expected) if expected != bytes.len() => {
                Err(TensorError::Length { dtype, shape, expected, given: bytes.len() })
            }
            Some(_) => Ok(Self { dtype, shape, data }),
            None => match check_strings(bytes, elements) {
                Ok(()) => Ok(Self { dtype, shape, data }),
                Err(what) => Err(TensorError::BrokenStrings { shape, what }),
            },
        }
    }

    /// The element type.
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The dimensions; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The raw little-endian bytes.
    pub fn bytes(&self) -> &[u8] {
        self.data.as_slice()
    }

    /// How many elements the shape holds.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the shape holds no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as numbers of type `T`.
    ///
    /// # Errors
    /// [`TensorError::WrongType`] when it holds another type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        if self.dtype != T::DTYPE {
            return Err(TensorError::WrongType { actual: self.dtype, wanted: T::DTYPE });
        }
        Ok(self.bytes().chunks_exact(size_of::<T>()).map(T::read_le).collect())
    }

    /// The elements of a string tensor.
    ///
    /// # Errors
    /// [`TensorError::WrongType`] when it holds another type.
    pub fn to_strings(&self) -> Result<Vec<String>, TensorError> {
        if self.dtype != Dtype::String {
            return Err(TensorError::WrongType { actual: self.dtype, wanted: Dtype::String });
        }
        let count = self.len();
        let data = self.bytes();
        let text = &data[(count + 1) * 4..];
        let offset = |i: usize| u32::read_le(&data[i * 4..i * 4 + 4]) as usize;
        Ok((0..count).map(|i| String::from_utf8_lossy(&text[offset(i)..offset(i + 1)]).into_owned()).collect())
    }

    /// Its description under a name.
    pub fn info(&self, name: impl Into<String>) -> TensorInfo {
        TensorInfo { name: name.into(), dtype: self.dtype, shape: self.shape.clone(), bytes: self.bytes().len() }
    }

    /// The same tensor, borrowed: it costs the shape, not the data.
    pub fn view(&self) -> Tensor<'_> {
        Tensor { dtype: self.dtype, shape: self.shape.clone(), data: TensorData::Borrowed(self.bytes()) }
    }

    /// These rows of it, along the first dimension, as another view of the same bytes. `None` where there are no such rows,
    /// and of texts and of elements that share bytes.
    pub fn rows(&self, rows: Range<usize>) -> Option<Tensor<'a>> {
        let (count, rest) = self.shape.split_first()?;
        let row = match self.dtype {
            Dtype::Int4 | Dtype::Uint4 => return None,
            dtype => dtype.byte_len(rest.iter().product())?,
        };
        if rows.start > rows.end || rows.end > *count {
            return None;
        }
        let bytes = rows.start * row..rows.end * row;
        let data = match &self.data {
            TensorData::Borrowed(slice) => TensorData::Borrowed(&slice[bytes]),
            TensorData::Shared(shared) => TensorData::Shared(shared.slice(bytes)),
        };
        let shape = std::iter::once(rows.len()).chain(rest.iter().copied()).collect();
        Some(Tensor { dtype: self.dtype, shape, data })
    }

    /// The raw little-endian bytes with their ownership: a copy only where they were borrowed.
    pub fn into_bytes(self) -> Bytes {
        match self.data {
            TensorData::Borrowed(slice) => Bytes::copy_from_slice(slice),
            TensorData::Shared(bytes) => bytes,
        }
    }

    /// The same tensor, owning its bytes.
    pub fn into_owned(self) -> Tensor<'static> {
        let (dtype, shape) = (self.dtype, self.shape.clone());
        Tensor { dtype, shape, data: TensorData::Shared(self.into_bytes()) }
    }
}

impl Tensor<'static> {
    /// A tensor of one value and no dimensions.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self::whole(Vec::new(), std::iter::once(value))
    }

    /// A tensor whose values are known to be as many as its shape holds.
    pub(crate) fn whole<T: Element>(shape: Vec<usize>, values: impl Iterator<Item = T>) -> Self {
        let mut data = Vec::with_capacity(values.size_hint().0 * size_of::<T>());
        values.for_each(|value| value.write_le(&mut data));
        debug_assert_eq!(T::DTYPE.byte_len(shape.iter().product()), Some(data.len()));
        Tensor { dtype: T::DTYPE, shape, data: TensorData::Shared(data.into()) }
    }

    /// A tensor of `values` in row-major order.
    ///
    /// # Errors
    /// [`TensorError::Length`] when there are not as many values as the shape holds.
    pub fn from_values<T: Element>(shape: impl Into<Vec<usize>>, values: &[T]) -> Result<Self, TensorError> {
        let mut data = Vec::with_capacity(size_of_val(values));
        values.iter().for_each(|v| v.write_le(&mut data));
        Self::new(T::DTYPE, shape, data)
    }

    /// A string tensor. Its bytes are one little-endian u32 offset per element and one more for the end, counted from
    /// the first text's first byte, and then the texts' UTF-8 bytes without anything between them.
    ///
    /// # Errors
    /// [`TensorError::BrokenStrings`] when there are not as many texts as the shape holds, or more than 4 GiB of them.
    pub fn from_strings<S: AsRef<str>>(shape: impl Into<Vec<usize>>, texts: &[S]) -> Result<Self, TensorError> {
        let shape = shape.into();
        if texts.len() != element_count(&shape)? {
            return Err(TensorError::BrokenStrings { shape, what: "there are not as many texts as it holds" });
        }
        let mut data = Vec::new();
        let mut end = 0_u32;
        end.write_le(&mut data);
        for text in texts {
            let longer = u32::try_from(text.as_ref().len()).ok().and_then(|len| end.checked_add(len));
            let Some(longer) = longer else {
                return Err(TensorError::BrokenStrings { shape, what: "more than 4 GiB of text" });
            };
            end = longer;
            end.write_le(&mut data);
        }
        texts.iter().for_each(|text| data.extend_from_slice(text.as_ref().as_bytes()));
        Self::new(Dtype::String, shape, data)
    }
}

impl fmt::Debug for Tensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?}, {} bytes)", self.dtype, self.shape, self.bytes().len())
    }
}

fn element_count(shape: &[usize]) -> Result<usize, TensorError> {
    // Eight bytes is the widest element; the product with it must not overflow either.
    shape
        .iter()
        .try_fold(8_usize, |product, dim| product.checked_mul(*dim))
        .map(|bytes| bytes / 8)
        .ok_or_else(|| TensorError::TooLarge { shape: shape.to_vec() })
}

fn check_strings(data: &[u8], elements: usize) -> Result<(), &'static str> {
    let table = (elements + 1) * 4;
    if data.len() < table {
        return Err("it is shorter than its table of offsets");
    }
    let (offsets, text) = data.split_at(table);
    let offsets: Vec<usize> = offsets.chunks_exact(4).map(|o| u32::read_le(o) as usize).collect();
    if offsets[0] != 0 || offsets[elements] != text.len() || offsets.windows(2).any(|w| w[0] > w[1]) {
        return Err("its offsets do not cover its text");
    }
    let whole = offsets.windows(2).all(|w| std::str::from_utf8(&text[w[0]..w[1]]).is_ok());
    if whole { Ok(()) } else { Err("its text is not UTF-8") }
}

#[cfg(test)]
mod tests;
