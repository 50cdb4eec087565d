#!/usr/bin/env python3
"""Writes the built-in suite (suite/) and the speed benchmarks' models (speed/), or checks what is committed.

Every weight and input is a pure function of the model's name, so two runs write the same bytes. Expected outputs are
ONNX Runtime's own, from its CPU provider without graph optimizations.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from nets import audio, multimodal, plain, speed, text, vision
from nets.graph import Case

HERE = Path(__file__).resolve().parent

FOLDERS = {
    "suite": [
        text.bert_encoder,
        text.gpt_decoder_step,
        vision.vit,
        vision.mobilenet,
        vision.unet_block,
        audio.whisper_encoder,
        audio.lstm,
        multimodal.clip,
        plain.mlp,
        plain.mlp_fp16,
        plain.mlp_dynamic,
    ],
    "speed": [speed.mlp64, speed.mlp1m, speed.work3ms],
}

# The last bits of a float32 sum depend on the CPU's vector width, so on another machine the expected outputs may
# come out a little different; models and inputs may not.
OUTPUT_TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float16): 4e-3}


def run(case: Case, optimize: bool) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(case.model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, case.inputs)


def expected_outputs(case: Case) -> list[np.ndarray]:
    """The reference outputs, once they have been found sane and the optimizer has been found to agree."""
    outputs, optimized = run(case, optimize=False), run(case, optimize=True)
    for info, value, other in zip(case.model.graph.output, outputs, optimized, strict=True):
        value32 = value.astype(np.float32)
        rms = float(np.sqrt(np.mean(value32**2)))
        if not np.isfinite(value32).all() or not 0.05 < rms < 10:
            raise ValueError(f"{case.name}: the output {info.name} is no good for a test (rms {rms:.3g})")
        tolerance = OUTPUT_TOLERANCE[value.dtype]
        np.testing.assert_allclose(other, value, rtol=tolerance, atol=tolerance, err_msg=f"{case.name} {info.name}")
    return outputs


def write(case: Case, folder: Path) -> None:
    """Writes a case in the ONNX backend-test layout."""
    data = folder / case.name / "test_data_set_0"
    data.mkdir(parents=True)
    (data.parent / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
    outputs = expected_outputs(case)
    for kind, infos, values in [
        ("input", case.model.graph.input, case.inputs.values()),
        ("output", case.model.graph.output, outputs),
    ]:
        for i, (info, value) in enumerate(zip(infos, values, strict=True)):
            tensor = numpy_helper.from_array(np.ascontiguousarray(value), info.name)
            (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def describe(case: Case, folder: Path) -> str:
    size = sum(f.stat().st_size for f in (folder / case.name).rglob("*") if f.is_file())
    ops = Counter(node.op_type for node in case.model.graph.node if node.op_type != "Constant")
    listed = ", ".join(f"{op} {count}" for op, count in sorted(ops.items()))
    return f"{folder.name}/{case.name}: {size / 1000:.0f} kB, {sum(ops.values())} nodes: {listed}"


def same(committed: Path, fresh: Path) -> bool:
    """Whether two files agree: to the byte, or for an expected output to the last bits."""
    if committed.read_bytes() == fresh.read_bytes():
        return True
    if not fresh.name.startswith("output_"):
        return False
    old, new = (numpy_helper.to_array(onnx.load_tensor(path)) for path in (committed, fresh))
    tolerance = OUTPUT_TOLERANCE[new.dtype]
    return old.shape == new.shape and old.dtype == new.dtype and np.allclose(old, new, rtol=tolerance, atol=tolerance)


def differences(committed: Path, fresh: Path) -> list[str]:
    old, new = ({p.relative_to(root) for p in root.rglob("*") if p.is_file()} for root in (committed, fresh))
    missing = [f"{path}: is missing" for path in sorted(new - old)]
    foreign = [f"{path}: is not written by the generator" for path in sorted(old - new)]
    return missing + foreign + [f"{p}: differs" for p in sorted(old & new) if not same(committed / p, fresh / p)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is committed, and write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name, nets in FOLDERS.items():
            for net in nets:
                case = net()
                write(case, Path(scratch, name))
                print(describe(case, Path(scratch, name)))
        if arguments.check:
            found = [f"{name}/{line}" for name in FOLDERS for line in differences(HERE / name, Path(scratch, name))]
            print("\n".join(found) or "What is committed is what the generator writes.")
            return 1 if found else 0
        for name in FOLDERS:
            shutil.rmtree(HERE / name, ignore_errors=True)
            shutil.copytree(Path(scratch, name), HERE / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
