# SPDX-License-Identifier: Apache-2.0
"""vcompute: outsource exact int8 inference to any device, and rely on the answer.

The public API. Importing the package imports nothing else; each name is loaded when it is first used.

>>> import vcompute
>>> from vcompute.data import digits_model, digits_samples
>>> model = vcompute.load_model(digits_model())
>>> images, labels = digits_samples()

A worker runs the model and proves what it did:

>>> outputs, proof = vcompute.prove(model, images[:4], suite="replay", context=b"task 1")

A verifier states what it believes and checks the proof:

>>> statement = vcompute.Statement(model, vcompute.make_batch(images[:4]), outputs, b"task 1")
>>> vcompute.verify(statement, proof).suite
'replay'
>>> other = vcompute.Statement(model, vcompute.make_batch(images[:4]), outputs, b"task 2")
>>> vcompute.verify(other, proof)
Traceback (most recent call last):
    ...
vcompute.errors.Rejected: the proof is for another statement: ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vcompute.api import load_model, matmul, pack, run
    from vcompute.errors import (
        EncodingError,
        ImportFailed,
        ProtocolError,
        Rejected,
        TaskError,
        UsageError,
        VcomputeError,
    )
    from vcompute.kernels.native.matmul import PackedMatrix
    from vcompute.proof.api import prove, verify
    from vcompute.proof.matmul import check_matmul
    from vcompute.proof.statement import Statement
    from vcompute.proof.suite import Acceptance, Policy, Security
    from vcompute.registry import ErrorCode
    from vcompute.task import Batch, Model, decode_batch, decode_model, encode_model, make_batch

    __version__: str

_HOMES: Final[dict[str, str]] = {
    "Acceptance": "vcompute.proof.suite",
    "Batch": "vcompute.task",
    "EncodingError": "vcompute.errors",
    "ErrorCode": "vcompute.registry",
    "ImportFailed": "vcompute.errors",
    "Model": "vcompute.task",
    "PackedMatrix": "vcompute.kernels.native.matmul",
    "Policy": "vcompute.proof.suite",
    "ProtocolError": "vcompute.errors",
    "Rejected": "vcompute.errors",
    "Security": "vcompute.proof.suite",
    "Statement": "vcompute.proof.statement",
    "TaskError": "vcompute.errors",
    "UsageError": "vcompute.errors",
    "VcomputeError": "vcompute.errors",
    "check_matmul": "vcompute.proof.matmul",
    "decode_batch": "vcompute.task",
    "decode_model": "vcompute.task",
    "encode_model": "vcompute.task",
    "load_model": "vcompute.api",
    "make_batch": "vcompute.task",
    "matmul": "vcompute.api",
    "pack": "vcompute.api",
    "prove": "vcompute.proof.api",
    "run": "vcompute.api",
    "verify": "vcompute.proof.api",
}
"""The module each public name is defined in."""

__all__ = [
    "Acceptance",
    "Batch",
    "EncodingError",
    "ErrorCode",
    "ImportFailed",
    "Model",
    "PackedMatrix",
    "Policy",
    "ProtocolError",
    "Rejected",
    "Security",
    "Statement",
    "TaskError",
    "UsageError",
    "VcomputeError",
    "__version__",
    "check_matmul",
    "decode_batch",
    "decode_model",
    "encode_model",
    "load_model",
    "make_batch",
    "matmul",
    "pack",
    "prove",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("vcompute")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'vcompute' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
