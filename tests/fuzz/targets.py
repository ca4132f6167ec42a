# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: for each parser its seeds and a function that must end without an error but typed ones.

A target also checks what holds for every accepted input: that it has one encoding, that a model runs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.fuzz import openings, proofs, succinct, wire
from tests.support import random_models
from vcompute.codec import Limits, dumps, loads
from vcompute.data import digits_model
from vcompute.errors import ImportFailed, VcomputeError
from vcompute.importers import Semantics, import_tflite
from vcompute.kernels import executor, reference
from vcompute.task import (
    Model,
    decode_batch,
    decode_graph,
    decode_model,
    digest,
    encode_graph,
    encode_model,
    make_batch,
)

RUNNABLE_WORK = 200_000
"""Models of at most so many multiply-accumulates and elements are run once."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under test."""

    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], None]
    """Raises :class:`VcomputeError` alone, or AssertionError where an accepted input breaks an invariant."""


def tflite_seeds() -> list[bytes]:
    """Small models of every operator, and a real one."""
    return [digits_model(), *(random_models.build(name, seed) for name in random_models.BUILDERS for seed in range(3))]


def model_seeds() -> list[bytes]:
    """The same as ``.vcm`` files."""
    return [encode_model(import_tflite(data)) for data in tflite_seeds()]


def graph_seeds() -> list[bytes]:
    """The same as encoded graphs."""
    return [import_tflite(data).encoded_graph for data in tflite_seeds()]


def batch_seeds() -> list[bytes]:
    """Batches of one and of two values."""
    x, y = np.arange(12, dtype=np.int8).reshape(3, 4), np.ones((3, 1), "<i4")
    return [make_batch(x).encoded, make_batch([x, y]).encoded]


def tflite(data: bytes) -> None:
    """The importer: what it accepts is a valid model that survives its own file format."""
    for semantics in (Semantics.CLASSIC, Semantics.LITERT):
        try:
            model = import_tflite(data, semantics)
        except ImportFailed:
            if semantics is Semantics.LITERT:
                raise
            continue
        except VcomputeError as error:
            raise TypeError("the importer raises ImportFailed alone") from error
        assert decode_model(encode_model(model)) == model
        run_small(model)


def vcm(data: bytes) -> None:
    """The file as it is: nearly always stopped by the digest."""
    model = decode_model(data)
    assert encode_model(model) == data
    run_small(model)


def vcm_resealed(data: bytes) -> None:
    """The file with its digest made right again, so that what lies behind the digest is reached."""
    wire = loads(data, Limits(bytes=1 << 24, depth=4, items=16))
    if isinstance(wire, dict) and isinstance(wire.get(2), bytes) and isinstance(wire.get(3), bytes):
        graph, weights = wire[2], wire[3]
        wire[4] = digest.model_digest(digest.graph_digest(graph), digest.blob_digest(weights))
        vcm(dumps(wire))


def graph(data: bytes) -> None:
    """A graph alone: what is accepted has this one encoding."""
    assert encode_graph(decode_graph(data)) == data


def batch(data: bytes) -> None:
    """A batch of tensors."""
    assert decode_batch(data).encoded == data


def cbor(data: bytes) -> None:
    """The codec: what is accepted has this one encoding."""
    assert dumps(loads(data)) == data


def run_small(model: Model) -> None:
    """A valid model runs on any input of its type, and the native core gives the reference's bytes."""
    work = model.work()
    if max(work.macs, work.elements, sum(value.elements for value in model.graph.inputs)) > RUNNABLE_WORK:
        return
    values = [np.full((2, *value.shape), -128, np.int8) for value in model.graph.inputs]
    out = reference.run(model, make_batch(values))
    assert executor.run(model, make_batch(values)) == out
    for array, value in zip(out.arrays, model.graph.output_types, strict=True):
        assert array.shape == (2, *value.shape)


TARGETS: dict[str, Target] = {
    "tflite": Target(tflite_seeds, tflite),
    "vcm": Target(model_seeds, vcm),
    "vcm-resealed": Target(model_seeds, vcm_resealed),
    "graph": Target(graph_seeds, graph),
    "batch": Target(batch_seeds, batch),
    "proof": Target(proofs.proof_seeds, proofs.proof),
    "proof-rebound": Target(proofs.proof_seeds, proofs.proof_rebound),
    "npy": Target(proofs.npy_seeds, proofs.npy),
    "inspect": Target(proofs.file_seeds, proofs.inspect),
    "cbor": Target(lambda: graph_seeds() + batch_seeds(), cbor),
    "envelope": Target(wire.envelope_seeds, wire.envelope),
    "payload": Target(wire.payload_seeds, wire.payload),
    "roles": Target(wire.role_seeds, wire.roles),
    "record": Target(wire.record_seeds, wire.record),
    "identity": Target(wire.identity_seeds, wire.identity),
    "http": Target(wire.http_seeds, wire.http),
    "database": Target(wire.database_seeds, wire.database),
    "opening": Target(openings.seeds, openings.opening),
    "opening-replayed": Target(openings.seeds, openings.opening_replayed),
    "succinct": Target(succinct.seeds, succinct.proof),
    "succinct-twins": Target(succinct.seeds, succinct.twins),
    "succinct-replayed": Target(succinct.replayed_seeds, succinct.replayed),
    "commitment": Target(succinct.commitment_seeds, succinct.commitment),
}
"""Every target by name."""
