# SPDX-License-Identifier: Apache-2.0
"""The embedded model is what its record says, and as good as LiteRT finds it."""

import hashlib
import json
from importlib import resources

import numpy as np
import pytest

from vcompute.data import digits_model, digits_samples


def test_digests_and_size_are_those_of_the_record() -> None:
    record = json.loads((resources.files("vcompute.data") / "digits" / "digits.json").read_text())
    model = digits_model()
    assert hashlib.sha256(model).hexdigest() == record["sha256"]
    assert len(model) == record["bytes"] < 100_000
    images, labels = digits_samples()
    assert images.shape == (record["held_out_images"], 8, 8, 1)
    assert images.dtype == np.int8
    assert np.bincount(labels).tolist() == [40] * 10


@pytest.mark.litert
def test_accuracy_under_the_reference_runtime() -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(
        model_content=digits_model(), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    images, labels = digits_samples()
    right = 0
    for image, label in zip(images, labels, strict=True):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].argmax()) == label
    assert right >= 0.97 * len(labels)
