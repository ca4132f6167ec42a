# SPDX-License-Identifier: Apache-2.0
"""The real models that ``VCOMPUTE_MODELS`` names, with their inputs and the reference runtimes' outputs."""

import csv
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vcompute.importers import Semantics, read_tflite
from vcompute.task import Model

NAMES = (
    "coral_mobilenet_v2_224_ptq",
    "mlperftiny_ad_autoencoder",
    "mlperftiny_ic_resnet8",
    "mlperftiny_kws_dscnn",
    "mlperftiny_sww_streaming",
    "mlperftiny_vww_mnv1_025_96",
    "tflm_hello_world",
    "tflm_person_detect_fixed",
)
"""Every model of the collection."""

WITHOUT_TENSORS = frozenset({"coral_mobilenet_v2_224_ptq", "mlperftiny_kws_dscnn"})
"""Models of which no intermediate tensors are stored."""
RUNTIME = {Semantics.LITERT: "litert230_ref", Semantics.CLASSIC: "classic_ref"}


def directory() -> Path:
    """Where the models are. Tests that call this carry the mark ``models``."""
    return Path(os.environ["VCOMPUTE_MODELS"])


@cache
def load(name: str, semantics: Semantics = Semantics.LITERT) -> Model:
    """An imported model."""
    return read_tflite(directory() / f"{name}.tflite", semantics)


def stored_inputs(name: str, random: bool) -> npt.NDArray[Any]:
    """Stored inputs, (N, ...), as the model takes them."""
    with np.load(directory() / "inputs" / f"{name}.npz") as file:
        stored: npt.NDArray[Any] = file["x_random" if random else "x"]
        return stored


def stored_outputs(name: str, semantics: Semantics, random: bool) -> npt.NDArray[Any]:
    """The runtime's outputs for :func:`stored_inputs`."""
    with np.load(directory() / "expected" / f"{name}.{RUNTIME[semantics]}.npz") as file:
        stored: npt.NDArray[Any] = file["y0_random" if random else "y0"]
        return stored


def stored_tensors(name: str, sample: int) -> list[npt.NDArray[Any]]:
    """Every operator's output for one real input, (1, ...), in the file's order."""
    with np.load(directory() / "tensors" / f"{name}.litert230_ref.npz") as file:
        return [file[key] for key in sorted(file) if key.startswith(f"in{sample}/")]


def layers(name: str) -> list[dict[str, str]]:
    """The rows of the per-layer table."""
    with (directory() / "layers" / f"{name}.tsv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["op"]]
