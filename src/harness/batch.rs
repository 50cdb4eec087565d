//! Tensors as a frame carries them: descriptions, and one body they all lie in.

use super::frame::{ALIGNMENT, FrameError, align};
use crate::types::{Tensor, TensorError, TensorInfo};
use bytes::Bytes;

/// Named tensors in one stretch of bytes, laid out as in a frame: each starts at a multiple of 8 from the body's start.
/// A clone costs a copy of the descriptions and a counter, not a copy of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorBatch {
    infos: Vec<TensorInfo>,
    body: Bytes,
}

impl TensorBatch {
    /// Copies the tensors, in their order, into one body.
    pub fn encode<'a, 'b: 'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor<'b>)>) -> Self {
        let tensors: Vec<_> = tensors.into_iter().collect();
        let length = tensors.iter().fold(0, |end, (_, tensor)| align(end) + tensor.bytes().len());
        let mut body = Vec::with_capacity(length);
        let mut infos = Vec::with_capacity(tensors.len());
        for (name, tensor) in tensors {
            body.resize(align(body.len()), 0);
            body.extend_from_slice(tensor.bytes());
            infos.push(TensorInfo {
                name: name.to_owned(),
                dtype: tensor.dtype(),
                shape: tensor.shape().to_vec(),
                bytes: tensor.bytes().len(),
            });
        }
        Self { infos, body: body.into() }
    }

    /// The tensors described by `infos` that lie in the body of a frame.
    pub(super) fn of_frame(infos: Vec<TensorInfo>, body: Bytes) -> Result<Self, FrameError> {
        // In u64 with saturation, because the numbers are the other side's.
        let described = infos.iter().fold(0_u64, |end, info| {
            end.checked_next_multiple_of(ALIGNMENT as u64).unwrap_or(u64::MAX).saturating_add(info.bytes as u64)
        });
        if described != body.len() as u64 {
            return Err(FrameError::Length { described, actual: body.len() });
        }
        infos.iter().try_for_each(check_length)?;
        Ok(Self { infos, body })
    }

    /// What the tensors are, in their order.
    pub fn infos(&self) -> &[TensorInfo] {
        &self.infos
    }

    /// How many bytes the body takes, the gaps between tensors included.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// The body.
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The tensors with their names. Their data are views of the body: nothing is copied, and the body lives as long as
    /// one of them does.
    ///
    /// # Errors
    /// [`FrameError::Tensor`] when the bytes of one are not what its type asks for (texts that are not UTF-8, say).
    pub fn tensors(&self) -> Result<Vec<(String, Tensor<'static>)>, FrameError> {
        let mut start = 0;
        self.infos
            .iter()
            .map(|info| {
                start = align(start);
                let data = self.body.slice(start..start + info.bytes);
                start += info.bytes;
                let tensor = Tensor::new(info.dtype, info.shape.clone(), data)
                    .map_err(|source| FrameError::Tensor { name: info.name.clone(), source })?;
                Ok((info.name.clone(), tensor))
            })
            .collect()
    }
}

/// Whether a description contradicts itself. Texts tell their length only in their data.
fn check_length(info: &TensorInfo) -> Result<(), FrameError> {
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
