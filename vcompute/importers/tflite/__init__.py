# SPDX-License-Identifier: Apache-2.0
"""``.tflite`` models -> task models, exactly. The file is hostile input.

What is read: one subgraph of int8 operators with constant weights, per-tensor or per-channel scales. Scales become
integers here, once; the model that results knows no floating-point number that any rule uses.
"""

from pathlib import Path
from typing import Final

from vcompute.errors import EncodingError, ImportFailed, TaskError, UsageError
from vcompute.importers.tflite import linear, others
from vcompute.importers.tflite.assembly import Assembly
from vcompute.importers.tflite.schema import BuiltinOperator, OperatorCall, Subgraph, TensorType, read_subgraph
from vcompute.importers.tflite.semantics import Semantics
from vcompute.registry import ErrorCode
from vcompute.task.bounds import overflowing_node
from vcompute.task.model import Model, build

LITERT: Final = Semantics.LITERT

# The number of each operator's options table in the schema's union BuiltinOptions.
_CONVERTERS: Final[dict[BuiltinOperator, tuple[int, linear.Convert]]] = {
    BuiltinOperator.CONV_2D: (1, linear.conv_2d),
    BuiltinOperator.DEPTHWISE_CONV_2D: (2, linear.depthwise_conv_2d),
    BuiltinOperator.FULLY_CONNECTED: (8, linear.fully_connected),
    BuiltinOperator.BATCH_MATMUL: (101, linear.batch_matmul),
    BuiltinOperator.ADD: (11, others.add),
    BuiltinOperator.MUL: (21, others.mul),
    BuiltinOperator.AVERAGE_POOL_2D: (5, others.average_pool_2d),
    BuiltinOperator.MAX_POOL_2D: (5, others.max_pool_2d),
    BuiltinOperator.MEAN: (27, others.mean),
    BuiltinOperator.PAD: (22, others.pad),
    BuiltinOperator.CONCATENATION: (10, others.concatenation),
    BuiltinOperator.RESHAPE: (17, others.reshape),
    BuiltinOperator.TRANSPOSE: (26, others.transpose),
    BuiltinOperator.SOFTMAX: (9, others.softmax),
    BuiltinOperator.LOGISTIC: (0, others.logistic),
    BuiltinOperator.QUANTIZE: (89, others.quantize),
}

_UINT8_OPERATORS: Final = frozenset({BuiltinOperator.QUANTIZE, BuiltinOperator.RESHAPE, BuiltinOperator.TRANSPOSE})
"""Operators whose uint8 kernels are their int8 ones with everything 128 less."""


def import_tflite(data: bytes, semantics: Semantics = LITERT) -> Model:
    """The model that a ``.tflite`` file holds; operators that no output needs are left out.

    The leading axis of every activation must be 1 and is the batch axis of the result. ``semantics`` names the
    reference kernels whose outputs the model reproduces bit for bit.

    Raises:
        ImportFailed: the file is malformed or holds what operator set v1 does not have; the message names the
            operator, the tensor and the reason.
    """
    source = read_subgraph(data)
    assembly = Assembly(source)
    for index in source.inputs:
        assembly.add_input(source.tensors[index])
    for call in _needed(source):
        _convert(assembly, call, semantics)
    graph = assembly.graph()
    try:
        overflow = overflowing_node(graph, tuple(assembly.constants))
        if overflow is None:
            return build(graph, assembly.constants)
    except (TaskError, EncodingError) as error:
        raise ImportFailed(
            f"the model is outside the task encoding: {error.message}", expected=error.expected, got=error.got
        ) from error
    raise ImportFailed(
        f"{assembly.origins[overflow.node]}: an accumulator could leave int32",
        expected=f"<= {overflow.most}",
        got=overflow.bound,
    )


def read_tflite(path: str | Path, semantics: Semantics = LITERT) -> Model:
    """Import a ``.tflite`` file from disk; see :func:`import_tflite`.

    Raises:
        UsageError: ``unreadable_file``.
        ImportFailed: as :func:`import_tflite`.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the model file: {error}", code=ErrorCode.UNREADABLE_FILE) from error
    return import_tflite(data, semantics)


def _needed(source: Subgraph) -> list[OperatorCall]:
    """The operators that the outputs depend on, in the file's order, which is the order of execution."""
    wanted = set(source.outputs)
    calls = []
    for call in reversed(source.operators):
        if wanted.intersection(call.outputs):
            wanted.update(call.inputs)
            calls.append(call)
    return calls[::-1]


def _refuse_uint8(source: Subgraph, call: OperatorCall) -> None:
    """The uint8 kernels round in other ways; only what moves elements and zero points is the same."""
    for index in (*call.inputs, *call.outputs):
        if index >= 0 and source.tensors[index].type == TensorType.UINT8:
            raise ImportFailed(f"{source.tensors[index]}: the operator's uint8 kernel is not in operator set v1")


def _convert(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """Convert one operator; whatever goes wrong names it and its output."""
    try:
        if call.custom or call.code not in list(BuiltinOperator):
            raise ImportFailed("the operator is not in operator set v1")
        options_type, converter = _CONVERTERS[BuiltinOperator(call.code)]
        if call.options is not None and options_type and call.options_type != options_type:
            raise ImportFailed("options of another operator", expected=options_type, got=call.options_type)
        if call.code not in _UINT8_OPERATORS:
            _refuse_uint8(source=assembly.source, call=call)
        converter(assembly, call, semantics)
    except TaskError as error:
        tensors = assembly.source.tensors
        outputs = ", ".join(str(tensors[index]) for index in call.outputs[:1])
        raise ImportFailed(
            f"{call}, output {outputs or 'missing'}: {error.message}", expected=error.expected, got=error.got
        ) from error


__all__ = ["LITERT", "Semantics", "import_tflite", "read_tflite"]
