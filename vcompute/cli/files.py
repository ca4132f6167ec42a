# SPDX-License-Identifier: Apache-2.0
"""Files of the command line: read within bounds, written whole or not at all."""

import io
import os
import secrets
from pathlib import Path
from typing import Final

import numpy as np

from vcompute.api import load_model, read_bounded
from vcompute.errors import EncodingError, TaskError, UsageError
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, decode_batch, make_batch
from vcompute.task.limits import BATCH_LIMITS
from vcompute.task.tensor import NUMPY_DTYPE, NDArray

NPY_MAGIC: Final = b"\x93NUMPY"
MAX_NPY_HEADER: Final = 4096


def read_model(path: Path, semantics: str = "litert") -> Model:
    """A model from a file; errors name the file."""
    return load_model(path, semantics)


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
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in reader:
            raise UsageError(f"{name}: .npy version", code=ErrorCode.UNREADABLE_FILE, got=version)
        shape, fortran_order, dtype = reader[version](stream, max_header_size=MAX_NPY_HEADER)
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise UsageError(f"{name} is not a readable .npy file: {error}", code=ErrorCode.UNREADABLE_FILE) from error
    count = 1
    for size in shape:
        count *= size
    if dtype.newbyteorder("<") not in NUMPY_DTYPE.values() or count * dtype.itemsize != len(data) - stream.tell():
        raise UsageError(
            f"{name} does not hold one array of int8, uint8 or int32",
            code=ErrorCode.UNREADABLE_FILE,
            got=f"{dtype} {shape}, {len(data) - stream.tell()} bytes",
        )
    array = np.frombuffer(data, dtype, count, stream.tell())
    array = array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
    return array.astype(dtype.newbyteorder("<"), order="C", copy=False)


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
