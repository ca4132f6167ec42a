# SPDX-License-Identifier: Apache-2.0
"""L1: requantisation at its edges, every operator, whole models layer by layer."""

import itertools

import numpy as np

from vcompute.data import digits_model, digits_samples
from vcompute.importers import import_tflite
from vcompute.kernels import reference
from vcompute.kernels.reference.requantize import multiply_by_quantized_multiplier
from vcompute.task import Rounding, decode_batch, encode_model, make_batch
from vectors.base import Group
from vectors.toys import int8, tiny_network, toys

EDGES = (0, 1, -1, 2, -2, 3, -3, 127, -128, 255, 65535, -65536, 2**24 + 1, -(2**24) - 1, 2**31 - 1, -(2**31))
MULTIPLIERS = (0, 1, 1 << 30, (1 << 30) + 1, 1518500250, 2**31 - 1)
REQUIREMENTS = {Rounding.DOUBLE: "VC-INT-001 VC-INT-002", Rounding.SINGLE: "VC-INT-001 VC-INT-003"}


def ties(multiplier: int, shift: int) -> list[int]:
    """Accumulators whose scaled value lies at or next to a half."""
    found = set()
    for half in (-3, -1, 1, 3, 255, -257):
        if multiplier:
            centre = (half << (30 - shift)) // multiplier if shift < 30 else 0
            found |= {centre + step for step in (-1, 0, 1)}
    limit = (2**31 - 1) >> max(shift, 0)
    return sorted(x for x in found if -limit <= x <= limit)


def group() -> Group:
    """The group ``compute``."""
    result = Group("compute", "L1", "Requantisation, operators and whole models.")
    for multiplier, shift, rounding in itertools.product(MULTIPLIERS, (0, 3, -1, -8, -31), Rounding):
        limit = (2**31 - 1) >> max(shift, 0)
        values = [x for x in EDGES if -limit - (shift <= 0) <= x <= limit] + ties(multiplier, shift)
        scaled = multiply_by_quantized_multiplier(np.array(values, np.int64), multiplier, shift, rounding)
        result.valid(
            f"requantize/{rounding.name.lower()}-{multiplier}-shift{shift}",
            "compute.requantize",
            REQUIREMENTS[rounding],
            {"values": values, "multiplier": multiplier, "shift": shift, "rounding": int(rounding)},
            {"values": [int(x) for x in scaled]},
        )
    for toy in toys():
        given = {"model": encode_model(toy.model), "inputs": toy.inputs()}
        out = reference.run(toy.model, decode_batch(toy.inputs()))
        result.valid(f"operator/{toy.name}", "compute.run", "VC-INT-004", given, {"outputs": out.encoded})
    _models(result)
    _refusals(result)
    return result


def _models(result: Group) -> None:
    digits = import_tflite(digits_model())
    digits_file = result.data("digits", encode_model(digits))
    tiny = tiny_network()
    tiny_file = result.data("tiny", encode_model(tiny))
    samples = make_batch(digits_samples()[0][:3])
    inputs = {
        "tiny": (tiny, tiny_file, make_batch(int8("tiny/inputs", 5, 8))),
        "digits-one": (digits, digits_file, make_batch(samples.arrays[0][:1])),
        "digits-three": (digits, digits_file, samples),
        "digits-low": (digits, digits_file, make_batch(np.full_like(samples.arrays[0][:1], -128))),
        "digits-high": (digits, digits_file, make_batch(np.full_like(samples.arrays[0][:1], 127))),
    }
    for name, (model, file, batch) in inputs.items():
        given = {"model": file, "inputs": batch.encoded}
        values = reference.trace(model, batch)[len(model.graph.inputs) :]
        layers = [make_batch(array).digest for array in values]
        out = reference.run(model, batch)
        result.valid(f"model/{name}", "compute.run", "VC-INT-005", given, {"outputs": out.encoded})
        result.valid(f"trace/{name}", "compute.trace", "VC-INT-005", given, {"digests": layers})


def _refusals(result: Group) -> None:
    tiny = {"data": "tiny"}
    wrong = {
        "inputs-too-short": (int8("tiny/a", 1, 7),),
        "inputs-too-long": (int8("tiny/a", 1, 9),),
        "inputs-other-rank": (int8("tiny/a", 1, 2, 4),),
        "inputs-int32": (np.zeros((1, 8), "<i4"),),
        "inputs-two": (int8("tiny/a", 1, 8), int8("tiny/b", 1, 8)),
    }
    for name, arrays in wrong.items():
        given = {"model": tiny, "inputs": make_batch(arrays).encoded}
        result.refused(f"refused/{name}", "compute.run", "VC-TSK-014", given, "invalid_input", "inputs of another type")
