use crate::onnx::{
    TensorFileError, from_npy, npy_bytes, read_tensor_file, tensor_from_proto, tensor_to_proto, write_npy,
};
use crate::types::{Dtype, Tensor};
use ndarray::{ArrayD, ShapeBuilder};
use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::TensorProto;

/// Any tensor, of any type and up to three dimensions.
pub fn any_tensor() -> impl Strategy<Value = Tensor<'static>> {
    let dtype = prop::sample::select(Dtype::ALL);
    (dtype, prop::collection::vec(0_usize..4, 0..4)).prop_flat_map(|(dtype, shape)| {
        let count: usize = shape.iter().product();
        let numbers = prop::collection::vec(any::<u8>(), dtype.byte_len(count).unwrap_or(0));
        let texts = prop::collection::vec("[^\0]{0,5}", count);
        (numbers, texts).prop_map(move |(mut bytes, texts)| match dtype {
            Dtype::String => Tensor::from_strings(shape.clone(), &texts).unwrap(),
            Dtype::Bool => {
                bytes.iter_mut().for_each(|byte| *byte &= 1);
                Tensor::new(dtype, shape.clone(), bytes).unwrap()
            }
            _ => Tensor::new(dtype, shape.clone(), bytes).unwrap(),
        })
    })
}

proptest! {
    #[test]
    fn protos_round_trip(tensor in any_tensor(), name in ".{0,8}") {
        prop_assert_eq!(tensor_from_proto(&tensor_to_proto(&name, &tensor)).unwrap(), (name, tensor));
    }

    #[test]
    fn npy_round_trips(tensor in any_tensor()) {
        match npy_bytes(&tensor) {
            Ok(bytes) => prop_assert_eq!(from_npy(&bytes).unwrap(), tensor),
            Err(error) => {
                prop_assert!(error.is_unsupported());
                prop_assert!(matches!(tensor.dtype(), Dtype::Int4 | Dtype::Uint4));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes: Vec<u8>, tensor in any_tensor(), at: usize, byte: u8) {
        let _ = tensor_from_proto(&bytes);
        let _ = from_npy(&bytes);
        let mut proto = tensor_to_proto("x", &tensor);
        let place = at % proto.len();
        proto[place] = byte;
        let _ = tensor_from_proto(&proto);
        if let Ok(mut npy) = npy_bytes(&tensor) {
            let place = at % npy.len();
            npy[place] = byte;
            let _ = from_npy(&npy);
            let _ = from_npy(&npy[..place]);
        }
    }

    #[test]
    fn npy_of_any_type_and_shape_does_not_make_the_reader_panic(
        descr in "[<>|][Ufiub][0-9]",
        fortran_order: bool,
        shape in prop::collection::vec(prop_oneof![0..4_usize, any::<usize>()], 0..4),
        data in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let order = if fortran_order { "True" } else { "False" };
        let shape: String = shape.iter().map(|dim| format!("{dim},")).collect();
        let _ = from_npy(&npy(&format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape})}}"), &data));
    }

    #[test]
    fn npy_headers_do_not_make_the_reader_panic(header in "[{}()':,<>|a-zA-Z0-9 ]{0,60}") {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        let _ = from_npy(&bytes);
    }
}

/// An `.npy` file with this header and data.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn npy_of_other_orders_is_converted() {
    let big = npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", &[0, 1, 1, 0]);
    assert_eq!(from_npy(&big).unwrap(), Tensor::from_values([2], &[1_i16, 256]).unwrap());
    let fortran = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", &[0, 3, 1, 4, 2, 5]);
    assert_eq!(from_npy(&fortran).unwrap(), Tensor::from_values([2, 3], &[0_u8, 1, 2, 3, 4, 5]).unwrap());
    let text = npy("{\"descr\": \">U2\", \"fortran_order\": False, \"shape\": ()}", &[0, 0, 0, b'a', 0, 0, 0, 0]);
    assert_eq!(from_npy(&text).unwrap(), Tensor::from_strings([], &["a"]).unwrap());
    let empty = npy("{'descr': '<U0', 'fortran_order': False, 'shape': (2,)}", &[]);
    assert_eq!(from_npy(&empty).unwrap(), Tensor::from_strings([2], &["", ""]).unwrap());
}

#[test]
fn npy_is_written_as_numpy_writes_it() {
    let bytes = npy_bytes(&Tensor::from_values([3], &[1_f32, 2.0, 3.0]).unwrap()).unwrap();
    assert_eq!(bytes.len() - 12, 128, "the data begin at a multiple of 64");
    assert!(bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"));
    let scalar = npy_bytes(&Tensor::scalar(true)).unwrap();
    assert!(scalar[10..].starts_with(b"{'descr': '|b1', 'fortran_order': False, 'shape': (), }"));
}

#[test]
fn npy_that_cannot_be_taken_says_why() {
    let error = |descr: &str, data: &[u8]| {
        from_npy(&npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"), data)).unwrap_err()
    };
    for descr in ["'<c8'", "'|O'", "'|S3'", "'<M8[ns]'", "'=f4'", "''", "[('a', '<f4')]", "'<U99999999999999999999'"] {
        let error = error(descr, &[0; 8]);
        assert!(error.is_unsupported(), "{descr}: {error}");
    }
    assert!(matches!(error("'<f4'", &[0; 3]), TensorFileError::Malformed { .. }));
    let endless = npy("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000000,)}", &[]);
    assert!(matches!(from_npy(&endless), Err(TensorFileError::Malformed { .. })));
    assert!(matches!(from_npy(b"nothing"), Err(TensorFileError::Malformed { .. })));
}

#[test]
fn protos_with_typed_fields_are_read() {
    let proto = |data_type: i32, dims: &[i64]| TensorProto { data_type, dims: dims.to_vec(), ..TensorProto::default() };
    let read = |proto: TensorProto| tensor_from_proto(&proto.encode_to_vec()).unwrap().1;
    let int32 = |data_type, dims: &[i64], data: &[i32]| {
        read(TensorProto { int32_data: data.to_vec(), ..proto(data_type, dims) })
    };
    assert_eq!(int32(6, &[2], &[-1, 2]).to_vec::<i32>().unwrap(), [-1, 2]);
    assert_eq!(int32(3, &[2], &[-1, 2]).to_vec::<i8>().unwrap(), [-1, 2]);
    assert_eq!(int32(4, &[1], &[65535]).to_vec::<u16>().unwrap(), [65535]);
    assert_eq!(int32(9, &[3], &[0, 1, 256]).to_vec::<bool>().unwrap(), [false, true, true]);
    assert_eq!(int32(10, &[1], &[0x3c00]).to_vec::<half::f16>().unwrap(), [half::f16::ONE]);
    assert_eq!(int32(22, &[3], &[0x21, 0x0f]).bytes(), [0x21, 0x0f]);
    assert_eq!(read(TensorProto { float_data: vec![1.5], ..proto(1, &[]) }), Tensor::scalar(1.5_f32));
    assert_eq!(read(TensorProto { double_data: vec![1.5], ..proto(11, &[]) }), Tensor::scalar(1.5_f64));
    assert_eq!(read(TensorProto { int64_data: vec![-5], ..proto(7, &[]) }), Tensor::scalar(-5_i64));
    assert_eq!(read(TensorProto { uint64_data: vec![5], ..proto(12, &[]) }), Tensor::scalar(5_u32));
    assert_eq!(read(TensorProto { uint64_data: vec![u64::MAX], ..proto(13, &[]) }), Tensor::scalar(u64::MAX));
    assert_eq!(read(TensorProto { raw_data: vec![7], ..proto(9, &[]) }).bytes(), [1]);
    assert_eq!(read(proto(1, &[0, 3])).shape(), [0, 3]);
}

#[test]
fn protos_that_cannot_be_taken_say_why() {
    let error = |proto: TensorProto| tensor_from_proto(&proto.encode_to_vec()).unwrap_err();
    let float = || TensorProto { data_type: 1, float_data: vec![1.0], ..TensorProto::default() };
    assert!(matches!(error(TensorProto { dims: vec![2], ..float() }), TensorFileError::Tensor(_)));
    assert!(matches!(error(TensorProto { dims: vec![-1], ..float() }), TensorFileError::Malformed { .. }));
    assert!(matches!(error(TensorProto { dims: vec![i64::MAX, 4], ..float() }), TensorFileError::Tensor(_)));
    assert!(matches!(error(TensorProto::default()), TensorFileError::Malformed { .. }));
    assert!(error(TensorProto { data_location: Some(1), ..float() }).is_unsupported());
    assert!(error(TensorProto { segment: Some(Default::default()), ..float() }).is_unsupported());
    for (number, name) in [(14, "complex64"), (16, "bfloat16"), (17, "float8e4m3fn"), (99, "99")] {
        let error = error(TensorProto { data_type: number, ..float() });
        assert!(error.is_unsupported() && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn files_are_told_by_their_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = Tensor::from_values([2], &[1_u8, 2]).unwrap();
    let (npy, pb) = (folder.path().join("x.npy"), folder.path().join("x.pb"));
    write_npy(&npy, &tensor).unwrap();
    std::fs::write(&pb, tensor_to_proto("x", &tensor)).unwrap();
    assert_eq!(read_tensor_file(&npy).unwrap(), tensor);
    assert_eq!(read_tensor_file(&pb).unwrap(), tensor);
    std::fs::copy(&pb, &npy).unwrap();
    let error = read_tensor_file(&npy).unwrap_err().to_string();
    assert!(error.ends_with("x.npy: it is not a tensor: it does not begin as .npy does"), "{error}");
    assert!(matches!(read_tensor_file(&folder.path().join("absent")), Err(TensorFileError::Io { .. })));
}

#[test]
fn arrays_of_any_order_become_row_major_tensors() {
    let array = ndarray::Array2::from_shape_vec((2, 3).f(), vec![0_f32, 3.0, 1.0, 4.0, 2.0, 5.0]).unwrap();
    let tensor = Tensor::from(array.clone());
    assert_eq!(tensor, Tensor::from_values([2, 3], &[0_f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap());
    assert_eq!(ArrayD::<f32>::try_from(&tensor).unwrap(), array.into_dyn());
    assert!(ArrayD::<f64>::try_from(tensor).is_err());
}
