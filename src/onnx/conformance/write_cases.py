#!/usr/bin/env python3
"""Writes the backend-test cases of the onnx package as a suite: CASE/model.onnx, CASE/test_data_set_0/input_0.pb, …

Every case is written, those with sequences and optionals included: whether a runtime has what a case needs is for the
one to say that runs it. Prints how many there are of each kind, as `KIND COUNT`.
"""

import argparse
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, numpy_helper
from onnx.backend.test.loader import load_model_tests, load_node_model_tests

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"

# Cases whose files lie in the package, by kind.
KINDS = ("simple", "pytorch-converted", "pytorch-operator")

# What a case allows unless it says otherwise.
USUAL = (1e-3, 1e-7)


def serialized(value: object, declared: ValueInfoProto) -> bytes:
    """A value as a protobuf message of the kind that the model declares it as."""
    kind = declared.type.WhichOneof("value")
    if kind == "map_type":
        message = numpy_helper.from_dict(value, declared.name)
    elif kind == "sequence_type":
        message = numpy_helper.from_list(value, declared.name)
    elif kind == "optional_type":
        message = numpy_helper.from_optional(value, declared.name)
    elif isinstance(value, TensorProto):
        message = value
    else:
        message = numpy_helper.from_array(np.asarray(value), declared.name)
    return message.SerializeToString(deterministic=True)


def write_tolerance(folder: Path, rtol: float, atol: float) -> None:
    if (rtol, atol) != USUAL:
        (folder / "data.json").write_text(json.dumps({"rtol": rtol, "atol": atol}) + "\n")


def write_node_cases(folder: Path) -> int:
    """Writes the cases that the package makes when they are asked for."""
    # Some draw their data, from numpy's generator.
    np.random.seed(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = load_node_model_tests()
    for case in cases:
        written = folder / case.name
        written.mkdir(parents=True)
        (written / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
        write_tolerance(written, case.rtol, case.atol)
        graph = case.model.graph
        for number, (inputs, outputs) in enumerate(case.data_sets):
            data = written / f"test_data_set_{number}"
            data.mkdir()
            for what, values, declared in (("input", inputs, graph.input), ("output", outputs, graph.output)):
                for index, value in enumerate(values):
                    (data / f"{what}_{index}.pb").write_bytes(serialized(value, declared[index]))
    return len(cases)


def copy_cases(kind: str, folder: Path) -> int:
    """Copies the cases of a kind, whose models and data lie in the package."""
    cases = load_model_tests(kind=kind)
    for case in cases:
        shutil.copytree(case.model_dir, folder / case.name, ignore=shutil.ignore_patterns("__pycache__"))
        write_tolerance(folder / case.name, case.rtol, case.atol)
    return len(cases)


def dummy_input(value: ValueInfoProto) -> np.ndarray:
    """What the package's own runner feeds the light models: 0, 1/n, 2/n, … in the input's shape."""
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        raise TypeError(f"input {value.name} is not float32")
    shape = [dim.dim_value if dim.HasField("dim_value") else 1 for dim in tensor.shape.dim]
    count = np.prod(shape)
    return (np.arange(count).reshape(shape) / count).astype(np.float32)


def write_light_cases(folder: Path) -> int:
    """Writes well-known vision nets, with constants for weights and the package's expected outputs."""
    count = 0
    for path in sorted((DATA / "real").glob("test_*/data.json")):
        about = json.loads(path.read_text())
        if not about["url"].startswith("onnx/backend/test/data/light/"):
            continue
        source = DATA / "light" / Path(about["url"]).name
        graph = onnx.load(source).graph
        initialized = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in initialized]
        written = folder / about["model_name"]
        data = written / "test_data_set_0"
        data.mkdir(parents=True)
        shutil.copyfile(source, written / "model.onnx")
        write_tolerance(written, about["rtol"], about["atol"])
        for index, value in enumerate(inputs):
            (data / f"input_{index}.pb").write_bytes(serialized(dummy_input(value), value))
        for index in range(len(graph.output)):
            shutil.copyfile(source.with_name(f"{source.stem}_output_{index}.pb"), data / f"output_{index}.pb")
        count += 1
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the suite; must not exist yet")
    folder = parser.parse_args().folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".cases-") as scratch:
        written = Path(scratch, "suite")
        counts = {"node": write_node_cases(written / "node")}
        counts |= {kind: copy_cases(kind, written / kind) for kind in KINDS}
        counts["light"] = write_light_cases(written / "light")
        (written / "suite.json").write_text(json.dumps({"source": f"onnx {onnx.__version__}"}) + "\n")
        written.rename(folder)
    for kind, count in counts.items():
        print(kind, count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
