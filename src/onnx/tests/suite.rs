use super::build::*;
use crate::onnx::{BrokenCase, Case, CaseError, Suite, SuiteError, tensor_to_proto};
use crate::types::Tensor;
use prost::Message;
use std::{fs, path::Path};

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A case of `y = x` with `sets` data sets of one number each, the number being that of the set.
fn identity_case(folder: &Path, sets: usize) {
    write(&folder.join("model.onnx"), &identity(FLOAT, "").encode_to_vec());
    for set in 0..sets {
        let tensor = Tensor::scalar(set as f32);
        let data = folder.join(format!("test_data_set_{set}"));
        // Names in data files may be empty, or not the model's.
        write(&data.join("input_0.pb"), &tensor_to_proto("", &tensor));
        write(&data.join("output_0.pb"), &tensor_to_proto("other", &tensor));
    }
}

fn names(suite: &Suite) -> Vec<&str> {
    suite.cases.iter().map(|case| case.name.as_str()).collect()
}

#[test]
fn cases_are_found_however_deep_and_named_by_their_path() {
    let root = tempfile::tempdir().unwrap();
    identity_case(&root.path().join("node/test_b"), 1);
    identity_case(&root.path().join("node/test_a"), 1);
    identity_case(&root.path().join("simple"), 12);
    fs::create_dir(root.path().join("nothing")).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("circle")).unwrap();
    let suite = Suite::open(root.path()).unwrap();
    assert_eq!(names(&suite), ["node/test_a", "node/test_b", "simple"]);
    let loaded = suite.cases[2].load().unwrap();
    let inputs: Vec<_> = loaded.sets.iter().map(|(inputs, _)| inputs[0].1.to_vec::<f32>().unwrap()[0]).collect();
    assert_eq!(inputs, (0..12).map(|n| n as f32).collect::<Vec<_>>(), "sets are in the order of their numbers");
    assert_eq!((loaded.sets[0].0[0].0.as_str(), loaded.sets[0].1[0].0.as_str()), ("x", "y"));
}

#[test]
fn a_case_is_a_suite_of_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("test_one");
    identity_case(&folder, 1);
    let suite = Suite::open(&folder).unwrap();
    assert_eq!((suite.name.as_str(), names(&suite)), ("test_one", vec!["test_one"]));
    // Model zoos name the model after itself.
    fs::rename(folder.join("model.onnx"), folder.join("resnet.onnx")).unwrap();
    assert_eq!(Suite::open(&folder).unwrap().cases[0].load().unwrap().model.name, "resnet");
}

#[test]
fn what_is_no_suite_is_refused() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(Suite::open(root.path()), Err(SuiteError::NoCases { .. })));
    assert!(matches!(Suite::open(&root.path().join("absent")), Err(SuiteError::NotAFolder { .. })));
}

fn only_case(root: &Path) -> Case {
    Suite::open(root).unwrap().cases.remove(0)
}

#[test]
fn cases_without_data_or_of_other_kinds_are_skipped() {
    let root = tempfile::tempdir().unwrap();
    let reason = |model: &[u8]| {
        write(&root.path().join("model.onnx"), model);
        match only_case(root.path()).load() {
            Err(CaseError::Skipped { reason }) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason(&identity(FLOAT, "").encode_to_vec()), "there are no data to compare with");
    assert_eq!(reason(&identity(BFLOAT16, "").encode_to_vec()), "input `x` is a tensor of bfloat16");
    assert_eq!(reason(&of_other_kind(4)), "input `x` is a sequence");
}

#[test]
fn broken_files_break_the_case_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    identity_case(root.path(), 1);
    let data = root.path().join("test_data_set_0");
    write(&data.join("input_0.pb"), &tensor_to_proto("x", &Tensor::scalar(1_i64)));
    assert!(matches!(only_case(root.path()).load(), Err(CaseError::Broken(BrokenCase::Inputs { .. }))));
    write(&data.join("input_0.pb"), b"\xff");
    assert!(matches!(only_case(root.path()).load(), Err(CaseError::Broken(BrokenCase::Tensor(_)))));
    identity_case(root.path(), 1);
    write(&data.join("output_1.pb"), &tensor_to_proto("", &Tensor::scalar(1_f32)));
    assert!(matches!(only_case(root.path()).load(), Err(CaseError::Broken(BrokenCase::TooMany { count: 1, .. }))));
    write(&root.path().join("model.onnx"), b"no model");
    assert!(matches!(only_case(root.path()).load(), Err(CaseError::Broken(BrokenCase::Model(_)))));
}
