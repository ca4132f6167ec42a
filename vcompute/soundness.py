# SPDX-License-Identifier: Apache-2.0
"""Bits of security, term by term.

Every challenge of a proof has an *error*: the chance that it turns a false claim into one that passes. Errors are exact
fractions; nothing here is rounded until a number is printed. Round by round, as round-by-round soundness (and the
public ``soundcalc``) counts: ``security_bits`` is the worst round after its grinding, ``union_bits`` what the sum over
all rounds leaves. Formulas are claimed only where they are proved: in the unique-decoding regime, proximity
delta = (1 - rate) / 2, where lists hold one codeword.

Sources: [WHIR] Arnon, Chiesa, Fenzi, Yogev, eprint 2024/1586 (Theorem 5.2; Lemma 4.4 for interleaved codes);
[BCHKS25] Ben-Sasson, Carmon, Haböck, Kopparty, Saraf, eprint 2025/2055 (Theorem 1.3 and Corollary 1.4);
[Haböck22] eprint 2022/1530 (logUp); [PH23] Papini, Haböck, eprint 2023/1284 (logUp-GKR).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

from vcompute.errors import Rejected
from vcompute.field.backend import DIGEST_BYTES
from vcompute.field.goldilocks import P
from vcompute.registry import ErrorCode

FIELD_SIZE: Final = P * P
"""|F|: challenges are uniform in the quadratic extension."""

COLLISION_BITS: Final = DIGEST_BYTES * 8 // 2
"""Work to find two preimages of one truncated digest (birthday bound)."""

CONSTRAINT_DEGREE: Final = 3
"""d = 1 + deg_Z(w) + max deg_X(w) of the constraint Z * w(X), [WHIR, Construction 5.1]."""


@dataclass(frozen=True, slots=True)
class Term:
    """The error of one challenge and the work a prover must do for each try at it."""

    name: str
    error: Fraction
    grinding: int = 0
    count: int = 1
    """Challenges of this kind: they count in the union."""

    @property
    def bits(self) -> float:
        """-log2(error) + grinding."""
        return _bits(self.error) + self.grinding


@dataclass(frozen=True)
class Report:
    """The security of one instance under one parameter set."""

    terms: tuple[Term, ...]

    @cached_property
    def security_bits(self) -> float:
        """The worst term, round by round, and never more than the digests' collision resistance."""
        return min([float(COLLISION_BITS), *(term.bits for term in self.terms)])

    @cached_property
    def union_bits(self) -> float:
        """-log2 of the sum of all errors, each after its grinding."""
        total = Fraction(1, 2**COLLISION_BITS)
        for term in self.terms:
            total += term.count * term.error / 2**term.grinding
        return _bits(total)

    def require(self, bits: int) -> None:
        """Refuse an instance below a level.

        Raises:
            Rejected: security_unreachable, naming the worst term.
        """
        for term in self.terms:
            if term.error * 2**bits > 2**term.grinding:
                raise Rejected(
                    f"'{term.name}' has too few bits: make the instance smaller or split the batch",
                    code=ErrorCode.SECURITY_UNREACHABLE, expected=f"{bits} bits", got=f"{term.bits:.2f} bits",
                )  # fmt: skip
        if bits > COLLISION_BITS:
            raise Rejected(
                "digests are too short", code=ErrorCode.SECURITY_UNREACHABLE, expected=bits, got=COLLISION_BITS
            )


def _bits(error: Fraction) -> float:
    """-log2, exact enough for fractions whose parts overflow floats."""
    if error == 0:
        return math.inf
    return math.log2(error.denominator) - math.log2(error.numerator)


def grinding_for(error: Fraction, bits: int, most: int) -> int:
    """The least grinding that lifts an error to ``bits``, at most ``most`` (then :meth:`Report.require` refuses)."""
    grinding = 0
    while grinding < most and error * 2**bits > 2**grinding:
        grinding += 1
    return grinding


def proximity(rate_bits: int) -> Fraction:
    """delta = (1 - rate) / 2, rate = 2^-rate_bits: the unique-decoding radius."""
    return (1 - Fraction(1, 2**rate_bits)) / 2


def agreement_error(log_domain: int, rate_bits: int) -> Fraction:
    """(delta * n + 1) / |F|: mutual correlated agreement on a line of words of length n = 2^log_domain.

    [BCHKS25, Theorem 1.3, Corollary 1.4]. It bounds the *number* of bad coefficients by delta * n + 1, whatever the
    field of the code; an interleaved code over F is a Reed-Solomon code over an extension of F with points in F, so
    coefficients drawn from F meet the same number of bad ones, over |F|. That is why a fold by 16 of an interleaved
    word costs by its number of *leaves*, not of values.
    """
    return Fraction(proximity(rate_bits) * (1 << log_domain) + 1, FIELD_SIZE)


def fold_error(oracles: Iterable[tuple[int, int]]) -> Fraction:
    """One fold step: d / |F| + the agreement error of every word folded; (log_domain, rate_bits) of each.

    [WHIR, Theorem 5.2, epsilon_fold].
    """
    return Fraction(CONSTRAINT_DEGREE, FIELD_SIZE) + sum(
        (agreement_error(log_domain, rate_bits) for log_domain, rate_bits in oracles), Fraction(0)
    )


def query_error(rate_bits: int, queries: int) -> Fraction:
    """(1 - delta)^t: every query misses a word that is delta-far. [WHIR, Theorem 5.2, first part of epsilon_shift]."""
    numerator: int = (2**rate_bits + 1) ** queries
    return Fraction(numerator, 2 ** ((rate_bits + 1) * queries))


def queries_for(rate_bits: int, bits: int) -> int:
    """The least t with (1 - delta)^t <= 2^-bits, in integers."""
    numerator, log_denominator = 2**rate_bits + 1, rate_bits + 1
    queries = 1
    while numerator**queries << bits > 1 << log_denominator * queries:
        queries += 1
    return queries


def combination_error(claims: int) -> Fraction:
    """claims / |F|: so many claims, and one running claim, in powers of one challenge.

    [WHIR, Theorem 5.2, second part of epsilon_shift, with t + 1 claims in all].
    """
    return Fraction(claims, FIELD_SIZE)


def sumcheck_error(degree: int) -> Fraction:
    """degree / |F|: one round of a sumcheck (Schwartz-Zippel)."""
    return Fraction(degree, FIELD_SIZE)


def lookup_error(leaves: int, key_width: int) -> Fraction:
    """leaves * max(log2(key_width), 1) / |F|: the sum of fractions of all leaves (lookups and table rows, padding
    included), keys of ``key_width`` words in multilinear fingerprints. [Haböck22], as ``soundcalc`` counts it.
    """
    return Fraction(leaves * max((key_width - 1).bit_length(), 1), FIELD_SIZE)


def gkr_error(log_leaves: int) -> Fraction:
    """log * (3 * log + 1) / 2 / |F|: all rounds of the tree of fractions together. [PH23], as ``soundcalc`` counts."""
    return Fraction(log_leaves * (3 * log_leaves + 1), 2 * FIELD_SIZE)
