# SPDX-License-Identifier: Apache-2.0
"""Parameter sets of the commitment, and the schedule they give an instance: every size both sides rely on.

Nothing is negotiated inside a proof: from a parameter set and the shapes of the committed tables follow the rounds,
their domains, query counts, grinding and so the length of every message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache
from typing import Final

from vcompute import soundness
from vcompute.errors import Rejected
from vcompute.field.goldilocks import TWO_ADICITY
from vcompute.registry import ErrorCode
from vcompute.soundness import Term
from vcompute.transcript import Transcript

FOLD: Final = 4
"""Variables bound in a round at the least: a leaf of a folded table holds 2^FOLD values."""

MOST_FOLD: Final = 6
"""Variables bound in the first round at the most."""

MAX_VARIABLES: Final = 32
"""Tables have at most 2^32 values."""

MAX_ORACLES: Final = 8


@dataclass(frozen=True, slots=True)
class CommitmentParameters:
    """What a parameter set fixes."""

    name: str
    security_bits: int
    """The level every challenge must reach, after grinding; 0 for an insecure test set."""
    rate_bits: int
    """A committed table has rate 2^-rate_bits."""
    rate_step: int
    """Each round lowers the rate by this many bits: the domain shrinks by 2^(FOLD - rate_step)."""
    max_rate_bits: int
    """The rate falls no further."""
    query_bits: int
    """Bits that the queries of a round give by themselves."""
    query_grinding: int
    """Bits of work before the queries of a round."""
    max_challenge_grinding: int
    """Most bits of work before any other challenge."""
    final_variables: int
    """A polynomial of at most so many variables is sent in clear; at least FOLD."""
    lane_variables: int
    """A table that a proof commits to is cut into more than 2^FOLD lanes (up to 2^MOST_FOLD) where those would have
    more than 2^lane_variables values.
    """

    def shape(self, length: int) -> "TableShape":
        """The shape of a table of ``length`` values that a proof commits to. A table made once, which many proofs
        open, has 16 lanes: :meth:`TableShape.of_length`.
        """
        variables = (length - 1).bit_length()
        return TableShape.of_length(length, min(max(variables - self.lane_variables, FOLD), MOST_FOLD))


STANDARD: Final = CommitmentParameters(
    name="standard",
    security_bits=100,
    rate_bits=1,
    rate_step=1,
    max_rate_bits=8,
    query_bits=85,
    query_grinding=15,
    max_challenge_grinding=8,
    final_variables=10,
    lane_variables=15,
)
"""At least 100 bits round by round, unique decoding, proved."""

TINY: Final = CommitmentParameters(
    name="tiny",
    security_bits=0,
    rate_bits=2,
    rate_step=1,
    max_rate_bits=8,
    query_bits=2,
    query_grinding=3,
    max_challenge_grinding=0,
    final_variables=5,
    lane_variables=6,
)
"""For tests: full-size challenges, few queries, domains large enough that a changed nonce moves the queries."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """A committed table: lanes of 2^lane_variables values each. What a round binds beyond them are zeros."""

    lane_variables: int
    lanes: int

    def __post_init__(self) -> None:
        variables = self.lane_variables + max(self.fold, FOLD)
        if self.lane_variables < 0 or variables > MAX_VARIABLES or not 1 <= self.lanes <= 1 << MOST_FOLD:
            raise Rejected(
                "a committed table of a size that no commitment has", code=ErrorCode.OPENING_SHAPE,
                expected=f"1 to {1 << MOST_FOLD} lanes, at most 2^{MAX_VARIABLES} values",
                got=f"{self.lanes} lanes of 2^{self.lane_variables} values",
            )  # fmt: skip

    @classmethod
    def of_length(cls, length: int, fold: int = FOLD) -> "TableShape":
        """The shape that holds ``length`` values in at most 2^fold lanes, the shortest that there are."""
        lane_variables = max((length - 1).bit_length() - fold, 0)
        return cls(lane_variables, max(1, -(-length >> lane_variables)))

    @property
    def fold(self) -> int:
        """Variables that tell its lanes apart."""
        return (self.lanes - 1).bit_length()

    @property
    def lane_length(self) -> int:
        """Values in a lane."""
        return 1 << self.lane_variables

    @property
    def stored(self) -> int:
        """Values that are encoded, hashed and sent."""
        return self.lanes * self.lane_length


@dataclass(frozen=True, slots=True)
class OracleRound:
    """How one committed table is queried."""

    shape: TableShape
    rate_bits: int
    queries: int
    offset: int
    """Where the folded table lies in the next round's."""

    @property
    def log_domain(self) -> int:
        """log2 of the number of leaves."""
        return self.shape.lane_variables + self.rate_bits

    @property
    def folded_variables(self) -> int:
        """Variables left after this round's folds."""
        return self.shape.lane_variables


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the tables folded together, and the work before each fold challenge and before the queries."""

    fold: int
    """Variables bound: those of the most lanes of any table, at least FOLD; fewer lanes are zero beyond them."""
    oracles: tuple[OracleRound, ...]
    next_shape: TableShape | None
    """The table committed next; ``None`` in the last round, whose result is sent in clear."""
    next_variables: int
    fold_grinding: int
    query_grinding: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """All rounds of an opening, and the soundness of each of its challenges."""

    parameters: CommitmentParameters
    claims: int
    batch_grinding: int
    rounds: tuple[Round, ...]

    @property
    def variables(self) -> int:
        """Challenges of the whole sumcheck."""
        return sum(step.fold for step in self.rounds) + self.rounds[-1].next_variables

    def absorb_into(self, transcript: Transcript) -> None:
        """Absorb everything the schedule follows from: the whole parameter set and the shapes of the tables."""
        name, *numbers = (getattr(self.parameters, each.name) for each in fields(self.parameters))
        transcript.absorb_bytes("parameter set", name.encode())
        for number in (FOLD, MOST_FOLD, *numbers, len(self.rounds[0].oracles)):
            transcript.absorb_int("parameter", number)
        for oracle in self.rounds[0].oracles:
            transcript.absorb_int("lane variables", oracle.shape.lane_variables)
            transcript.absorb_int("lanes", oracle.shape.lanes)

    def terms(self) -> tuple[Term, ...]:
        """The error of every challenge of the opening (see :mod:`vcompute.soundness`)."""
        terms = [Term("batching of claims", soundness.combination_error(self.claims), self.batch_grinding)]
        for index, step in enumerate(self.rounds):
            words = [(oracle.log_domain, oracle.rate_bits) for oracle in step.oracles]
            terms.append(Term(f"round {index}: each fold", soundness.fold_error(words), step.fold_grinding, step.fold))
            # A false claim survives on one table: the worst one counts. The running claim joins the new ones.
            queries = max(soundness.query_error(oracle.rate_bits, oracle.queries) for oracle in step.oracles)
            new_claims = sum(oracle.queries for oracle in step.oracles)
            error = queries + (soundness.combination_error(new_claims) if step.next_shape else 0)
            terms.append(Term(f"round {index}: queries", error, step.query_grinding))
        last = self.rounds[-1].next_variables
        terms.append(Term("final sumcheck, each round", soundness.sumcheck_error(2), count=last))
        return tuple(terms)


def schedule(parameters: CommitmentParameters, shapes: Sequence[TableShape], claims: int) -> Schedule:
    """The schedule of an opening of ``claims`` claims about tables of these shapes.

    Raises:
        Rejected: opening_shape for no tables or too many, no claims, or a domain beyond the field's;
            security_unreachable where a challenge cannot reach the set's level.
    """
    return _schedule(parameters, tuple(shapes), claims)


@lru_cache(maxsize=64)
def _schedule(parameters: CommitmentParameters, shapes: tuple[TableShape, ...], claims: int) -> Schedule:
    """See :func:`schedule`; kept: its bounds are sums of fractions, the same for every proof of an instance."""
    if not 1 <= len(shapes) <= MAX_ORACLES or claims < 1:
        raise Rejected(
            "an opening needs claims about committed tables", code=ErrorCode.OPENING_SHAPE,
            expected=f"1 to {MAX_ORACLES} tables, at least 1 claim", got=f"{len(shapes)} tables, {claims} claims",
        )  # fmt: skip
    rounds = []
    current, rate_bits = shapes, parameters.rate_bits
    while True:
        step = _round(parameters, current, rate_bits)
        rounds.append(step)
        if step.next_shape is None:
            break
        current, rate_bits = (step.next_shape,), min(rate_bits + parameters.rate_step, parameters.max_rate_bits)
    batching = soundness.combination_error(claims)
    result = Schedule(parameters, claims, _grinding(parameters, batching), tuple(rounds))
    soundness.Report(result.terms()).require(parameters.security_bits)
    return result


def _round(parameters: CommitmentParameters, shapes: tuple[TableShape, ...], rate_bits: int) -> Round:
    largest = max(shape.lane_variables for shape in shapes)
    if largest + rate_bits > TWO_ADICITY:
        raise Rejected(
            "a committed table's lanes are longer than any domain of the field", code=ErrorCode.OPENING_SHAPE,
            expected=f"at most 2^{TWO_ADICITY - rate_bits} values", got=f"2^{largest}",
        )  # fmt: skip
    queries = soundness.queries_for(rate_bits, parameters.query_bits)
    offsets, total = _stack([shape.lane_length for shape in shapes])
    oracles = tuple(OracleRound(*row) for row in zip(
        shapes, [rate_bits] * len(shapes), [queries] * len(shapes), offsets, strict=True
    ))  # fmt: skip
    error = soundness.fold_error((oracle.log_domain, oracle.rate_bits) for oracle in oracles)
    next_variables = (total - 1).bit_length()
    return Round(
        fold=max(FOLD, *(shape.fold for shape in shapes)),
        oracles=oracles,
        next_shape=TableShape.of_length(total) if next_variables > parameters.final_variables else None,
        next_variables=next_variables,
        fold_grinding=_grinding(parameters, error),
        query_grinding=parameters.query_grinding,
    )


def _stack(sizes: list[int]) -> tuple[list[int], int]:
    """Offsets of power-of-two blocks, larger first so that each is aligned, and the total."""
    offsets, total = [0] * len(sizes), 0
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        offsets[index] = total
        total += sizes[index]
    return offsets, total


def _grinding(parameters: CommitmentParameters, error: Fraction) -> int:
    return soundness.grinding_for(error, parameters.security_bits, parameters.max_challenge_grinding)
