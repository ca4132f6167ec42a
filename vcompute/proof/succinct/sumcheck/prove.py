# SPDX-License-Identifier: Apache-2.0
"""The prover of a sum of products: claim = sum over the cube of A * B, two stacked tables that are 0 off the boxes.

Each round binds the next variable. With h(X) the sum with that variable at X, of degree 2, the prover sends h(0) and
the leading coefficient; h(1) = claim - h(0) follows.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.field import Backend, Ext, ExtWords, Words, from_array, to_array
from vcompute.field.native import NativeBackend
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript

ZERO_VALUE = np.zeros(2, np.uint64)
MESSAGE: Final = "product sumcheck"


def prove(
    transcript: ProverTranscript, stack: Stack, left: ExtWords, right: ExtWords, backend: Backend
) -> tuple[list[Ext], Ext, Ext]:
    """Prove the sum of ``left * right`` (level 0 tables); the point, and A and B there, which are not sent here."""
    rounds = (NativeRounds if isinstance(backend, NativeBackend) else Rounds)(stack, left, right, backend)
    point = rounds.run(transcript)
    return point, from_array(rounds.left)[0], from_array(rounds.right)[0]


class Rounds:
    """The rounds over two tables."""

    def __init__(self, stack: Stack, left: ExtWords, right: ExtWords, backend: Backend) -> None:
        self.stack, self.left, self.right, self.backend = stack, left, right, backend

    def run(self, transcript: ProverTranscript) -> list[Ext]:
        """Every round: send its message, draw its challenge, bind; the point."""
        return [self.round(transcript, s) for s in range(self.stack.variables)]

    def round(self, transcript: ProverTranscript, s: int) -> Ext:
        """The round of variable s."""
        transcript.send_ext(MESSAGE, self.message(s))
        r = transcript.challenge(MESSAGE)
        self.bind(s, r)
        return r

    def message(self, s: int) -> Sequence[Ext]:
        """h(0) and the coefficient of X^2 of variable s."""
        (low_a, high_a), (low_b, high_b) = (
            self.stack.halves(table, s, ZERO_VALUE) for table in (self.left, self.right)
        )
        return self.backend.round_halves((low_a, low_b), (high_a, high_b))

    def bind(self, s: int, r: Ext) -> None:
        """Fix variable s."""
        self.left, self.right = (
            self.backend.fold_halves(*self.stack.halves(table, s, ZERO_VALUE), r) for table in (self.left, self.right)
        )


class NativeRounds(Rounds):
    """As :class:`Rounds`: a first round that leaves the given tables as they are, then all others in one call."""

    backend: NativeBackend

    def run(self, transcript: ProverTranscript) -> list[Ext]:
        first = self.round(transcript, 0)
        levels = [(self._groups(s), self.stack.levels[s].tail) for s in range(1, self.stack.variables)]
        messages, others, seed = self.backend.product_rounds(
            transcript.hand_over(), self.left, self.right, levels, (MESSAGE, MESSAGE)
        )
        transcript.take_back(seed, messages)
        self.left, self.right = self.left[:1], self.right[:1]
        return [first, *from_array(others)]

    def message(self, s: int) -> Sequence[Ext]:
        sums, groups = np.empty((2, 2), np.uint64), self._groups(s)
        _native.lib.vc_stack_round(
            _words(sums), _words(self.left), _words(self.right), _words(groups), len(groups), self.stack.levels[s].tail
        )
        return from_array(sums)

    def bind(self, s: int, r: Ext) -> None:
        self.left, self.right = (self._folded(table, s, r) for table in (self.left, self.right))

    def _folded(self, table: ExtWords, s: int, r: Ext) -> ExtWords:
        out, groups = np.empty((self.stack.levels[s + 1].size, 2), np.uint64), self._groups(s)
        _native.lib.vc_stack_fold(
            _words(out), _words(table), _words(groups), len(groups), self.stack.levels[s].tail, _words(to_array([r]))
        )
        return out

    def _groups(self, s: int) -> Words:
        return np.array(self.stack.levels[s].groups, np.uint64).reshape(-1, 2)


def _words(array: Words) -> Any:
    return _native.ffi.from_buffer("uint64_t[]", np.ascontiguousarray(array))


def prove_triple(
    transcript: ProverTranscript, stack: Stack, tables: Sequence[ExtWords], backend: Backend
) -> tuple[list[Ext], list[Ext]]:
    """Prove the sum of ``a * b * c`` (level 0 tables); the point, and the three values there, which are not sent here.

    With h(X) = h0 + h1 X + h2 X^2 + h3 X^3 the sum with the next variable at X, h0, h2 and h3 are sent; h1 follows.
    """
    point = []
    for s in range(stack.variables):
        halves = [stack.halves(table, s, ZERO_VALUE) for table in tables]
        (a, b, c), (da, db, dc) = [low for low, _ in halves], [backend.sub(high, low) for low, high in halves]
        crossed = backend.add(backend.ext_mul(a, db), backend.ext_mul(da, b))
        steps = backend.ext_mul(da, db)
        message = [
            backend.dot_ext(backend.ext_mul(a, b), c),
            backend.dot_ext(crossed, dc) + backend.dot_ext(steps, c),
            backend.dot_ext(steps, dc),
        ]
        transcript.send_ext("bilinear sumcheck", message)
        point.append(transcript.challenge("bilinear sumcheck"))
        at = to_array([point[-1]])
        tables = [
            backend.add(low, backend.ext_mul(step, at)) for low, step in zip((a, b, c), (da, db, dc), strict=True)
        ]
    return point, [from_array(table)[0] for table in tables]
