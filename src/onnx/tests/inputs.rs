use super::build::*;
use crate::onnx::{InputError, ModelFile, parse_shape_flag, random_inputs};
use crate::types::{Dtype, Tensor};
use prost::Message;
use std::{collections::BTreeMap, fs};
use tract_onnx::pb::{GraphProto, TensorProto, ValueInfoProto};

fn taking(input: Vec<ValueInfoProto>) -> ModelFile {
    let initializer = vec![TensorProto { name: "default".to_owned(), ..TensorProto::default() }];
    let proto = model(GraphProto { input, initializer, ..GraphProto::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    fs::write(&path, proto.encode_to_vec()).unwrap();
    ModelFile::read(&path).unwrap()
}

fn floats(shape: &[usize]) -> Tensor<'static> {
    Tensor::from_values(shape, &vec![0_f32; shape.iter().product()]).unwrap()
}

#[test]
fn inputs_are_checked_one_by_one_and_together() {
    let model = taking(vec![
        value("a", FLOAT, "batch 2"),
        value("b", FLOAT, "batch ?"),
        value("c", FLOAT, "*"),
        value("default", FLOAT, "1"),
    ]);
    let check = |a: Tensor<'static>, b: &[usize]| model.check_inputs(&[("a", a), ("b", floats(b)), ("c", floats(&[]))]);
    assert_eq!(check(floats(&[3, 2]), &[3, 9]), Ok(()));
    for (result, message) in [
        (check(floats(&[3, 4]), &[3, 9]), "input `a` takes shape [batch, 2], and [3, 4] was given"),
        (check(floats(&[3, 2, 1]), &[3, 9]), "input `a` takes shape [batch, 2], and [3, 2, 1] was given"),
        (check(floats(&[3, 2]), &[4, 9]), "dimension `batch` is 3 in input `a` and 4 in input `b`"),
        (check(Tensor::scalar(1_i64), &[3, 9]), "input `a` takes float32, and int64 was given"),
    ] {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
    let names = model.check_inputs(&[("a", floats(&[1, 2])), ("z", floats(&[])), ("a", floats(&[1, 2]))]);
    assert_eq!(
        names.unwrap_err().to_string(),
        "missing: `b`, `c`; unknown or given twice: `z`, `a`; the model's inputs are `a`, `b`, `c`, `default`"
    );
    let with_default = [("a", floats(&[1, 2])), ("b", floats(&[1, 1])), ("c", floats(&[])), ("default", floats(&[1]))];
    assert_eq!(model.check_inputs(&with_default), Ok(()));
}

#[test]
fn zeros_are_of_one_row_where_the_size_is_open_and_of_nothing_whose_rank_is() {
    let zeros = |inputs| {
        let zeros = taking(inputs).zeros()?;
        Some(zeros.into_iter().map(|zero| (zero.name, zero.dtype, zero.shape, zero.bytes)).collect::<Vec<_>>())
    };
    let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
    assert_eq!(
        zeros(vec![value("a", FLOAT, "batch 3 ?"), value("b", INT64, ""), value("c", STRING, "2 batch")]),
        Some(vec![
            (a, Dtype::Float32, vec![1, 3, 1], 12),
            (b, Dtype::Int64, vec![], 8),
            (c, Dtype::String, vec![2, 1], 12)
        ])
    );
    assert_eq!(zeros(vec![value("a", FLOAT, "1"), value("b", FLOAT, "*")]), None);
    assert_eq!(zeros(vec![value("a", FLOAT, "1"), value("b", BFLOAT16, "1")]), None);
    assert_eq!(zeros(vec![value("a", FLOAT, "4611686018427387904 4")]), None);
    assert_eq!(zeros(vec![]), Some(vec![]), "a model of no inputs can be run as it is");
}

#[test]
fn an_input_that_no_tensor_fits_is_refused() {
    let model = taking(vec![value("x", BFLOAT16, "1")]);
    assert!(matches!(model.check_inputs(&[("x", floats(&[1]))]), Err(InputError::Unsupported { .. })));
    assert!(matches!(random_inputs(&model, &BTreeMap::new(), 1), Err(InputError::Unsupported { .. })));
}

#[test]
fn open_shapes_are_told_with_the_flags_to_type() {
    let model = taking(vec![value("a", FLOAT, "batch 3"), value("b", FLOAT, "batch ? 4"), value("c", FLOAT, "*")]);
    let error = random_inputs(&model, &BTreeMap::new(), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input `a` has shape [batch, 3]; input `b` has shape [batch, ?, 4]; the model does not say what shape input `c` \
         has; add --shape b=1x1x4 --shape batch=1 --shape c=1"
    );
    let InputError::OpenShapes { flags, .. } = error else { panic!("{error}") };
    let shapes = flags.iter().map(|flag| parse_shape_flag(flag.strip_prefix("--shape ").unwrap()).unwrap()).collect();
    let inputs = random_inputs(&model, &shapes, 1).unwrap();
    assert_eq!(model.check_inputs(&inputs), Ok(()));
    assert_eq!(inputs.iter().map(|(_, t)| t.shape().len()).collect::<Vec<_>>(), [2, 3, 1]);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let model = taking(vec![value("a", FLOAT, "batch 3")]);
    let with = |flag: &str| random_inputs(&model, &BTreeMap::from([parse_shape_flag(flag).unwrap()]), 1);
    assert_eq!(with("a=2x3").unwrap()[0].1.shape(), [2, 3]);
    for (flag, message) in [
        ("a=2x4", "--shape a=2x4: the input takes shape [batch, 3]"),
        ("z=1", "--shape z=1: the model's inputs are `a`, its named dimensions `batch`"),
        ("batch=1x2", "--shape batch=1x2: a dimension takes one number"),
    ] {
        assert_eq!(with(flag).unwrap_err().to_string(), message);
    }
    assert!(matches!(with("batch=18446744073709551615"), Err(InputError::Tensor { .. })));
}

#[test]
fn values_are_reproducible_and_fit_the_names() {
    let model = taking(vec![
        value("input_ids", INT64, "1 64"),
        value("attention_mask", INT64, "1 8"),
        value("position_ids", INT64, "2 3"),
        value("x", FLOAT, "1 1000"),
        value("n", 22, "3"),
    ]);
    let once = random_inputs(&model, &BTreeMap::new(), 7).unwrap();
    assert_eq!(once, random_inputs(&model, &BTreeMap::new(), 7).unwrap());
    assert_ne!(once, random_inputs(&model, &BTreeMap::new(), 8).unwrap());
    let ids = once[0].1.to_vec::<i64>().unwrap();
    assert!(ids.iter().all(|id| (0..100).contains(id)) && ids.iter().any(|id| *id > 9));
    assert_eq!(once[1].1.to_vec::<i64>().unwrap(), [1; 8]);
    assert_eq!(once[2].1.to_vec::<i64>().unwrap(), [0, 1, 2, 0, 1, 2]);
    let x = once[3].1.to_vec::<f32>().unwrap();
    let mean = x.iter().sum::<f32>() / 1000.0;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 1000.0;
    assert!(mean.abs() < 0.1 && (variance - 1.0).abs() < 0.15, "mean {mean}, variance {variance}");
    assert_eq!((once[4].1.dtype(), once[4].1.bytes().len()), (Dtype::Int4, 2));
}

#[test]
fn shape_flags_are_read() {
    assert_eq!(parse_shape_flag("x=1x128"), Ok(("x".to_owned(), vec![1, 128])));
    assert_eq!(parse_shape_flag("a=b:0=3"), Ok(("a=b:0".to_owned(), vec![3])));
    assert_eq!(parse_shape_flag("x=1,2"), Ok(("x".to_owned(), vec![1, 2])));
    assert_eq!(parse_shape_flag("x=scalar"), Ok(("x".to_owned(), vec![])));
    for wrong in ["x", "x=", "=1", "x=1x", "x=-1", "x=ax2", ""] {
        assert!(parse_shape_flag(wrong).is_err(), "{wrong}");
    }
}
