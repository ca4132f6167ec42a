# SPDX-License-Identifier: Apache-2.0
"""An opening, prover's and verifier's side, over tables and claims drawn from a seed."""

from dataclasses import dataclass, field

import numpy as np

from vcompute.commitment import TINY, Claim, CommitmentParameters, EqWeight, Part, TableShape, TensorWeight, claim
from vcompute.commitment import prove as prover
from vcompute.commitment import verify as verifier
from vcompute.commitment.parameters import FOLD
from vcompute.field import Backend, Ext, P, default_backend, from_array
from vcompute.transcript import ProverTranscript, VerifierTranscript


@dataclass
class Instance:
    """Tables and claims; ``shapes`` is what the verifier believes."""

    tables: list[np.ndarray]
    claims: list[Claim]
    parameters: CommitmentParameters = TINY
    backend: Backend = field(default_factory=default_backend)

    @property
    def shapes(self) -> list[TableShape]:
        return [self.parameters.shape(len(table)) for table in self.tables]

    def prove(self) -> bytes:
        transcript = ProverTranscript("test", self.backend)
        committed = [
            prover.commit(table, shape, self.parameters, self.backend)
            for table, shape in zip(self.tables, self.shapes, strict=True)
        ]
        for item in committed:
            prover.send_root(transcript, item)
        prover.open_claims(transcript, committed, self.claims, self.parameters, self.backend)
        return transcript.finish()

    def verify(self, proof: bytes, claims: list[Claim] | None = None, shapes: list[TableShape] | None = None) -> None:
        transcript = VerifierTranscript("test", proof)
        roots = [verifier.receive_root(transcript, shape) for shape in shapes or self.shapes]
        verifier.check_claims(transcript, roots, claims or self.claims, self.parameters, self.backend)
        transcript.finish()


def random_exts(rng: np.random.Generator, count: int) -> list[Ext]:
    return from_array(rng.integers(0, P, (count, 2), dtype=np.uint64))


def variables_of(shape: TableShape) -> int:
    """Of the smallest cube of at least 16 lanes that holds the table."""
    return shape.lane_variables + max(shape.fold, FOLD)


def dense(weight, variables: int, backend: Backend) -> np.ndarray:  # type: ignore[no-untyped-def]
    table = np.zeros((1 << variables, 2), dtype=np.uint64)
    weight.add_to(table, Ext(1), backend)
    return table


def value_of(parts: tuple[Part, ...], tables: list[np.ndarray], backend: Backend) -> Ext:
    """The true value of a claim."""
    result = Ext(0)
    for part in parts:
        table = tables[part.table]
        weights = dense(part.weight, variables_of(TINY.shape(len(table))), backend)[: len(table)]
        result = result + backend.dot_base(np.ascontiguousarray(weights), table)
    return result


def instance(lengths: list[int], seed: int = 0, **kwargs) -> Instance:  # type: ignore[no-untyped-def]
    """Random tables, and for each an evaluation of the whole, of a block, and a tensor; one claim spans all tables."""
    rng = np.random.default_rng(seed)
    made = Instance([rng.integers(0, P, length, dtype=np.uint64) for length in lengths], [], **kwargs)
    spanning = []
    for index, shape in enumerate(made.shapes):
        m = variables_of(shape)
        half = m // 2
        tensor = TensorWeight(
            tuple(rng.integers(0, P, (1 << v, 2), dtype=np.uint64) for v in (half, 1, m - half - 2)),
            offset=1 << (m - 1),
        )
        weights = [
            EqWeight(tuple(random_exts(rng, m))),
            EqWeight(tuple(random_exts(rng, m - 2)), offset=1 << (m - 2)),
            EqWeight((), offset=min(5, len(made.tables[index]) - 1)),
            tensor,
        ]
        for weight in weights:
            made.claims.append(claim(index, weight, value_of((Part(index, weight),), made.tables, made.backend)))
        spanning.append(Part(index, weights[1]))
    made.claims.append(Claim(tuple(spanning), value_of(tuple(spanning), made.tables, made.backend)))
    return made
