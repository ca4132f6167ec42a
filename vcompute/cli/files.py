# SPDX-License-Identifier: Apache-2.0
"""Files of the command line: read within bounds, written whole or not at all."""

import ast
import io
import math
import os
import secrets
from pathlib import Path
from typing import Any, Final

import numpy as np

from vcompute.api import load_model, read_bounded
from vcompute.errors import EncodingError, TaskError, UsageError
from vcompute.proof.statement import ModelHolder
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, decode_batch, make_batch
from vcompute.task.limits import BATCH_LIMITS, MAX_RANK, MODEL_LIMITS
from vcompute.task.tensor import NDArray

HEAD: Final = 32
"""Bytes within which a file's kind stands."""
COMMITMENT_KIND: Final = b"vcompute-commitment"
NPY_MAGIC: Final = b"\x93NUMPY"
MAX_NPY_HEADER: Final = 4096
_NPY_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "|i1": np.dtype("i1"),
    "|u1": np.dtype("u1"),
    "<i4": np.dtype("<i4"),
    ">i4": np.dtype(">i4"),
}


def read_model(path: Path, semantics: str = "litert") -> Model:
    """A model from a file; errors name the file."""
    return load_model(path, semantics)


def read_holder(path: Path, semantics: str = "litert") -> ModelHolder:
    """A model, or a publisher's commitment to one, told apart by content."""
    data = read_bounded(path, MODEL_LIMITS.bytes)
    if COMMITMENT_KIND not in data[:HEAD]:
        return load_model(data, semantics)
    from vcompute.proof.succinct.commitment import decode_commitment

    return decode_commitment(data)


def read_batch(path: Path) -> Batch:
    """A batch from a ``.npy`` file with one array (N, ...), or from an encoded batch with one array or several.

    Raises:
        UsageError: ``unreadable_file``, ``limit_exceeded``.
        EncodingError, TaskError: not the encoding of a batch, or an array of another type than int8, uint8 or int32.
    """
    data = read_bounded(path, BATCH_LIMITS.bytes)
    if data.startswith(NPY_MAGIC):
        return make_batch(parse_npy(data, str(path)))
    try:
        return decode_batch(data)
    except (EncodingError, TaskError) as error:
        raise EncodingError(f"{path} is neither a .npy file nor a batch: {error}", code=error.code) from error


def parse_npy(data: bytes, name: str) -> NDArray:
    """The array of a ``.npy`` file. Sizes are checked against the file's before anything is allocated.

    Raises:
        UsageError: ``unreadable_file``.
    """
    header, start = _npy_header(data, name)
    shape, dtype = header["shape"], _NPY_DTYPES.get(header["descr"])
    if dtype is None or math.prod(shape) * dtype.itemsize != len(data) - start:
        raise UsageError(
            f"{name} does not hold one array of int8, uint8 or int32",
            code=ErrorCode.UNREADABLE_FILE,
            got=f"{header['descr']} {shape}, {len(data) - start} bytes",
        )
    array: NDArray = np.frombuffer(data, dtype, -1, start)
    array = array.reshape(shape[::-1]).T if header["fortran_order"] else array.reshape(shape)
    return array.astype(dtype.newbyteorder("<"), order="C", copy=False)


def _npy_header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """The header of a ``.npy`` file, version 1 or 2, and where the data begin.

    numpy's own reader answers some damaged headers with errors that it does not document. Source: NEP 1.
    """
    width = {b"\x01\x00": 2, b"\x02\x00": 4}.get(data[6:8])
    length = int.from_bytes(data[8 : 8 + width], "little") if width else MAX_NPY_HEADER + 1
    start = 8 + (width or 0) + length
    header: Any = None
    if length <= MAX_NPY_HEADER and start <= len(data):
        try:
            header = ast.literal_eval(data[start - length : start].decode("latin-1"))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            header = None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise UsageError(f"{name} is not a readable .npy file", code=ErrorCode.UNREADABLE_FILE)
    shape, descr, order = header["shape"], header["descr"], header["fortran_order"]
    sizes_fit = isinstance(shape, tuple) and all(type(size) is int and 1 <= size <= len(data) for size in shape)
    if not sizes_fit or len(shape) > MAX_RANK + 1 or not isinstance(descr, str) or type(order) is not bool:
        raise UsageError(f"{name} does not hold one plain array", code=ErrorCode.UNREADABLE_FILE)
    return header, start


def write_batch(path: Path, batch: Batch) -> None:
    """Write a batch: one array as ``.npy``, several as an encoded batch.

    Raises:
        UsageError: several arrays and a name that ends in ``.npy``, or the file cannot be written.
    """
    if len(batch.arrays) == 1:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, batch.arrays[0], version=(1, 0), allow_pickle=False)
        write_atomic(path, stream.getvalue())
    elif path.suffix == ".npy":
        raise UsageError(
            "the model has several outputs: name a file that does not end in .npy to get them as one batch",
            got=str(path),
        )
    else:
        write_atomic(path, batch.encoded)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is never seen half-written: a new file beside it, synced, then renamed.

    Raises:
        UsageError: ``unreadable_file``.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE) from error
