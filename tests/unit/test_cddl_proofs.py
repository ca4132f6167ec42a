# SPDX-License-Identifier: Apache-2.0
"""The committed CDDL of proofs and commitments accepts what the library writes and nothing beside."""

from pathlib import Path

import cbor2
import pycddl
import pytest

import vcompute
from tests.unit.proof.succinct.build import inputs_for, network
from vcompute.codec import encode
from vcompute.field import default_backend
from vcompute.proof.succinct.commitment import encode_commitment
from vcompute.proof.succinct.publish import commit_model
from vcompute.registry import ParameterSetId

CDDL = Path(__file__).resolve().parents[2] / "spec" / "cddl"
MODEL = network()
INPUTS = inputs_for(MODEL)
OUTPUTS, PROOF = vcompute.prove(MODEL, INPUTS, "succinct", b"context", "tiny")
RECORDS = {
    ("proof", "proof-envelope"): PROOF,
    ("proof", "statement-record"): encode(vcompute.Statement(MODEL, INPUTS, OUTPUTS, b"context").record),
    ("commitment", "commitment-record"): encode_commitment(commit_model(MODEL, ParameterSetId.TINY, default_backend())),
}


@pytest.mark.parametrize(("name", "root"), RECORDS)
def test_records_fit_their_schema(name: str, root: str) -> None:
    """VC-SUI-001: the schema in CDDL and the decoder mean the same records."""
    schema = pycddl.Schema(f"root = {root}\n" + (CDDL / f"{name}.cddl").read_text(encoding="utf-8"))
    data = RECORDS[name, root]
    schema.validate_cbor(data)
    content = cbor2.loads(data)
    for key in content:
        missing = {other: value for other, value in content.items() if other != key}
        for wrong in (missing, {**content, key: None}, {**content, 99: 0}):
            with pytest.raises(pycddl.ValidationError):
                schema.validate_cbor(cbor2.dumps(wrong))


@pytest.mark.parametrize(("key", "value"), [(0, 9), (2, -(1 << 40) - 1), (3, (1 << 40) + 1), (4, [0] * 769)])
def test_a_plan_of_another_form_does_not_fit(key: int, value: object) -> None:
    text = (CDDL / "commitment.cddl").read_text(encoding="utf-8")
    schema = pycddl.Schema(f"root = commitment-record\n{text}")
    content = cbor2.loads(RECORDS["commitment", "commitment-record"])
    content[6][0][1][key] = value
    with pytest.raises(pycddl.ValidationError):
        schema.validate_cbor(cbor2.dumps(content))
