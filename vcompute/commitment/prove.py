# SPDX-License-Identifier: Apache-2.0
"""The committer and the prover of openings; :mod:`vcompute.commitment.verify` reads beside it, step by step.

A table f is cut into lanes, told apart by its first variables, each encoded by itself: lane j's values are the
coefficients of a polynomial P_j, and leaf y of the tree holds P_0(y), P_1(y), .... Binding the first variables of f
to alpha gives the table whose polynomial is the sum of eq(alpha, j) * P_j: an opened leaf gives
one of its values, and "the table's polynomial at y is v" is itself a weighted sum, of weights y^b. So queries to one
table become claims about the next (WHIR, eprint 2024/1586, Construction 5.1, on interleaved codes).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vcompute.commitment import merkle
from vcompute.commitment.lanes import Lanes, Scaled, make_lanes
from vcompute.commitment.merkle import Tree
from vcompute.commitment.parameters import (
    CommitmentParameters,
    OracleRound,
    Round,
    Schedule,
    TableShape,
    schedule,
)
from vcompute.commitment.weights import Claim
from vcompute.field.backend import DIGEST_BYTES, Backend
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.native import NativeBackend
from vcompute.field.scalar import ONE, Ext, from_array, to_array
from vcompute.transcript import ProverTranscript


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed table with all that openings need. The caller may keep it for many openings (a model's weights)."""

    shape: TableShape
    table: Words
    """The stored values: (shape.stored,) in F_p, or (shape.stored, 2)."""
    codeword: Words
    tree: Tree

    @property
    def root(self) -> bytes:
        """The commitment."""
        return self.tree.root


def commit(values: Words, shape: TableShape, parameters: CommitmentParameters, backend: Backend) -> Committed:
    """Commit to a table of base elements of a shape: zeros fill it up."""
    return _commit(values, shape, parameters.rate_bits, backend)


def _commit(values: Words, shape: TableShape, rate_bits: int, backend: Backend) -> Committed:
    table = values
    if values.shape[0] != shape.stored:
        table = np.zeros((shape.stored, *values.shape[1:]), dtype=np.uint64)
        table[: values.shape[0]] = values
    codeword = backend.encode(table, shape.lanes, rate_bits)
    return Committed(shape, table, codeword, merkle.build(codeword, backend))


def send_root(transcript: ProverTranscript, committed: Committed) -> None:
    """Send a commitment."""
    transcript.send_digests("root", np.frombuffer(committed.root, dtype=np.uint8))


def open_claims(
    transcript: ProverTranscript,
    tables: Sequence[Committed],
    claims: Sequence[Claim],
    parameters: CommitmentParameters,
    backend: Backend,
) -> None:
    """Prove claims about committed tables whose roots the transcript has already absorbed.

    A false claim makes a proof that verification rejects.
    """
    plan = schedule(parameters, [table.shape for table in tables], len(claims))
    plan.absorb_into(transcript)
    transcript.absorb_ext("claimed values", [claim.value for claim in claims])
    transcript.grind("batch work", plan.batch_grinding)
    gamma = transcript.challenge("batch")
    folded = _first_folds(transcript, tables, _weights_of(len(tables), claims, gamma), plan, backend)
    oracles = list(tables)
    for index, step in enumerate(plan.rounds):
        if index:
            folded = _folds(transcript, folded, step.fold, step.fold_grinding, backend)
        oracles, folded = _queries(transcript, oracles, folded, step, plan, index, backend)
    _folds(transcript, folded, plan.rounds[-1].next_variables, 0, backend)
    transcript.ratchet("end of opening")


@dataclass(slots=True)
class _Folded:
    """The running table and weights, and the challenges of the last folds."""

    table: ExtWords
    weights: ExtWords
    alphas: list[Ext]


def _weights_of(tables: int, claims: Sequence[Claim], gamma: Ext) -> list[list[Scaled]]:
    """For each table the weights of its claims, each with gamma^index."""
    weights: list[list[Scaled]] = [[] for _ in range(tables)]
    scale = ONE
    for claim in claims:
        for part in claim.parts:
            weights[part.table].append((part.weight, scale))
        scale = scale * gamma
    return weights


def _first_folds(
    transcript: ProverTranscript,
    tables: Sequence[Committed],
    weights: list[list[Scaled]],
    plan: Schedule,
    backend: Backend,
) -> _Folded:
    """The first rounds of the sumcheck, over all tables at once, then stack what is left of them."""
    first = plan.rounds[0]
    lanes = [
        make_lanes(table.shape, table.table, scaled, first.fold, backend)
        for table, scaled in zip(tables, weights, strict=True)
    ]
    alphas: list[Ext] = []
    for _ in range(first.fold):
        messages = [each.message() for each in lanes]
        at_zero, leading = (sum((message[side] for message in messages), Ext(0)) for side in (0, 1))
        alphas.append(_fold_challenge(transcript, at_zero, leading, first.fold_grinding))
        for each in lanes:
            each.bind(alphas[-1])
    return _Folded(*_stacked(lanes, first), alphas)


def _stacked(lanes: list[Lanes], step: Round) -> tuple[ExtWords, ExtWords]:
    """What is left of each table and its weights at its place among the others, and zeros between."""
    table, weights = (np.empty((1 << step.next_variables, 2), dtype=np.uint64) for _ in range(2))
    end = 0
    for oracle, each in sorted(zip(step.oracles, lanes, strict=True), key=lambda pair: pair[0].offset):
        table[end : oracle.offset] = weights[end : oracle.offset] = 0
        end = oracle.offset + (1 << oracle.folded_variables)
        each.take(table[oracle.offset : end], weights[oracle.offset : end])
    table[end:] = weights[end:] = 0
    return table, weights


def _fold_challenge(transcript: ProverTranscript, at_zero: Ext, leading: Ext, grinding: int) -> Ext:
    """Send h(0) and the leading coefficient of a quadratic h (h(1) follows from the claim), draw the challenge."""
    transcript.send_ext("sumcheck", [at_zero, leading])
    transcript.grind("fold work", grinding)
    return transcript.challenge("fold")


def _folds(transcript: ProverTranscript, state: _Folded, count: int, grinding: int, backend: Backend) -> _Folded:
    table, weights, alphas = state.table, state.weights, list[Ext]()
    for done in range(count):
        if done and not grinding and isinstance(backend, NativeBackend) and backend.part_count(table.size) == 1:
            left = count - done
            return _fold_natively(transcript, _Folded(table, weights, alphas), left, backend)
        alpha = _fold_challenge(transcript, *backend.round_ext(table, weights), grinding)
        table = backend.fold_ext(table, alpha, reuse=True)
        weights = backend.fold_ext(weights, alpha, reuse=True)
        alphas.append(alpha)
    return _Folded(table, weights, alphas)


def _fold_natively(transcript: ProverTranscript, state: _Folded, count: int, backend: NativeBackend) -> _Folded:
    """The rest of :func:`_folds` right after a challenge, in one call of the core."""
    variables = state.table.shape[0].bit_length() - 1
    levels = [(np.array([[1, variables - done]], np.uint64), 0) for done in range(count)]
    messages, alphas, seed = backend.product_rounds(
        transcript.hand_over(), state.table, state.weights, levels, ("sumcheck", "fold")
    )
    transcript.take_back(seed, messages)
    left = 1 << (variables - count)
    return _Folded(state.table[:left], state.weights[:left], [*state.alphas, *from_array(alphas)])


def _queries(
    transcript: ProverTranscript,
    oracles: list[Committed],
    folded: _Folded,
    step: Round,
    plan: Schedule,
    index: int,
    backend: Backend,
) -> tuple[list[Committed], _Folded]:
    """Commit to the folded table (or send it), open the old tables where asked, and take the answers as claims."""
    following: list[Committed] = []
    if step.next_shape is None:
        transcript.send_ext_array("final polynomial", folded.table)
    else:
        stored = np.ascontiguousarray(folded.table[: step.next_shape.stored])
        following = [_commit(stored, step.next_shape, plan.rounds[index + 1].oracles[0].rate_bits, backend)]
        send_root(transcript, following[0])
    transcript.grind("query work", step.query_grinding)
    opened = [
        _open_rows(transcript, oracle, layout, backend) for oracle, layout in zip(oracles, step.oracles, strict=True)
    ]
    if following:
        scales = _powers(transcript.challenge("combination"), sum(map(len, opened)), backend)
        for layout, at in zip(step.oracles, opened, strict=True):
            block = folded.weights[layout.offset : layout.offset + (1 << layout.folded_variables)]
            backend.add_powers(block, at, layout.log_domain, scales[: len(at)])
            scales = scales[len(at) :]
    return following, folded


def _powers(base: Ext, count: int, backend: Backend) -> ExtWords:
    """base, base^2, ... (count, 2), as many at a time as there are already."""
    powers = to_array([base])
    while len(powers) < count:
        powers = np.concatenate([powers, backend.ext_mul(powers, powers[-1:])])
    return powers[:count]


def _open_rows(transcript: ProverTranscript, oracle: Committed, layout: OracleRound, backend: Backend) -> list[int]:
    """Draw positions, send their rows and siblings; the positions, sorted."""
    drawn = transcript.challenge_positions("positions", layout.queries, layout.log_domain)
    positions = sorted(set(drawn))
    transcript.send_base("rows", oracle.codeword[positions])
    siblings = merkle.open_positions(oracle.tree, positions, backend)
    transcript.send_digests("siblings", siblings.reshape(-1, DIGEST_BYTES))
    return positions
