//! Between [`Tensor`] and [`ndarray`]'s arrays.

use crate::types::{Element, Tensor, TensorError};
use ndarray::{Array, ArrayD, Dimension, IxDyn};

impl<T: Element, D: Dimension> From<Array<T, D>> for Tensor<'static> {
    /// The array's elements in row-major order, whatever order it keeps them in.
    fn from(array: Array<T, D>) -> Self {
        Tensor::whole(array.shape().to_vec(), array.iter().copied())
    }
}

impl<T: Element> TryFrom<&Tensor<'_>> for ArrayD<T> {
    type Error = TensorError;

    /// [`TensorError::WrongType`] when the tensor holds another type than `T`.
    fn try_from(tensor: &Tensor<'_>) -> Result<Self, TensorError> {
        let shape = tensor.shape().to_vec();
        ArrayD::from_shape_vec(IxDyn(&shape), tensor.to_vec::<T>()?).map_err(|_| TensorError::TooLarge { shape })
    }
}

impl<T: Element> TryFrom<Tensor<'_>> for ArrayD<T> {
    type Error = TensorError;

    /// [`TensorError::WrongType`] when the tensor holds another type than `T`.
    fn try_from(tensor: Tensor<'_>) -> Result<Self, TensorError> {
        Self::try_from(&tensor)
    }
}
