# SPDX-License-Identifier: Apache-2.0
"""Data shipped with the package: the embedded digit model and its held-out samples."""

import io
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt


def digits_model() -> bytes:
    """The embedded ``.tflite``: 8x8 handwritten digits, int8, input (8, 8, 1), output 10 probabilities."""
    return (resources.files(__name__) / "digits" / "digits.tflite").read_bytes()


def digits_samples() -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
    """Held-out images, int8 (N, 8, 8, 1) as the model takes them, and their labels, uint8 (N,)."""
    data = (resources.files(__name__) / "digits" / "samples.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as samples:
        images: npt.NDArray[Any] = samples["x"]
        return images, samples["labels"]
