use crate::onnx::{Comparison, Mismatch, Tolerance, compare};
use crate::types::{Dtype, Element, Tensor};
use half::f16;
use proptest::prelude::*;

fn one<T: Element>(values: &[T]) -> Vec<(String, Tensor<'static>)> {
    vec![("y".to_owned(), Tensor::from_values([values.len()], values).unwrap())]
}

fn compared<T: Element>(expected: &[T], actual: &[T]) -> Comparison {
    compare(&one(expected), &one(actual), &Tolerance::default())
}

#[test]
fn floats_are_compared_within_the_tolerance() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for (expected, actual, same) in [
        (1.0, 1.0, true),
        (1.0, 1.0009, true),
        (1.0, 1.0011, false),
        (0.0, 0.9e-5, true),
        (0.0, 1.1e-5, false),
        (-0.0, 0.0, true),
        (nan, nan, true),
        (nan, 1.0, false),
        (1.0, nan, false),
        (inf, inf, true),
        (inf, -inf, false),
        (inf, f32::MAX, false),
        (f32::MAX, inf, false),
        (-inf, -inf, true),
        (inf, nan, false),
    ] {
        let comparison = compared(&[expected], &[actual]);
        assert_eq!(comparison.mismatch.is_none(), same, "{expected} against {actual}: {comparison:?}");
        assert_eq!(compared(&[f64::from(expected)], &[f64::from(actual)]).mismatch.is_none(), same);
    }
}

#[test]
fn float16_has_a_tolerance_of_its_own() {
    let half = |x: f32| [f16::from_f32(x)];
    assert_eq!(compared(&half(10.0), &half(10.1)).mismatch, None);
    assert!(compared(&half(10.0), &half(10.2)).mismatch.is_some());
    assert!(compared(&[10.0_f32], &[10.1]).mismatch.is_some());
}

#[test]
fn everything_else_has_to_be_the_same() {
    assert_eq!(compared(&[i64::MAX, i64::MIN], &[i64::MAX, i64::MIN]).mismatch, None);
    // As doubles these two would be equal.
    let off_by_one = compared(&[u64::MAX], &[u64::MAX - 1]);
    assert_eq!(off_by_one.max_abs_error, Some(1.0));
    assert!(off_by_one.mismatch.is_some());
    assert!(compared(&[true], &[false]).mismatch.is_some());
    let strings = |text: &str| vec![("y".to_owned(), Tensor::from_strings([1], &[text]).unwrap())];
    let differ = compare(&strings("a"), &strings("b"), &Tolerance::default());
    assert_eq!((differ.max_abs_error, differ.max_rel_error), (None, None));
    assert_eq!(
        differ.mismatch.unwrap().to_string(),
        r#"output `y` at [0] is "b", expected "a"; 1 of 1 elements differ"#
    );
}

#[test]
fn the_spare_half_byte_of_int4_is_not_compared() {
    let int4 = |bytes: [u8; 2]| vec![("y".to_owned(), Tensor::new(Dtype::Int4, [3], bytes.to_vec()).unwrap())];
    let compared = |a, b| compare(&int4(a), &int4(b), &Tolerance::default());
    assert_eq!(compared([0x21, 0x03], [0x21, 0xf3]).mismatch, None);
    let message = compared([0x21, 0x0f], [0x21, 0x01]).mismatch.unwrap().to_string();
    assert_eq!(message, "output `y` at [2] is 1, expected -1; 1 of 3 elements differ");
}

#[test]
fn mismatches_say_where_and_how_much() {
    let expected = vec![("y".to_owned(), Tensor::from_values([2, 2], &[1_f32, 2.0, 3.0, 4.0]).unwrap())];
    let actual = vec![("y".to_owned(), Tensor::from_values([2, 2], &[1_f32, 2.0, 3.5, 5.0]).unwrap())];
    let comparison = compare(&expected, &actual, &Tolerance::default());
    assert_eq!(comparison.max_abs_error, Some(1.0));
    assert_eq!(comparison.max_rel_error, Some(0.25));
    let message = comparison.mismatch.unwrap().to_string();
    assert_eq!(message, "output `y` at [1, 0] is 3.5, expected 3; 2 of 4 elements differ");
}

#[test]
fn outputs_are_matched_by_name_type_and_shape() {
    let y = |shape: &[usize]| ("y".to_owned(), Tensor::from_values(shape, &[1_f32, 2.0]).unwrap());
    let z = ("z".to_owned(), Tensor::from_values([1], &[1.5_f32]).unwrap());
    let against = |actual: &[(String, Tensor<'_>)]| compare(&[y(&[2]), z.clone()], actual, &Tolerance::default());
    assert_eq!(against(&[z.clone(), y(&[2]), ("extra".to_owned(), Tensor::scalar(0_u8))]).mismatch, None);
    let missing = against(&[("z".to_owned(), Tensor::from_values([1], &[1.0_f32]).unwrap())]);
    assert_eq!(missing.mismatch, Some(Mismatch::Missing { output: "y".to_owned() }));
    assert_eq!(missing.max_abs_error, Some(0.5), "errors of the other outputs are kept");
    assert!(matches!(against(&[y(&[2, 1]), z.clone()]).mismatch, Some(Mismatch::Shape { .. })));
    let ints = ("y".to_owned(), Tensor::from_values([2], &[1_i32, 2]).unwrap());
    assert!(matches!(against(&[ints, z.clone()]).mismatch, Some(Mismatch::Dtype { .. })));
}

#[test]
fn nothing_is_equal_to_nothing() {
    assert_eq!(compared::<f32>(&[], &[]), Comparison::default());
    let passes = compared(&[1_f32], &[1.0]);
    assert_eq!((passes.max_abs_error, passes.max_rel_error), (Some(0.0), Some(0.0)));
}

proptest! {
    #[test]
    fn every_tensor_equals_itself_at_no_tolerance(values: Vec<u128>) {
        let none = Tolerance { rtol: 0.0, atol: 0.0, rtol_float16: 0.0, atol_float16: 0.0 };
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for dtype in Dtype::ALL.iter().filter(|dtype| **dtype != Dtype::String) {
            let width = dtype.byte_len(2).unwrap();
            let tensor = Tensor::new(*dtype, [bytes.len() / width * 2], bytes[..].to_vec()).unwrap();
            let outputs = [("y".to_owned(), tensor)];
            prop_assert_eq!(compare(&outputs, &outputs, &none).mismatch, None);
        }
    }

    #[test]
    fn the_tolerance_is_the_formula(expected in -1e6_f64..1e6, error in -1e4_f64..1e4) {
        let actual = expected + error;
        let within = (actual - expected).abs() <= 1e-5 + 1e-3 * expected.abs();
        prop_assert_eq!(compared(&[expected], &[actual]).mismatch.is_none(), within);
    }
}
