# SPDX-License-Identifier: Apache-2.0
"""The functions behind ``vcompute.load_model``, ``vcompute.run``, ``vcompute.matmul`` and ``vcompute.pack``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vcompute.errors import EncodingError, UsageError
from vcompute.importers.tflite import import_tflite
from vcompute.importers.tflite.semantics import Semantics
from vcompute.kernels import executor
from vcompute.kernels.native import PackedMatrix
from vcompute.proof.api import as_batch
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, decode_model
from vcompute.task.limits import MODEL_LIMITS
from vcompute.task.tensor import NDArray

TFLITE_MARK: Final = b"TFL3"
"""Bytes 4 to 8 of a ``.tflite`` file."""


def load_model(source: str | os.PathLike[str] | bytes, semantics: str = "litert") -> Model:
    """Read a model: a ``.vcm`` file or a ``.tflite`` one, told apart by content.

    Args:
        source: a path, or the file's bytes.
        semantics: whose integer arithmetic a ``.tflite`` model follows, ``litert`` or ``classic``. A ``.vcm`` file has
            its arithmetic inside.

    Raises:
        UsageError: the file cannot be read, or ``semantics`` has another value.
        EncodingError: not a model file, or one that does not have the digest it carries.
        ImportFailed: the ``.tflite`` model cannot be imported.
        TaskError: the ``.vcm`` file holds a malformed model.

    >>> from vcompute.data import digits_model
    >>> model = load_model(digits_model())
    >>> model.graph.inputs[0].shape
    (8, 8, 1)
    """
    chosen = {item.value: item for item in Semantics}
    if semantics not in chosen:
        raise UsageError("no such semantics", expected=" or ".join(chosen), got=semantics)
    data = source if isinstance(source, bytes) else read_bounded(Path(source), MODEL_LIMITS.bytes)
    if data[4:8] == TFLITE_MARK:
        return import_tflite(data, chosen[semantics])
    try:
        return decode_model(data)
    except EncodingError as error:
        if error.code is ErrorCode.DIGEST_MISMATCH:
            raise
        raise EncodingError(f"not a .vcm or .tflite model: {error}", code=error.code) from error


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file of at most ``limit`` bytes.

    Raises:
        UsageError: ``unreadable_file``, or ``limit_exceeded`` for a longer file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE) from error
    if len(data) > limit:
        raise UsageError(f"{path} is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=f"at most {limit} bytes")
    return data


def run(model: Model, inputs: Batch | NDArray | Sequence[NDArray], threads: int = 1) -> Batch:
    """The outputs of a model on a batch of inputs, exactly, with the fastest executor there is.

    Args:
        model: the model.
        inputs: one array (N, *shape) for each input of the graph; N samples.
        threads: threads to use.

    Raises:
        TaskError: ``invalid_input`` where the inputs are not of the model's types.

    >>> from vcompute.data import digits_model, digits_samples
    >>> images, labels = digits_samples()
    >>> outputs = run(load_model(digits_model()), images[:8])
    >>> bool((outputs.arrays[0].argmax(axis=1) == labels[:8]).all())
    True
    """
    return executor.run(model, as_batch(inputs), threads)


def matmul(a: NDArray, b: NDArray | PackedMatrix, threads: int = 1) -> NDArray:
    """The exact product of int8 arrays (..., M, K) and (..., K, N): int32 (..., M, N), leading axes broadcast.

    Args:
        a: int8 (..., M, K).
        b: int8 (..., K, N), or what :func:`pack` made of it, where it meets many products.
        threads: threads that share out the rows of a product.

    Raises:
        TaskError: an operand of another type or fewer than two axes, shapes that do not fit, or sums that could leave
            int32 (K above 131,071).

    >>> import numpy as np
    >>> matmul(np.array([[1, -2]], np.int8), np.array([[3], [4]], np.int8))
    array([[-5]], dtype=int32)
    """
    return executor.matmul(a, b, threads)


def pack(b: NDArray) -> PackedMatrix:
    """Arrange the right-hand side of products once, so that :func:`matmul` need not do it for every product.

    It is worth it for weights, which meet many products, most of all where each product has few rows.

    Args:
        b: int8 (..., K, N); any strides, so that ``weights.T`` will do.

    Returns:
        What :func:`matmul` takes in the array's place, with the same results. It is a copy, in the order of this
        processor's kernels and of one or two bytes for each element; threads may share it, other processes may not.

    Raises:
        TaskError: an array of another type or fewer than two axes, or with more than 131,071 rows (K).

    >>> import numpy as np
    >>> weights = pack(np.array([[3, 5], [4, 6]], np.int8))
    >>> weights.shape
    (2, 2)
    >>> matmul(np.array([[1, -2]], np.int8), weights)
    array([[-5, -7]], dtype=int32)
    """
    return executor.pack(b)
