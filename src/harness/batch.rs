//! Tensors as a frame carries them: descriptions, and one body they all lie in.

use super::frame::{ALIGNMENT, FrameError, align};
use crate::types::{Dtype, Tensor, TensorInfo};
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

    /// What tensors become that lie one after the other along their first dimension. All batches have the same tensors in
    /// the same order.
    pub(super) fn stacked_infos(batches: &[&Self]) -> Vec<TensorInfo> {
        let Some(first) = batches.first() else { return Vec::new() };
        let stacked = first.infos.iter().enumerate().map(|(index, info)| {
            let all = || batches.iter().filter_map(|batch| batch.infos.get(index));
            let mut stacked = TensorInfo { bytes: all().map(|info| info.bytes).sum(), ..info.clone() };
            if let Some(rows) = stacked.shape.first_mut() {
                *rows = all().filter_map(|info| info.shape.first()).sum();
            }
            stacked
        });
        stacked.collect()
    }

    /// Copies the tensors of all batches, stacked as [`stacked_infos`](Self::stacked_infos) tells, to the end of what
    /// ends at a multiple of the alignment.
    pub(super) fn stack(batches: &[&Self], to: &mut Vec<u8>) {
        let tensors = batches.first().map_or(0, |first| first.infos.len());
        to.reserve(batches.iter().map(|batch| batch.body.len() + tensors * ALIGNMENT).sum());
        let mut starts = vec![0; batches.len()];
        for index in 0..tensors {
            to.resize(align(to.len()), 0);
            for (batch, start) in batches.iter().zip(&mut starts) {
                let Some(info) = batch.infos.get(index) else { continue };
                *start = align(*start);
                to.extend_from_slice(&batch.body[*start..*start + info.bytes]);
                *start += info.bytes;
            }
        }
    }

    /// Descriptions and the body they have been found to describe.
    pub(super) const fn of_parts(infos: Vec<TensorInfo>, body: Bytes) -> Self {
        Self { infos, body }
    }

    /// Whether the texts are what their descriptions say; the other types have nothing in them to be wrong.
    pub(super) fn check_texts(&self) -> Result<(), FrameError> {
        let has_texts = self.infos.iter().any(|info| info.dtype == Dtype::String);
        if has_texts { self.tensors().map(drop) } else { Ok(()) }
    }

    /// What the tensors are, in their order.
    pub fn infos(&self) -> &[TensorInfo] {
        &self.infos
    }

    /// How many rows a model is given with them: the first dimension of each that has one; `None` where they differ.
    pub fn rows(&self) -> Option<u32> {
        let mut firsts = self.infos.iter().filter_map(|info| info.shape.first());
        let rows = firsts.next()?;
        if firsts.all(|first| first == rows) { u32::try_from(*rows).ok() } else { None }
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
    /// [`FrameError::Tensor`] when the bytes of one are not what its type asks for; a batch that came in a frame has
    /// been checked for that already.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_batch_are_the_first_dimension_that_all_agree_on() {
        let rows = |shapes: &[&[usize]]| {
            let tensors: Vec<Tensor<'_>> = shapes
                .iter()
                .map(|shape| Tensor::from_values(shape.to_vec(), &vec![0_f32; shape.iter().product()]).unwrap())
                .collect();
            TensorBatch::encode(tensors.iter().map(|tensor| ("x", tensor))).rows()
        };
        assert_eq!(rows(&[&[4, 2], &[4], &[]]), Some(4), "a single number has none");
        assert_eq!(rows(&[&[4, 2], &[1, 4]]), None);
        assert_eq!(rows(&[&[]]), None);
        assert_eq!(rows(&[&[0, 3]]), Some(0));
    }
}
