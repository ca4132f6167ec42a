# SPDX-License-Identifier: Apache-2.0
"""The tree of fractions as the prover of lookups sees it, and its readable twin in numpy.

Leaves are fractions numerator / denominator. Level s + 1 adds level s in pairs, the two values of variable s:
n = n0 * d1 + n1 * d0 and d = d0 * d1. A layer is the sumcheck that takes level s + 1 to level s.
"""

from dataclasses import dataclass
from typing import Protocol

from vcompute.field import Backend, Ext, ExtWords, from_array, to_array
from vcompute.proof.succinct.rounds import NOTHING, ONE_VALUE, NumpyRounds
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript

Pair = tuple[Ext, Ext, Ext, Ext]
"""n0, n1, d0, d1: two fractions."""


class Rounds(Protocol):
    """One layer's sumcheck: sum over x of eq(claimed, x) * (n0 * d1 + n1 * d0 + lambda * (d0 * d1 - 1))(x)."""

    def message(self) -> list[Ext]:
        """The sum with the next variable at 0, and the leading coefficient; the factor eq of that variable left out."""
        ...

    def bind(self, r: Ext) -> None:
        """Bind the next variable."""
        ...

    def run(self, transcript: ProverTranscript) -> list[Ext]:
        """Every round: send its message, draw its challenge, bind; the point. The transcript has just been squeezed."""
        ...

    def ends(self) -> Pair:
        """The two fractions when every variable is bound."""
        ...


class Tree(Protocol):
    """Every level of the tree; a layer's rounds consume it, so layers are asked for from the top down."""

    variables: int

    def top(self) -> Pair:
        """The two fractions whose sum is the root."""
        ...

    def upper_layers(self, transcript: ProverTranscript, r: Ext) -> list[Ext]:
        """Prove as many layers below the top as are best taken at once, all but the lowest at most: the point they lead
        to. ``r`` joins the fractions at the top; the transcript has just been squeezed.
        """
        ...

    def layer(self, s: int, scale: Ext, claimed: list[Ext]) -> Rounds:
        """The rounds that take a claim at the point ``claimed`` of level s + 1 to level s; ``scale`` is lambda."""
        ...


@dataclass(frozen=True, slots=True)
class _Level:
    """A level split by its first variable."""

    n0: ExtWords
    n1: ExtWords
    d0: ExtWords
    d1: ExtWords


class NumpyTree:
    """The readable twin: every box padded to a power of two."""

    def __init__(self, stack: Stack, numerators: ExtWords, denominators: ExtWords, backend: Backend) -> None:
        self.variables = stack.variables
        self._stack, self._backend = stack, backend
        self._levels: list[_Level] = []
        for s in range(stack.variables):
            n0, n1 = stack.halves(numerators, s, NOTHING)
            d0, d1 = stack.halves(denominators, s, ONE_VALUE)
            self._levels.append(_Level(n0, n1, d0, d1))
            numerators, denominators = backend.add_fractions(n0, d0, n1, d1)

    def top(self) -> Pair:
        """See :class:`Tree`."""
        level = self._levels.pop()
        n0, n1, d0, d1 = (from_array(table)[0] for table in (level.n0, level.n1, level.d0, level.d1))
        return n0, n1, d0, d1

    def upper_layers(self, transcript: ProverTranscript, r: Ext) -> list[Ext]:
        """See :class:`Tree`: none."""
        return [r]

    def layer(self, s: int, scale: Ext, claimed: list[Ext]) -> Rounds:
        """See :class:`Tree`."""
        return _Layer(self._stack, s + 1, self._levels.pop(), scale, claimed, self._backend)


class _Layer:
    """n0 d1 + n1 d0 + lambda d0 d1 = (n0 + lambda d0) d1 + n1 d0: two products instead of three."""

    def __init__(self, stack: Stack, s: int, level: _Level, scale: Ext, claimed: list[Ext], backend: Backend) -> None:
        joined = backend.add(level.n0, backend.ext_mul(level.d0, to_array([scale])))
        self._scale, self._variables = scale, len(claimed)
        self._rounds = NumpyRounds(stack, s, [joined, level.d1, level.n1, level.d0], scale, claimed, backend)

    def message(self) -> list[Ext]:
        """See :class:`Rounds`."""
        return self._rounds.message()

    def bind(self, r: Ext) -> None:
        """See :class:`Rounds`."""
        self._rounds.bind(r)

    def run(self, transcript: ProverTranscript) -> list[Ext]:
        """See :class:`Rounds`."""
        point = []
        for _ in range(self._variables):
            transcript.send_ext("fraction sumcheck", self.message())
            point.append(transcript.challenge("fraction sumcheck"))
            self.bind(point[-1])
        return point

    def ends(self) -> Pair:
        """See :class:`Rounds`."""
        joined, d1, n1, d0 = self._rounds.ends()
        return joined - self._scale * d0, n1, d0, d1
