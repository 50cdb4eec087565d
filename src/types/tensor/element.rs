//! Rust's numbers as elements of a tensor.

use super::Dtype;

/// A Rust number that is an element type.
pub trait Element: Copy + sealed::Sealed {
    /// The element type it is.
    const DTYPE: Dtype;
    /// Its little-endian bytes, appended.
    fn write_le(self, out: &mut Vec<u8>);
    /// From its little-endian bytes, which are exactly as many as it takes.
    fn read_le(bytes: &[u8]) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty = $dtype:ident),+ $(,)?) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            fn write_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read_le(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$type>()];
                array.copy_from_slice(bytes);
                <$type>::from_le_bytes(array)
            }
        }
    )+};
}
elements!(
    f32 = Float32,
    half::f16 = Float16,
    f64 = Float64,
    i8 = Int8,
    i16 = Int16,
    i32 = Int32,
    i64 = Int64,
    u8 = Uint8,
    u16 = Uint16,
    u32 = Uint32,
    u64 = Uint64,
);

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: Dtype = Dtype::Bool;
    fn write_le(self, out: &mut Vec<u8>) {
        out.push(self.into());
    }
    fn read_le(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}
