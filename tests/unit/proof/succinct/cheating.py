# SPDX-License-Identifier: Apache-2.0
"""A prover that lies, and verifiers with a check taken out.

:func:`cheat` runs the real prover, in plain numpy, with some of its functions replaced. :func:`without` is a verifier's
function in which every statement that refuses with one code does nothing: a negative test must fail against it.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from vcompute.errors import Rejected
from vcompute.field import Backend, implementations
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct import verify as verifier
from vcompute.proof.succinct.commitment import Commitment
from vcompute.proof.succinct.setting import WITH_WEIGHTS, Prepared, prepare
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Batch, Model

TINY = int(ParameterSetId.TINY)
PORTABLE: Backend = next(backend for backend in implementations() if backend.name != "native")

Replaced = Mapping[tuple[Any, str], object]
"""(module or class, attribute) to what stands there instead."""


@contextmanager
def replaced(changes: Replaced) -> Iterator[None]:
    """With other functions in place."""
    with pytest.MonkeyPatch.context() as patch:
        for (owner, name), value in changes.items():
            patch.setattr(owner, name, value)
        yield


@dataclass(frozen=True)
class Forgery:
    """A proof and what a verifier holds when it gets it."""

    statement: Statement
    body: bytes
    holder: Prepared | Commitment

    def verify(self, parameter_set: int = TINY) -> None:
        """The readable verifier's verdict."""
        verifier.verify(self.holder, self.statement, self.body, parameter_set, PORTABLE)


def cheat(
    model: Model,
    inputs: Batch,
    changes: Replaced,
    *,
    mode: int = WITH_WEIGHTS,
    claimed: Model | None = None,
    prepared: Prepared | None = None,
    context: bytes = b"",
) -> Forgery:
    """The proof of a prover with replaced functions, to a verifier that holds ``claimed`` (or the model)."""
    with replaced(changes):
        outputs, body = prover.prove(prepared or prepare(model), inputs, context, TINY, mode, PORTABLE)
    held = claimed or model
    return Forgery(Statement(held, inputs, outputs, context), body, prepare(held))


class _Silence(ast.NodeTransformer):
    """Statements that refuse with one code become ``pass``."""

    def __init__(self, code: ErrorCode) -> None:
        self.name, self.found = code.name, 0

    def _refuses(self, node: ast.AST) -> bool:
        return any(
            isinstance(part, ast.Attribute) and part.attr == self.name and getattr(part.value, "id", "") == "ErrorCode"
            for part in ast.walk(node)
        )

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return self._silenced(node)

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return self._silenced(node)

    def _silenced(self, node: ast.stmt) -> ast.stmt:
        if not self._refuses(node):
            return node
        self.found += 1
        return ast.copy_location(ast.Pass(), node)


def without(function: Callable[..., Any], code: ErrorCode) -> Callable[..., Any]:
    """The function, its refusals with this code taken out."""
    silence = _Silence(code)
    tree = silence.visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
    assert silence.found, f"{function.__qualname__} has no check that gives {code.name}"
    names: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(tree), inspect.getfile(function), "exec"), function.__globals__, names)
    result: Callable[..., Any] = names[function.__name__]
    return result


def verdict(attempt: Callable[[], object]) -> ErrorCode | None:
    """The code an attempt is refused with; None where it convinces."""
    try:
        attempt()
    except Rejected as error:
        return error.code
    return None
