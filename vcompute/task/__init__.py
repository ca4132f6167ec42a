# SPDX-License-Identifier: Apache-2.0
"""The task encoding: int8 networks with exact integer semantics, named by digests.

The shared vocabulary of both planes: tensors, operators, graph, model, batch, bounds, digests.
"""

from vcompute.task.batch import Batch, check_batch, decode_batch, make_batch
from vcompute.task.graph import Graph, Node, canonical, check_graph, decode_graph, encode_graph
from vcompute.task.model import Model, build, decode_model, encode_model, read_model
from vcompute.task.operators import Requant, Rounding, Window, Work
from vcompute.task.tensor import ConstantType, DType, QuantizationScale, ValueType

__all__ = [
    "Batch",
    "ConstantType",
    "DType",
    "Graph",
    "Model",
    "Node",
    "QuantizationScale",
    "Requant",
    "Rounding",
    "ValueType",
    "Window",
    "Work",
    "build",
    "canonical",
    "check_batch",
    "check_graph",
    "decode_batch",
    "decode_graph",
    "decode_model",
    "encode_graph",
    "encode_model",
    "make_batch",
    "read_model",
]
