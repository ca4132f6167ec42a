# SPDX-License-Identifier: Apache-2.0
"""The verifier of openings, as numbered steps. See :mod:`vcompute.commitment.prove` for why they convince.

1. Derive the schedule; refuse what cannot reach the level of the set.
2. Batch the claims in powers of one challenge.
3. In each round: its folds, a sumcheck; receive the next root (last round: the final polynomial); check the work;
   draw positions; receive rows and siblings and check the paths; the fold of a row is a new claim about the next
   table, and joins the running claim with a power of a new challenge (last round: check it against the polynomial).
4. Finish the sumcheck on the final polynomial; at its end point evaluate every weight and compare.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vcompute.commitment import merkle
from vcompute.commitment.parameters import CommitmentParameters, OracleRound, Schedule, TableShape, schedule
from vcompute.commitment.weights import Claim, split_point
from vcompute.errors import Rejected
from vcompute.field.backend import DIGEST_BYTES, Backend
from vcompute.field.extension import ExtWords, lift
from vcompute.field.goldilocks import Words, total
from vcompute.field.scalar import ONE, ZERO, Ext, to_array
from vcompute.registry import ErrorCode
from vcompute.transcript import VerifierTranscript


@dataclass(frozen=True, slots=True)
class Root:
    """A commitment as the verifier has it."""

    shape: TableShape
    digest: bytes
    extension: bool = False


def receive_root(transcript: VerifierTranscript, shape: TableShape) -> Root:
    """Receive a commitment to a table whose shape the verifier derived."""
    return Root(shape, transcript.receive_digests("root", 1).tobytes())


def check_claims(
    transcript: VerifierTranscript,
    tables: Sequence[Root],
    claims: Sequence[Claim],
    parameters: CommitmentParameters,
    backend: Backend,
    reduce: "Reducer | None" = None,
) -> None:
    """Check claims about committed tables whose roots the transcript has already absorbed.

    ``reduce`` chooses between the twins of steps 3 and 4; by default the backend does.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    # 1.
    plan = schedule(parameters, [table.shape for table in tables], len(claims))
    # 2.
    plan.absorb_into(transcript)
    transcript.absorb_ext("claimed values", [claim.value for claim in claims])
    transcript.check_grind("batch work", plan.batch_grinding)
    gamma = transcript.challenge("batch")
    running, scale = ZERO, ONE
    for claim in claims:
        running = running + scale * claim.value
        scale = scale * gamma
    transcript.note("claimed values", [claim.value for claim in claims])
    transcript.note("batched claim", [running])
    # 3. and 4.
    end = (reduce or _twin(backend))(transcript, tables, running, plan, backend)
    weights = end.query_weights + _claim_weights(plan, claims, gamma, end.point)
    transcript.note("opening point", end.point)
    transcript.note(
        "opening: value, running claim, query weights, weights", [end.value, end.running, end.query_weights, weights]
    )
    transcript.require_equal(
        end.running, end.value * weights, ErrorCode.FINAL_POLYNOMIAL, "the claims do not hold for the final polynomial"
    )


@dataclass(frozen=True, slots=True)
class End:
    """Where an opening ends: running = value * (query_weights + the claims' own weights), at a point."""

    value: Ext
    """The final table at the last coordinates of the point."""
    running: Ext
    query_weights: Ext
    """The weights of all rounds' queries, batched."""
    point: list[Ext]
    """Every challenge of the sumcheck, in the order drawn."""


Reducer: TypeAlias = Callable[[VerifierTranscript, Sequence[Root], Ext, Schedule, Backend], End]
"""Steps 3 and 4 but for the claims' weights: :func:`reduce_opening`, or its native twin."""


def _twin(backend: Backend) -> Reducer:
    from vcompute.commitment.native import reduce_opening as native

    return native if backend.name == "native" else reduce_opening


def reduce_opening(
    transcript: VerifierTranscript, tables: Sequence[Root], running: Ext, plan: Schedule, backend: Backend
) -> End:
    """Check everything of an opening but the claims' weights.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    # 3.
    roots, rounds = list(tables), []
    final: ExtWords = np.empty((0, 2), dtype=np.uint64)
    for step in plan.rounds:
        running, alphas = _folds(transcript, running, step.fold, step.fold_grinding)
        following = []
        if step.next_shape is None:
            final = transcript.receive_ext_array("final polynomial", 1 << step.next_variables)
        else:
            digest = transcript.receive_digests("root", 1).tobytes()
            following = [Root(step.next_shape, digest, extension=True)]
        transcript.check_grind("query work", step.query_grinding)
        answers = [
            _receive_rows(transcript, root, layout, alphas, backend)
            for root, layout in zip(roots, step.oracles, strict=True)
        ]
        if following:
            combination = transcript.challenge("combination")
            running = running + _combined(answers, combination, backend)
        else:
            combination = ZERO
            _check_final(answers, step.oracles, final, backend)
        rounds.append(_RoundSeen(alphas, combination, answers))
        roots = following
    # 4.
    running, tail = _folds(transcript, running, plan.rounds[-1].next_variables, 0)
    transcript.ratchet("end of opening")
    value = backend.dot_ext(backend.eq_tensor(tail), final)
    point = [alpha for seen in rounds for alpha in seen.alphas] + tail
    weights, bound = ZERO, 0
    for step, seen in zip(plan.rounds[:-1], rounds[:-1], strict=True):
        bound += step.fold
        weights = weights + _query_weights_at(step.oracles, seen, point[bound:], backend)
    return End(value, running, weights, point)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the opened leaves of one table say of its fold: its polynomial at ``points`` is ``values``."""

    points: Words
    values: ExtWords


@dataclass(frozen=True, slots=True)
class _RoundSeen:
    alphas: list[Ext]
    combination: Ext
    answers: list[_Answers]


def _folds(transcript: VerifierTranscript, running: Ext, count: int, grinding: int) -> tuple[Ext, list[Ext]]:
    """Rounds of sumcheck: h(0) and the leading coefficient are sent, h(1) = running - h(0) follows."""
    alphas = []
    for _ in range(count):
        at_zero, leading = transcript.receive_ext("sumcheck", 2)
        transcript.check_grind("fold work", grinding)
        alpha = transcript.challenge("fold")
        slope = running - at_zero - at_zero - leading
        running = at_zero + alpha * (slope + alpha * leading)
        transcript.note("running claim", [running])
        alphas.append(alpha)
    return running, alphas


def _receive_rows(
    transcript: VerifierTranscript, root: Root, layout: OracleRound, alphas: Sequence[Ext], backend: Backend
) -> _Answers:
    """Draw positions, receive their rows, check them against the root, and fold them."""
    drawn = transcript.challenge_positions("positions", layout.queries, layout.log_domain)
    positions = sorted(set(drawn))
    lanes = layout.shape.lanes
    width = 2 * lanes if root.extension else lanes
    rows = transcript.receive_base("rows", len(positions) * width).reshape(len(positions), width)
    missing = sum(len(level) for level in merkle.missing_siblings(positions, layout.log_domain))
    siblings = transcript.receive_digests("siblings", missing).reshape(-1, DIGEST_BYTES)
    merkle.check_opening(root.digest, layout.log_domain, positions, rows, siblings, backend)
    elements = rows.reshape(len(positions), lanes, 2) if root.extension else lift(rows)
    lane_weights = backend.eq_tensor(alphas)[:lanes]
    values = total(backend.ext_mul(elements, lane_weights[np.newaxis]), axis=1)
    return _Answers(backend.domain_points(layout.log_domain, positions), values)


def _powers(challenge: Ext, answers: Sequence[_Answers]) -> list[ExtWords]:
    """The powers 1, 2, ... of a challenge, as many as there are answers, cut as they are."""
    powers, power = [], ONE
    for _ in range(sum(len(answer.points) for answer in answers)):
        power = power * challenge
        powers.append(power)
    cuts = np.cumsum([len(answer.points) for answer in answers])[:-1]
    return np.split(to_array(powers), cuts)


def _combined(answers: Sequence[_Answers], combination: Ext, backend: Backend) -> Ext:
    """The sum of the new claims, in powers of the challenge."""
    scales = _powers(combination, answers)
    return sum((backend.dot_ext(a.values, s) for a, s in zip(answers, scales, strict=True)), ZERO)


def _check_final(
    answers: Sequence[_Answers], layouts: Sequence[OracleRound], final: ExtWords, backend: Backend
) -> None:
    """The final polynomial's blocks must take the folded values at the queried points.

    Raises:
        Rejected: query_consistency.
    """
    for answer, layout in zip(answers, layouts, strict=True):
        block = final[layout.offset : layout.offset + (1 << layout.folded_variables)]
        result = backend.evaluate_at(block, answer.points)
        if not np.array_equal(result, answer.values):
            raise Rejected("an opened leaf disagrees with the final polynomial", code=ErrorCode.QUERY_CONSISTENCY)


def _claim_weights(plan: Schedule, claims: Sequence[Claim], gamma: Ext, point: Sequence[Ext]) -> Ext:
    """The claims' weights, batched as their values were; each table at the first folds' challenges and the coordinates
    of its block in the second table.
    """
    places, fold = [], plan.rounds[0].fold
    for layout in plan.rounds[0].oracles:
        prefix, rest = split_point(point[fold:], layout.folded_variables, layout.offset)
        places.append((prefix, [*point[:fold], *rest]))
    result, scale = ZERO, ONE
    for claim in claims:
        for part in claim.parts:
            prefix, at = places[part.table]
            result = result + scale * prefix * part.weight.evaluate(at)
        scale = scale * gamma
    return result


def _query_weights_at(layouts: Sequence[OracleRound], seen: _RoundSeen, point: Sequence[Ext], backend: Backend) -> Ext:
    """The weights y^b of all queried points y of a round, batched, at a point."""
    result = ZERO
    scales = _powers(seen.combination, seen.answers)
    for layout, answer, scale in zip(layouts, seen.answers, scales, strict=True):
        prefix, rest = split_point(point, layout.folded_variables, layout.offset)
        result = result + prefix * backend.dot_ext(backend.powers_extension(rest, answer.points), scale)
    return result
