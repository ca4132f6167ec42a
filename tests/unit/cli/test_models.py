# SPDX-License-Identifier: Apache-2.0
"""``vcompute run`` gives the stored outputs of both reference runtimes on every real model."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support import models
from vcompute import cli
from vcompute.importers import Semantics


@pytest.mark.models
@pytest.mark.parametrize("semantics", list(Semantics), ids=lambda item: item.value)
@pytest.mark.parametrize("name", models.NAMES)
def test_run_gives_the_stored_outputs(
    name: str, semantics: Semantics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = models.directory() / f"{name}.tflite"
    compiled, inputs, outputs = (tmp_path / part for part in ("model.vcm", "in.npy", "out.npy"))
    assert cli.main(["import", str(source), "-o", str(compiled), "--semantics", semantics.value, "--json"]) == 0
    digest = json.loads(capsys.readouterr().out)["model"]
    for random in (False, True):
        np.save(inputs, models.stored_inputs(name, random))
        for model in (["--semantics", semantics.value, str(source)], [str(compiled)]):
            assert cli.main(["run", *model, str(inputs), "-o", str(outputs), "--json"]) == 0
            record = json.loads(capsys.readouterr().out)
            assert record["model"] == digest
            expected = models.stored_outputs(name, semantics, random)
            assert (np.load(outputs) == expected.reshape(np.load(outputs).shape)).all()
