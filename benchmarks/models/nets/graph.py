"""Builds one ONNX model, with the node and weight names that a real exporter would give it.

Exporters name a node after the module it came from and its operator (`/encoder/layer.0/attention/self/query/MatMul`),
and a weight after the module and its role (`encoder.layer.0.attention.self.query.weight`). The models here do the
same, so that whatever reads names (shards, reports, error messages) meets what it will meet outside.
"""

import hashlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


@dataclass
class Case:
    """A model, with the inputs that its expected outputs are computed from."""

    name: str
    model: onnx.ModelProto
    inputs: dict[str, np.ndarray]


class Graph:
    """A model being built. Every random number in it comes from the model's own name."""

    def __init__(self, name: str, family: str):
        self.name = name
        self.family = family
        self.random = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
        self._path: list[str] = []
        self._used = Counter()
        self._nodes, self._weights, self._inputs, self._outputs = [], [], [], []
        self._test_inputs: dict[str, np.ndarray] = {}

    @contextmanager
    def scope(self, path: str):
        """Everything built inside belongs to the module of this path, whose parts are joined by `/`."""
        outside = self._path
        self._path = [*outside, *path.split("/")]
        yield
        self._path = outside

    def op(self, op_type: str, *inputs: str, outputs: int = 1, **attributes):
        """Adds one node; returns the name of its output, or a list of them where it has more than one."""
        module = "/" + "/".join([*self._path, op_type])
        count = self._used[module]
        self._used[module] += 1
        name = f"{module}_{count}" if count else module
        names = [f"{name}_output_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(op_type, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, dtype=np.float32) -> str:
        """A small constant, as the node that exporters write for it."""
        return self.op("Constant", value=numpy_helper.from_array(np.asarray(value, dtype)))

    def weight(self, role: str, value: np.ndarray) -> str:
        """A trained tensor of the current module."""
        name = ".".join([*self._path, role])
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def normal(self, *shape: int, scale: float = 1.0, mean: float = 0.0, dtype=np.float32) -> np.ndarray:
        """Seeded normal numbers."""
        return (mean + scale * self.random.standard_normal(shape)).astype(dtype)

    def input(self, name: str, value: np.ndarray, axes: dict[int, str] | None = None) -> str:
        """An input, with its test value. `axes` names the dynamic ones; the others are as long as the value's."""
        shape = [(axes or {}).get(i, length) for i, length in enumerate(value.shape)]
        self._inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape))
        self._test_inputs[name] = value
        return name

    def output(self, name: str, value: str, shape: list, dtype=TensorProto.FLOAT):
        """Gives the name `name` to a node's output and makes it an output of the model."""
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, used in enumerate(names):
                    if used == value:
                        names[i] = name
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def case(self) -> Case:
        """The finished model, checked, with the shape of every value written in (as exporters do)."""
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._weights)
        model = helper.make_model(
            graph,
            producer_name="tabfleet",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, {"tabfleet.family": self.family})
        onnx.checker.check_model(model, full_check=True)
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        known = {value.name for value in [*model.graph.value_info, *model.graph.output]}
        unknown = [name for node in model.graph.node for name in node.output if name and name not in known]
        if unknown:
            raise ValueError(f"{self.name}: no shape could be inferred for {unknown}")
        return Case(self.name, model, self._test_inputs)
