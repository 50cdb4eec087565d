use super::{Dtype, Element, Tensor, TensorError};
use proptest::prelude::*;

#[test]
fn data_has_to_be_as_long_as_the_shape_says() {
    assert!(Tensor::new(Dtype::Float32, [2, 3], vec![0; 24]).is_ok());
    assert!(Tensor::new(Dtype::Float32, [0, 3], vec![]).is_ok());
    assert!(Tensor::new(Dtype::Int4, [3], vec![0; 2]).is_ok());
    let error = Tensor::new(Dtype::Float32, [2, 3], vec![0; 23]).unwrap_err();
    assert_eq!(error.to_string(), "a float32 tensor of shape [2, 3] takes 24 bytes, but 23 were given");
    for shape in [[usize::MAX, 2], [usize::MAX / 8 + 1, 1]] {
        assert!(matches!(Tensor::new(Dtype::Int8, shape, vec![]), Err(TensorError::TooLarge { .. })));
    }
}

#[test]
fn numbers_keep_their_type() {
    let tensor = Tensor::from_values([2], &[1_i16, -2]).unwrap();
    assert_eq!(tensor.to_vec::<i16>().unwrap(), [1, -2]);
    let wrong = tensor.to_vec::<u16>().unwrap_err();
    assert_eq!(wrong, TensorError::WrongType { actual: Dtype::Int16, wanted: Dtype::Uint16 });
    assert!(tensor.to_strings().is_err());
    assert!(matches!(Tensor::from_values([3], &[1_i16]), Err(TensorError::Length { .. })));
    assert_eq!(Tensor::scalar(2.5_f64).to_vec::<f64>().unwrap(), [2.5]);
    assert_eq!(tensor.info("x").bytes, 4);
    assert_eq!(tensor.view(), tensor);
}

#[test]
fn a_clone_of_owned_bytes_is_no_copy() {
    let tensor = Tensor::from_values([2], &[1_u8, 2]).unwrap();
    let bytes = tensor.clone().into_owned().into_bytes();
    assert_eq!(bytes.as_ptr(), tensor.bytes().as_ptr());
}

#[test]
fn broken_string_tensors_are_refused() {
    let data = |offsets: &[u32], text: &[u8]| {
        let mut data = Vec::new();
        offsets.iter().for_each(|offset| offset.write_le(&mut data));
        data.extend_from_slice(text);
        Tensor::new(Dtype::String, [2], data)
    };
    assert_eq!(data(&[0, 1, 3], b"abc").unwrap().to_strings().unwrap(), ["a", "bc"]);
    for (offsets, text) in [
        (&[0, 1][..], &b""[..]),
        (&[1, 1, 3], b"abc"),
        (&[0, 2, 1], b"a"),
        (&[0, 1, 4], b"abc"),
        (&[0, 1, 2], b"abc"),
        (&[0, 1, 2], "é".as_bytes()),
    ] {
        assert!(matches!(data(offsets, text), Err(TensorError::BrokenStrings { .. })), "{offsets:?} {text:?}");
    }
    assert!(Tensor::from_strings([3], &["a"]).is_err());
}

proptest! {
    #[test]
    fn strings_round_trip(texts: Vec<String>) {
        let tensor = Tensor::from_strings([texts.len()], &texts).unwrap();
        prop_assert_eq!(tensor.to_strings().unwrap(), texts);
    }

    #[test]
    fn values_round_trip(values: Vec<i64>) {
        let tensor = Tensor::from_values([values.len()], &values).unwrap();
        prop_assert_eq!(tensor.len(), values.len());
        prop_assert_eq!(tensor.to_vec::<i64>().unwrap(), values);
    }

    #[test]
    fn no_bytes_make_a_tensor_panic(data: Vec<u8>, shape in prop::collection::vec(any::<usize>(), 0..4), small in 0_usize..9) {
        for dtype in Dtype::ALL {
            let _ = Tensor::new(*dtype, shape.clone(), &data[..]);
            if let Ok(tensor) = Tensor::new(*dtype, [small], &data[..]) {
                let _ = tensor.to_strings();
            }
        }
    }
}

#[test]
fn rows_are_views_of_the_same_bytes() {
    let tensor = Tensor::from_values([4, 3], &(0..12).collect::<Vec<i32>>()).unwrap();
    let rows = tensor.rows(1..3).unwrap();
    assert_eq!((rows.shape(), rows.to_vec::<i32>().unwrap()), (&[2, 3][..], (3..9).collect()));
    assert_eq!(rows.bytes().as_ptr(), tensor.bytes()[12..].as_ptr());
    assert_eq!(tensor.rows(2..2).unwrap().len(), 0);
    assert_eq!((tensor.rows(3..5), tensor.rows(4..5), Tensor::scalar(1.0_f32).rows(0..1)), (None, None, None));
    assert_eq!(Tensor::from_strings([2], &["a", "b"]).unwrap().rows(0..1), None, "texts are not of equal length");
    assert_eq!(Tensor::new(Dtype::Uint4, [2, 3], vec![0; 3]).unwrap().rows(0..1), None, "two share a byte");
}
