use super::build::*;
use crate::onnx::{Dim, ModelError, ModelFile, ValueKind, value::number_of};
use crate::types::{Dtype, Family};
use prost::Message;
use std::{fs, path::Path};
use tract_onnx::pb::{FunctionProto, GraphProto, ModelProto, TensorProto};

fn read(folder: &Path, bytes: &[u8]) -> Result<ModelFile, ModelError> {
    let path = folder.join("m.onnx");
    fs::write(&path, bytes).unwrap();
    ModelFile::read(&path)
}

fn read_model(model: &ModelProto) -> Result<ModelFile, ModelError> {
    read(tempfile::tempdir().unwrap().path(), &model.encode_to_vec())
}

#[test]
fn inputs_outputs_opsets_and_family_are_read() {
    let mut proto = identity(FLOAT, "batch 3 ? -1");
    proto.metadata_props.push(entry("tabfleet.family", "vision"));
    let model = read_model(&proto).unwrap();
    let shape = vec![Dim::Symbol("batch".to_owned()), Dim::Fixed(3), Dim::Unknown, Dim::Unknown];
    assert_eq!(model.inputs[0].kind, ValueKind::Tensor { dtype: Dtype::Float32, shape: Some(shape) });
    assert_eq!(model.inputs[0].kind.to_string(), "float32 [batch, 3, ?, ?]");
    assert_eq!((model.inputs[0].name.as_str(), model.outputs[0].name.as_str()), ("x", "y"));
    assert_eq!(model.opsets["ai.onnx"], 21);
    assert_eq!((model.family, model.ir_version, model.name.as_str()), (Some(Family::Vision), 8, "m"));
    assert_eq!(model.producer, "tabfleet's tests");
    assert!(model.operators.contains("Identity"));
}

#[test]
fn a_models_precision_is_that_of_most_of_its_weights_or_else_of_its_inputs() {
    let weights = |tensors: &[(i32, i64)]| {
        let mut proto = identity(FLOAT, "1");
        let initializer = |(data_type, count): &(i32, i64)| TensorProto {
            dims: vec![*count],
            data_type: *data_type,
            ..TensorProto::default()
        };
        proto.graph.as_mut().unwrap().initializer = tensors.iter().map(initializer).collect();
        read_model(&proto).unwrap().precision
    };
    let (float16, int8) = (number_of(Dtype::Float16), number_of(Dtype::Int8));
    assert_eq!(weights(&[(float16, 1000), (FLOAT, 10), (INT64, 100_000)]), Some(Dtype::Float16));
    assert_eq!(weights(&[(int8, 1000), (FLOAT, 10)]), Some(Dtype::Int8), "quantized, with scales that are floats");
    assert_eq!(weights(&[(float16, 1)]), Some(Dtype::Float32), "one number is no weight: its input's");
    assert_eq!(weights(&[(BFLOAT16, 1000)]), None, "which the runtime does not have");
    assert_eq!(read_model(&identity(INT64, "1")).unwrap().precision, None);
}

#[test]
fn a_model_named_model_is_named_by_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("test_identity");
    fs::create_dir(&case).unwrap();
    fs::write(case.join("model.onnx"), identity(FLOAT, "1").encode_to_vec()).unwrap();
    assert_eq!(ModelFile::read(&case.join("model.onnx")).unwrap().name, "test_identity");
}

#[test]
fn initializers_are_constants_before_ir_4_and_defaults_since() {
    let mut proto = identity(FLOAT, "1");
    let graph = proto.graph.as_mut().unwrap();
    graph.input.push(value("w", FLOAT, "1"));
    graph.initializer.push(TensorProto { name: "w".to_owned(), ..TensorProto::default() });
    let now = read_model(&proto).unwrap();
    assert_eq!((now.inputs.len(), now.defaults[0].name.as_str()), (1, "w"));
    proto.ir_version = 3;
    let then = read_model(&proto).unwrap();
    assert_eq!((then.inputs.len(), then.defaults.len()), (1, 0));
}

#[test]
fn operators_are_found_in_subgraphs_and_functions() {
    let inner = GraphProto { node: vec![node("com.microsoft", "Gelu")], ..GraphProto::default() };
    let body = GraphProto { node: vec![with_graph(node("", "If"), inner)], ..GraphProto::default() };
    let call = node("mine", "Block");
    let mut proto = model(GraphProto { node: vec![with_graph(node("", "Loop"), body), call], ..GraphProto::default() });
    proto.functions.push(FunctionProto {
        name: Some("Block".to_owned()),
        domain: Some("mine".to_owned()),
        node: vec![node("ai.onnx", "Relu")],
        ..FunctionProto::default()
    });
    let operators = read_model(&proto).unwrap().operators;
    assert_eq!(operators.into_iter().collect::<Vec<_>>(), ["If", "Loop", "Relu", "com.microsoft.Gelu"]);
}

#[test]
fn what_the_runtime_lacks_is_told_by_its_name() {
    for (field, expected) in [(4, "a sequence"), (5, "a map"), (8, "a sparse tensor"), (9, "an optional")] {
        let model = read(tempfile::tempdir().unwrap().path(), &of_other_kind(field)).unwrap();
        assert_eq!(model.inputs[0].kind.to_string(), expected);
    }
    let model = read_model(&identity(BFLOAT16, "1")).unwrap();
    assert_eq!(model.inputs[0].kind.to_string(), "a tensor of bfloat16");
}

#[test]
fn external_files_are_found_wherever_tensors_are() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for file in ["a", "b", "sub/c"] {
        fs::write(folder.path().join(file), [0; 8]).unwrap();
    }
    let body = GraphProto { initializer: vec![external("./b", 0, 8)], ..GraphProto::default() };
    let constant = with_tensor(node("", "Constant"), external("sub/../sub/c", 4, 4));
    let proto = model(GraphProto {
        initializer: vec![external("a", 0, 4), external("a", 4, 4)],
        node: vec![with_graph(node("", "If"), body), constant],
        ..GraphProto::default()
    });
    let model = read(folder.path(), &proto.encode_to_vec()).unwrap();
    let found: Vec<_> = model.external.iter().map(|e| (e.path.as_str(), e.bytes, e.file.is_file())).collect();
    assert_eq!(found, [("./b", 8, true), ("a", 8, true), ("sub/../sub/c", 8, true)]);
}

#[test]
fn external_files_that_cannot_be_had_are_refused() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::write(above.path().join("secret"), [0; 8]).unwrap();
    fs::write(folder.join("short"), [0; 3]).unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
    let error = |location: &str| {
        let proto = model(GraphProto { initializer: vec![external(location, 0, 4)], ..GraphProto::default() });
        read(&folder, &proto.encode_to_vec()).unwrap_err()
    };
    for outside in ["../secret", "/etc/passwd", "sub/../../secret", "link", "", "."] {
        let error = error(outside);
        assert!(matches!(error, ModelError::ExternalOutside { .. }), "{outside}: {error}");
    }
    assert!(matches!(error("absent"), ModelError::ExternalMissing { .. }));
    assert!(matches!(error("short"), ModelError::ExternalTruncated { bytes: 3, needed: 4, .. }));
    let nowhere = TensorProto { data_location: Some(1), ..TensorProto::default() };
    let proto = model(GraphProto { initializer: vec![nowhere], ..GraphProto::default() });
    assert!(matches!(read_model(&proto), Err(ModelError::ExternalUnclear { .. })));
}

#[test]
fn a_snapshot_of_links_into_one_folder_of_blobs_is_taken() {
    let cache = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (cache.path().join("blobs"), cache.path().join("snapshot"));
    fs::create_dir(&blobs).unwrap();
    fs::create_dir(&snapshot).unwrap();
    let proto = model(GraphProto { initializer: vec![external("w.bin", 0, 8)], ..GraphProto::default() });
    fs::write(blobs.join("1"), proto.encode_to_vec()).unwrap();
    fs::write(blobs.join("2"), [0; 8]).unwrap();
    std::os::unix::fs::symlink("../blobs/1", snapshot.join("m.onnx")).unwrap();
    std::os::unix::fs::symlink("../blobs/2", snapshot.join("w.bin")).unwrap();
    assert_eq!(ModelFile::read(&snapshot.join("m.onnx")).unwrap().external.len(), 1);
}

#[test]
fn a_model_cut_anywhere_is_told_to_be_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = identity(FLOAT, "2").encode_to_vec();
    assert!(read(folder.path(), &whole).is_ok());
    for end in 3..whole.len() {
        let error = read(folder.path(), &whole[..end]).unwrap_err();
        // Before the graph begins there is a header that any protobuf might have.
        let telling = matches!(error, ModelError::Truncated { .. } | ModelError::NotOnnx { .. });
        assert!(telling, "cut at {end}: {error}");
        if end > whole.len() / 2 {
            assert!(matches!(error, ModelError::Truncated { .. }), "cut at {end}: {error}");
        }
    }
}

#[test]
fn what_is_no_model_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let error = |bytes: &[u8]| read(folder.path(), bytes).unwrap_err();
    assert!(matches!(error(b""), ModelError::Empty { .. }));
    for (bytes, hint) in [
        (&b"version https://git-lfs.github.com/spec/v1\n"[..], "git lfs pull"),
        (b"<!DOCTYPE html>", "fetch it again"),
        (b"PK\x03\x04....", "unpack"),
        (b"\x18\0\0\0ORTM", ".ort"),
        (b"just some words", "not those of a model"),
        (&[0xff; 64], "not those of a model"),
    ] {
        let error = error(bytes);
        assert!(matches!(error, ModelError::NotOnnx { .. }) && error.to_string().contains(hint), "{error}");
    }
    assert!(matches!(ModelFile::read(&folder.path().join("absent.onnx")), Err(ModelError::Missing { .. })));
    assert!(matches!(ModelFile::read(folder.path()), Err(ModelError::NotOnnx { .. })));
}

#[test]
fn a_file_beyond_protobufs_limit_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.onnx");
    // A sparse file: it takes no room on disk.
    fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
    assert!(matches!(ModelFile::read(&path), Err(ModelError::TooLarge { bytes, .. }) if bytes == 3 << 30));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, at in 0_usize..200, byte: u8) {
        let folder = tempfile::tempdir().unwrap();
        let _ = read(folder.path(), &bytes);
        let mut damaged = identity(FLOAT, "batch 3").encode_to_vec();
        let at = at % damaged.len();
        damaged[at] = byte;
        let _ = read(folder.path(), &damaged);
    }
}
