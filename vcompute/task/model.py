# SPDX-License-Identifier: Apache-2.0
"""A model: a graph and the bytes of its constants, with the digests that name it; the ``.vcm`` file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from vcompute.codec import Bytes, Int, Text, decode, encode, field
from vcompute.errors import EncodingError, TaskError, UsageError
from vcompute.registry import ErrorCode
from vcompute.task import digest
from vcompute.task.bounds import check_accumulators
from vcompute.task.graph import Graph, canonical, check_references, constant_order, decode_graph, encode_graph
from vcompute.task.limits import MAX_WEIGHT_BYTES, MODEL_LIMITS
from vcompute.task.operators import Work
from vcompute.task.tensor import NUMPY_DTYPE, NDArray

FILE_KIND: Final = "vcompute-model"
FILE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A ``.vcm`` file."""

    kind: str = field(0, Text(32), "the text 'vcompute-model'")
    version: int = field(1, Int(FILE_VERSION, FILE_VERSION), "version of the file format")
    graph: bytes = field(2, Bytes(1, 1 << 24), "the encoded graph")
    weights: bytes = field(3, Bytes(0, MAX_WEIGHT_BYTES), "the constants, one after the other")
    digest: bytes = field(4, Bytes(32, 32), "the model's digest; readers recompute it")


@dataclass(frozen=True, eq=False)
class Model:
    """A validated model. Make one with :func:`build`, :func:`decode_model` or an importer.

    ``constants`` are read-only arrays in the graph's order. Two models are equal when their digests are.
    """

    graph: Graph
    constants: tuple[NDArray, ...]

    @cached_property
    def encoded_graph(self) -> bytes:
        """The graph's one encoding."""
        return encode_graph(self.graph)

    @cached_property
    def weights(self) -> bytes:
        """The constants in order, little-endian, row-major, without gaps."""
        return b"".join(array.tobytes() for array in self.constants)

    @cached_property
    def graph_digest(self) -> bytes:
        """Digest of the graph, 32 bytes."""
        return digest.graph_digest(self.encoded_graph)

    @cached_property
    def weights_digest(self) -> bytes:
        """Content digest of the weights, 32 bytes."""
        return digest.blob_digest(self.weights)

    @cached_property
    def digest(self) -> bytes:
        """The model's identity, 32 bytes."""
        return digest.model_digest(self.graph_digest, self.weights_digest)

    def work(self) -> Work:
        """Work units of one sample."""
        return self.graph.work()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def build(graph: Graph, constants: Sequence[NDArray]) -> Model:
    """A validated model from a graph in any topological order: canonical order is made here.

    Raises:
        TaskError: the graph is malformed, a constant does not have its type, or an accumulator could leave int32.
    """
    check_references(graph)
    if len(constants) != len(graph.constants):
        raise TaskError("one array for each constant", expected=len(graph.constants), got=len(constants))
    kept = constant_order(graph)
    return _validated(canonical(graph), tuple(constants[index] for index in kept))


def _validated(graph: Graph, constants: tuple[NDArray, ...]) -> Model:
    arrays = []
    for position, (array, expected) in enumerate(zip(constants, graph.constants, strict=True)):
        if array.dtype != NUMPY_DTYPE[expected.dtype] or array.shape != expected.shape:
            raise TaskError(
                f"constant {position} does not have its type",
                code=ErrorCode.INVALID_SHAPE,
                expected=f"{expected.dtype.name.lower()}{list(expected.shape)}",
                got=f"{array.dtype}{list(array.shape)}",
            )
        # Views into a file may stand at any offset; the native core, like C, wants its int32 aligned.
        frozen = np.require(array, requirements=("C", "A")).reshape(array.shape).view()
        frozen.flags.writeable = False
        arrays.append(frozen)
    model = Model(graph, tuple(arrays))
    model.encoded_graph  # noqa: B018 - validates the graph before its constants are read
    check_accumulators(graph, model.constants)
    return model


def split_weights(graph: Graph, weights: bytes) -> tuple[NDArray, ...]:
    """The constants as read-only views into the weights.

    Raises:
        TaskError: ``invalid_shape`` where the weights have another size than the graph says.
    """
    expected = sum(constant.nbytes for constant in graph.constants)
    if len(weights) != expected:
        raise TaskError("size of the weights", code=ErrorCode.INVALID_SHAPE, expected=expected, got=len(weights))
    arrays, offset = [], 0
    for constant in graph.constants:
        dtype = NUMPY_DTYPE[constant.dtype]
        array = np.frombuffer(weights, dtype, constant.elements, offset).reshape(constant.shape)
        arrays.append(array)
        offset += constant.nbytes
    return tuple(arrays)


def encode_model(model: Model) -> bytes:
    """The bytes of a ``.vcm`` file."""
    return encode(ModelFile(FILE_KIND, FILE_VERSION, model.encoded_graph, model.weights, model.digest))


def decode_model(data: bytes) -> Model:
    """Read a ``.vcm`` file, recompute its digest and validate everything.

    Raises:
        EncodingError: not a ``.vcm`` file, or ``digest_mismatch``.
        TaskError: the model it holds is malformed.
    """
    file = decode(ModelFile, data, MODEL_LIMITS)
    if file.kind != FILE_KIND:
        raise EncodingError(
            "not a model file", code=ErrorCode.SCHEMA_VIOLATION, expected=repr(FILE_KIND), got=repr(file.kind)
        )
    computed = digest.model_digest(digest.graph_digest(file.graph), digest.blob_digest(file.weights))
    if computed != file.digest:
        raise EncodingError(
            "the model's content does not have the digest it carries",
            code=ErrorCode.DIGEST_MISMATCH,
            expected=file.digest.hex(),
            got=computed.hex(),
        )
    graph = decode_graph(file.graph)
    return _validated(graph, split_weights(graph, file.weights))


def read_model(path: str | Path) -> Model:
    """Read a ``.vcm`` file from disk; see :func:`decode_model`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the model file: {error}", code=ErrorCode.UNREADABLE_FILE) from error
    return decode_model(data)
