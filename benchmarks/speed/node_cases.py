#!/usr/bin/env python3
"""Writes the small cases of the onnx package's node tests that a browser's WASM can run, as a suite.

A case is left out when a value of it is no plain tensor, when its element type is not one of ONNX Runtime Web's, or when
ONNX Runtime itself does not give the expected output; what only the WASM build lacks is named in `NOT_IN_WASM`. The
selection depends on the pinned packages and on nothing else.
"""

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

onnxruntime.set_default_logger_severity(4)

# The element types of ONNX Runtime Web's wasm provider that a tensor file holds as raw bytes.
DTYPES = {"float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"}

# What ONNX Runtime has natively and its WASM build, which is of another version, has not.
NOT_IN_WASM = re.compile(r"test_clip_default_int8_(max|min)_expanded|test_rms_normalization_.*_expanded")

# A case of more than this is not small.
LARGEST = 256 << 10


def is_plain(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.name in DTYPES


def agrees(case) -> bool:
    """Whether ONNX Runtime gives the expected outputs, within the tolerances of `tabfleet matrix`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(case.model.SerializeToString(), options, ["CPUExecutionProvider"])
        for inputs, outputs in case.data_sets:
            names = [value.name for value in case.model.graph.input]
            results = session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))
            for given, expected in zip(results, outputs, strict=True):
                expected = np.asarray(expected)
                tolerance = 1e-2 if expected.dtype == np.float16 else 1e-3
                if given.dtype != expected.dtype or given.shape != expected.shape:
                    return False
                if not np.allclose(given, expected, rtol=tolerance, atol=tolerance / 100, equal_nan=True):
                    return False
    except Exception:  # noqa: BLE001 (whatever it says, the case is not for this suite)
        return False
    return True


def is_wanted(case) -> bool:
    if case.kind != "node" or not case.data_sets or NOT_IN_WASM.fullmatch(case.name):
        return False
    values = [value for data_set in case.data_sets for side in data_set for value in side]
    if not values or not all(map(is_plain, values)) or sum(np.asarray(value).nbytes for value in values) > LARGEST:
        return False
    kinds = [value.type.WhichOneof("value") for value in (*case.model.graph.input, *case.model.graph.output)]
    return all(kind == "tensor_type" for kind in kinds) and agrees(case)


def write(case, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{number}"
        data.mkdir()
        for what, values, declared in (
            ("input", inputs, case.model.graph.input),
            ("output", outputs, case.model.graph.output),
        ):
            for index, value in enumerate(values):
                tensor: TensorProto = numpy_helper.from_array(np.asarray(value), declared[index].name)
                (data / f"{what}_{index}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the cases; what was there is kept as it is")
    folder = parser.parse_args().folder
    if folder.exists():
        print(f"{folder} exists already")
        return 0
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Some cases draw their data, from numpy's generator.
    np.random.seed(0)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        written = Path(scratch, "cases")
        count = 0
        for case in sorted(collect_testcases(), key=lambda case: case.name):
            if is_wanted(case):
                write(case, written / case.name)
                count += 1
        written.rename(folder)
    print(f"{folder}: {count} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
