#!/usr/bin/env python3
"""Writes the `light` cases of the onnx package's backend tests as a suite that `tabfleet matrix` can run.

They are nine well-known vision nets (AlexNet to ShuffleNet) with constants for weights. Inputs come from the package's
own rule, expected outputs and tolerances from its files; ONNX Runtime is asked to agree before a case is written.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.backend.test.runner import Runner

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


def verify(model: Path, feeds: dict, expected: list[np.ndarray], rtol: float, atol: float) -> float:
    """Fails unless ONNX Runtime's outputs are the expected ones; returns the largest relative difference."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    outputs = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"]).run(None, feeds)
    worst = 0.0
    for value, reference in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=rtol, atol=atol)
        worst = max(worst, float(np.max(np.abs(value - reference) / np.maximum(np.abs(reference), atol))))
    return worst


def write(name: str, about: dict, folder: Path) -> None:
    source = DATA / "light" / Path(about["url"]).name
    model = onnx.load(source)
    initialized = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialized]
    feeds = {x.name: Runner.generate_dummy_data(x, seed=0, name=name, random=False) for x in inputs}
    outputs = [source.with_name(f"{source.stem}_output_{i}.pb") for i in range(len(model.graph.output))]
    expected = [numpy_helper.to_array(onnx.load_tensor(path)) for path in outputs]
    worst = verify(source, feeds, expected, about["rtol"], about["atol"])

    case = folder / name
    data = case / "test_data_set_0"
    data.mkdir(parents=True)
    shutil.copyfile(source, case / "model.onnx")
    (case / "data.json").write_text(json.dumps({key: about[key] for key in ("model_name", "rtol", "atol")}) + "\n")
    for i, (name_of_input, value) in enumerate(feeds.items()):
        tensor = numpy_helper.from_array(value, name_of_input)
        (data / f"input_{i}.pb").write_bytes(tensor.SerializeToString(deterministic=True))
    for i, path in enumerate(outputs):
        shutil.copyfile(path, data / f"output_{i}.pb")
    print(f"{name}: ONNX Runtime differs by {worst:.1e} at most, {about['rtol']:g} is allowed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the cases; must not exist yet")
    folder = parser.parse_args().folder
    if folder.exists():
        print(f"{folder} exists already; name another folder, or remove it", file=sys.stderr)
        return 2
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for path in sorted((DATA / "real").glob("test_*/data.json")):
            about = json.loads(path.read_text())
            if about["url"].startswith("onnx/backend/test/data/light/"):
                write("light_" + about["model_name"], about, Path(scratch, "cases"))
        Path(scratch, "cases").rename(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
