//! Models run by tract in this process, against the outputs that the suite expects.

use super::build::*;
use crate::{
    onnx::{ModelFile, NamedTensor, NativeError, NativeModel, Suite, Tolerance, compare, native_runtime},
    types::{Dtype, Tensor},
};
use prost::Message;
use sha2::{Digest, Sha256};
use std::{cell::Cell, path::Path};

fn load(file: &ModelFile, inputs: &[NamedTensor]) -> Result<NativeModel, NativeError> {
    let bytes = std::fs::read(&file.path).unwrap();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    NativeModel::load(file, &sha256, inputs)
}

#[test]
fn the_built_in_suite_has_its_expected_outputs() {
    let suite = Suite::builtin().unwrap();
    let outcomes = suite.cases.iter().map(|case| {
        let loaded = case.load().unwrap();
        let (inputs, expected) = &loaded.sets[0];
        let outcome = match load(&loaded.model, inputs) {
            Ok(model) => {
                assert!(model.takes(inputs), "{}", case.name);
                let outputs = model.run(inputs, || false).unwrap();
                let mismatch = compare(expected, &outputs, &Tolerance::default()).mismatch;
                mismatch.map_or("pass".to_owned(), |mismatch| mismatch.to_string())
            }
            Err(error) => error.to_string(),
        };
        format!("{}: {outcome}", case.name)
    });
    insta::assert_snapshot!(outcomes.collect::<Vec<_>>().join("\n"));
}

fn saved(folder: &Path, model: &tract_onnx::pb::ModelProto) -> ModelFile {
    let path = folder.join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    ModelFile::read(&path).unwrap()
}

#[test]
fn tensors_of_every_type_that_it_knows_go_through_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let mut unknown = Vec::new();
    for dtype in Dtype::ALL {
        let elem_type = crate::onnx::value::number_of(*dtype);
        let tensor = match dtype.byte_len(6) {
            // Ones and zeros, which are elements of every type.
            Some(length) => {
                Tensor::new(*dtype, [2, 3], (0..length).map(|n| (n % 2) as u8).collect::<Vec<_>>()).unwrap()
            }
            None => Tensor::from_strings([2, 3], &["a", "b", "c", "d", "e", "f"]).unwrap(),
        };
        let file = saved(folder.path(), &identity(elem_type, "2 3"));
        let inputs = [("x".to_owned(), tensor)];
        match load(&file, &inputs) {
            Ok(model) => assert_eq!(model.run(&inputs, || false).unwrap(), [("y".to_owned(), inputs[0].1.clone())]),
            Err(_) => unknown.push(*dtype),
        }
    }
    assert_eq!(unknown, [Dtype::String, Dtype::Int4, Dtype::Uint4]);
}

#[test]
fn what_it_cannot_run_is_told_and_what_changed_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [("x".to_owned(), Tensor::from_values([1], &[1.0_f32]).unwrap())];
    for (domain, op_type, words) in
        [("", "Bernoulli", "Bernoulli"), ("com.example", "Relu", "ONNX's own operators, and not com.example.Relu")]
    {
        let mut unknown = identity(FLOAT, "1");
        let node = &mut unknown.graph.as_mut().unwrap().node[0];
        (node.domain, node.op_type) = (domain.to_owned(), op_type.to_owned());
        let error = load(&saved(folder.path(), &unknown), &inputs).err().unwrap().to_string();
        assert!(error.starts_with("tract cannot run it: ") && error.contains(words), "{error}");
    }

    let file = saved(folder.path(), &identity(FLOAT, "1"));
    assert!(matches!(NativeModel::load(&file, "another", &inputs), Err(NativeError::Changed { .. })));
    let other = [("z".to_owned(), inputs[0].1.clone())];
    assert_eq!(load(&file, &other).err().unwrap().to_string(), "tract takes the inputs x, and was given z");
    std::fs::remove_file(&file.path).unwrap();
    assert!(matches!(NativeModel::load(&file, "", &inputs), Err(NativeError::Io { .. })));
}

#[test]
fn a_run_that_is_told_to_stop_does_not_begin_another_node() {
    let suite = Suite::builtin().unwrap();
    let case = suite.cases.iter().find(|case| case.name == "mlp").unwrap().load().unwrap();
    let inputs = &case.sets[0].0;
    let model = load(&case.model, inputs).unwrap();
    let asked = Cell::new(0);
    let stopped = model.run(inputs, || asked.replace(asked.get() + 1) == 2);
    assert!(matches!(stopped, Err(NativeError::Stopped)));
    assert_eq!(asked.get(), 3);
}

#[test]
fn its_version_is_the_one_that_is_built_in() {
    let lock = include_str!("../../../Cargo.lock");
    let locked = lock.split("[[package]]").find(|package| package.contains("name = \"tract-onnx\"")).unwrap();
    assert!(locked.contains(&format!("version = \"{}\"", native_runtime().version)), "{locked}");
}
