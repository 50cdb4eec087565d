//! What holds for every frame.

use crate::{
    harness::{
        TensorBatch,
        frame::{self, Frame},
        message,
    },
    types::{Dtype, Tensor},
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn tensor() -> impl Strategy<Value = Tensor<'static>> {
    let numbers =
        (0..Dtype::ALL.len(), vec(0_usize..5, 0..4), any::<u8>()).prop_filter_map("texts", |(at, shape, fill)| {
            let dtype = Dtype::ALL[at];
            let bytes = dtype.byte_len(shape.iter().product())?;
            Tensor::new(dtype, shape, vec![fill; bytes]).ok()
        });
    let texts =
        vec(".{0,9}", 0..6).prop_filter_map("too long", |texts| Tensor::from_strings([texts.len()], &texts).ok());
    prop_oneof![4 => numbers, 1 => texts]
}

/// Headers that are nearly right, so that the decoder gets past the first check.
fn header() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        Just("hello"),
        Just("probed"),
        Just("ready"),
        Just("loaded"),
        Just("result"),
        Just("released"),
        Just("pong"),
        Just("failed"),
        Just("lost"),
        "[a-z]{0,6}".prop_map(|kind| -> &'static str { Box::leak(kind.into_boxed_str()) })
    ];
    let number = prop_oneof![Just(json!(null)), any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let info =
        (number.clone(), number.clone(), prop_oneof![Just("float32"), Just("string"), Just("int4"), Just("what")])
            .prop_map(|(dim, bytes, dtype)| json!({"name": "x", "dtype": dtype, "shape": [dim], "bytes": bytes}));
    (kind, number, vec(info, 0..3)).prop_map(|(kind, number, infos)| {
        json!({"v": 1, "type": kind, "id": number, "outputs": infos, "run_ms": number, "what": "worker", "message": "",
               "stage": "run", "kind": "error", "heap_bytes": number, "webgpu": number})
    })
}

/// Requests that differ in nothing but their rows.
fn rows() -> impl Strategy<Value = Vec<TensorBatch>> {
    let kinds = vec((0..Dtype::ALL.len(), vec(1_usize..4, 0..2)), 1..4);
    let of = |(kinds, counts): (Vec<(usize, Vec<usize>)>, Vec<usize>)| {
        let batch = |(request, rows): (usize, &usize)| {
            let tensors: Vec<(String, Tensor<'static>)> = kinds
                .iter()
                .filter_map(|(at, rest)| {
                    let (dtype, shape) = (Dtype::ALL[*at], [&[*rows][..], rest].concat());
                    let odd = matches!(dtype, Dtype::Int4 | Dtype::Uint4);
                    let bytes = dtype.byte_len(shape.iter().product()).filter(|_| !odd)?;
                    let data: Vec<u8> = (0..bytes).map(|byte| (31 * request + byte) as u8).collect();
                    Some((format!("t{at}"), Tensor::new(dtype, shape, data).ok()?))
                })
                .collect();
            TensorBatch::encode(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))
        };
        counts.iter().enumerate().map(batch).collect::<Vec<_>>()
    };
    (kinds, vec(0_usize..5, 1..6)).prop_map(of)
}

proptest! {
    /// What was stacked comes apart again, each piece where it was.
    #[test]
    fn stacked_tensors_are_the_rows_of_all(batches in rows()) {
        let all: Vec<&TensorBatch> = batches.iter().collect();
        let infos = TensorBatch::stacked_infos(&all);
        let message = frame::join_with(&json!({"type": "run"}), |body| TensorBatch::stack(&all, body));
        let stacked = Frame::split(message).unwrap().tensors(infos).unwrap().tensors().unwrap();
        let mut start = 0;
        for batch in &batches {
            let rows = batch.infos().first().map_or(0, |info| info.shape[0]);
            for ((_, whole), (_, piece)) in stacked.iter().zip(batch.tensors().unwrap()) {
                prop_assert_eq!(whole.rows(start..start + rows).unwrap(), piece);
            }
            start += rows;
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = message::decode(bytes.into());
    }

    #[test]
    fn arbitrary_bytes_behind_a_fitting_length_never_panic(header in ".{0,40}", body in vec(any::<u8>(), 0..40)) {
        let mut bytes = (header.len() as u32).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(body);
        let _ = message::decode(bytes.into());
    }

    #[test]
    fn nearly_right_frames_never_panic(header in header(), body in vec(any::<u8>(), 0..40)) {
        let json = header.to_string();
        let mut bytes = (json.len() as u32).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        let _ = message::decode(bytes.into());
    }

    #[test]
    fn decoding_gives_back_what_was_encoded(tensors in vec(("[a-zé/.:]{0,8}", tensor()), 0..6)) {
        let batch = TensorBatch::encode(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        let message = frame::join(&json!({"type": "result", "outputs": batch.infos()}), batch.body());
        let bytes = message.as_ptr_range();
        let decoded = Frame::split(message.clone()).unwrap().tensors(batch.infos().to_vec()).unwrap();
        prop_assert_eq!(&decoded, &batch);
        let decoded = decoded.tensors().unwrap();
        prop_assert_eq!(decoded.len(), tensors.len());
        for ((name, tensor), (expected_name, expected)) in decoded.iter().zip(&tensors) {
            prop_assert_eq!(name, expected_name);
            prop_assert_eq!(tensor, expected);
            // Views of the message they came in, not copies, and aligned in it.
            let at = tensor.bytes().as_ptr();
            prop_assert!(tensor.bytes().is_empty() || bytes.contains(&at));
            prop_assert!(tensor.bytes().is_empty() || (at.addr() - bytes.start.addr()).is_multiple_of(8));
        }
    }

    #[test]
    fn a_frame_of_any_other_length_is_refused(tensor in tensor(), cut in 1_usize..16, more in 1_usize..16) {
        let batch = TensorBatch::encode([("x", &tensor)]);
        let message = frame::join(&json!({"type": "result"}), batch.body());
        let decode = |message: Bytes| Frame::split(message).and_then(|frame| frame.tensors(batch.infos().to_vec()));
        prop_assert!(decode(message.clone()).is_ok());
        prop_assert!(decode(message.slice(..message.len() - cut)).is_err());
        prop_assert!(decode([&message[..], &vec![0; more]].concat().into()).is_err());
    }
}
