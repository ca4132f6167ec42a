# SPDX-License-Identifier: Apache-2.0
"""The commands on models, proofs and files: what they print, what they write, how they fail."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vcompute
from tests.unit.proof.dense import dense, samples
from tests.unit.proof.succinct.build import inputs_for, interior_softmax
from vcompute import cli
from vcompute.cli.files import parse_npy, write_atomic
from vcompute.data import digits_model, digits_samples
from vcompute.identity import PrivateKey
from vcompute.messages import Decline, seal
from vcompute.proof.suite import decode_envelope

SAMPLES = 6


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with models and inputs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.tflite").write_bytes(digits_model())
    np.save("images.npy", digits_samples()[0][:SAMPLES])
    model = dense()
    (tmp_path / "dense.vcm").write_bytes(vcompute.encode_model(model))
    np.save("dense.npy", samples(model).arrays[0])
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with ``--json``: its status and the one object it prints."""

    def run(*argv: str, status: int = 0) -> dict[str, Any]:
        assert cli.main([*argv, "--json"]) == status
        out, _ = capsys.readouterr()
        assert out.count("\n") == 1
        record = json.loads(out)
        assert isinstance(record, dict)
        return record

    return run


def test_import_writes_the_model(work: Path, call: Any) -> None:
    record = call("import", "digits.tflite", "-o", "digits.vcm")
    model = vcompute.load_model("digits.vcm")
    assert record["model"] == model.digest.hex() == vcompute.load_model(digits_model()).digest.hex()
    assert record["bytes"] == (work / "digits.vcm").stat().st_size
    classic = call("import", "digits.tflite", "-o", "classic.vcm", "--semantics", "classic")
    assert classic["model"] == vcompute.load_model(digits_model(), "classic").digest.hex() != record["model"]


@pytest.mark.parametrize("model", ["digits.tflite", "digits.vcm"])
def test_run_writes_the_outputs(model: str, work: Path, call: Any) -> None:
    call("import", "digits.tflite", "-o", "digits.vcm")
    record = call("run", model, "images.npy", "-o", "out.npy")
    expected = vcompute.run(vcompute.load_model(digits_model()), digits_samples()[0][:SAMPLES])
    assert (np.load("out.npy") == expected.arrays[0]).all()
    assert record["samples"] == SAMPLES
    assert record["outputs"] == expected.digest.hex()
    assert record["seconds"] > 0


def test_a_model_of_several_outputs_writes_a_batch(work: Path, call: Any) -> None:
    call("run", "dense.vcm", "dense.npy", "-o", "out.batch")
    assert vcompute.decode_batch(Path("out.batch").read_bytes()) == vcompute.run(dense(), samples(dense()))
    error = call("run", "dense.vcm", "dense.npy", "-o", "out.npy", status=2)["error"]
    assert error["code"] == "usage"
    assert "several outputs" in error["message"]
    assert not Path("out.npy").exists()


@pytest.mark.parametrize(("suite", "sets"), [("replay", ["exact"]), ("freivalds", ["public-128", "private-128"])])
def test_prove_and_verify(suite: str, sets: list[str], work: Path, call: Any) -> None:
    for name in sets:
        argv = ["dense.vcm", "dense.npy", "--suite", suite, "--parameter-set", name, "--context", "00ff"]
        record = call("prove", *argv, "-o", "proof", "--output", "out.batch")
        keys = {"suite", "parameter_set", "seconds", "cpu_seconds", "proof_bytes", "peak_rss_bytes", "activations"}
        assert keys | {"security_bits", "union_bits"} <= record.keys()
        assert record["proof_bytes"] == Path("proof").stat().st_size
        verdict = call("verify", "dense.vcm", "dense.npy", "out.batch", "proof", "--context", "00FF")
        assert verdict["accepted"] is True
        assert verdict["code"] is verdict["reason"] is None
        assert (verdict["suite"], verdict["parameter_set"]) == (suite, name)
        assert verdict["security_bits"] == record["security_bits"]
        for other in (["--context", "00fe"], []):
            refused = call("verify", "dense.vcm", "dense.npy", "out.batch", "proof", *other, status=1)
            assert (refused["accepted"], refused["code"]) == (False, "statement_mismatch")


def test_the_policy_of_verify(work: Path, call: Any) -> None:
    call("prove", "dense.vcm", "dense.npy", "--suite", "freivalds", "-o", "proof", "--output", "out.batch")
    argv = ["verify", "dense.vcm", "dense.npy", "out.batch", "proof"]
    for accepted in (["freivalds"], ["freivalds/public-128"], ["replay", "freivalds"]):
        assert call(*argv, *(part for name in accepted for part in ("--suite", name)))["accepted"] is True
    for refused in ("replay", "freivalds/private-128"):
        assert call(*argv, "--suite", refused, status=1)["code"] == "suite_not_accepted"
    assert call(*argv, "--suite", "nothing", status=2)["error"]["code"] == "usage"
    assert call(*argv, "--allow-insecure")["accepted"] is True


def test_a_commitment_stands_for_the_model(work: Path, call: Any) -> None:
    made = call("commit", "digits.tflite", "-o", "commitment", "--parameter-set", "tiny")
    assert made["model"] == vcompute.load_model(digits_model()).digest.hex()
    argv = ["--suite", "succinct", "--parameter-set", "tiny", "--context", "01", "-o", "proof", "--output", "out.npy"]
    call("prove", "digits.tflite", "images.npy", *argv)
    for holder in ("commitment", "digits.tflite"):
        argv = [holder, "images.npy", "out.npy", "proof", "--context", "01"]
        assert call("verify", *argv, "--allow-insecure")["suite"] == "succinct"
        assert call("verify", *argv, status=1)["code"] == "suite_not_accepted"
        assert call("verify", *argv[:-1], "02", "--allow-insecure", status=1)["code"] == "statement_mismatch"
    call("prove", "digits.tflite", "images.npy", "--suite", "replay", "-o", "replayed", "--output", "out.npy")
    refused = call("verify", "commitment", "images.npy", "out.npy", "replayed", status=1)
    assert refused["code"] == "suite_unsupported_model"
    described = call("inspect", "commitment")
    assert (described["kind"], described["root"]) == ("commitment", made["root"])
    content = Path("commitment").read_bytes()
    for position in range(0, len(content), 11):
        wrong = content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]
        Path("flipped").write_bytes(wrong)
        argv = ["flipped", "images.npy", "out.npy", "proof", "--context", "01", "--allow-insecure"]
        assert call("verify", *argv, status=1)["accepted"] is False


def test_an_interior_softmax_is_refused_by_name(work: Path, call: Any) -> None:
    model = interior_softmax()
    Path("soft.vcm").write_bytes(vcompute.encode_model(model))
    np.save("soft.npy", inputs_for(model).arrays[0])
    files = ["-o", "proof", "--output", "out.npy"]
    for argv in (
        ["prove", "soft.vcm", "soft.npy", "--suite", "succinct", *files],
        ["prove", "soft.vcm", "soft.npy", "--suite", "succinct", "--parameter-set", "tiny", *files],
        ["commit", "soft.vcm", "-o", "commitment"],
    ):
        error = call(*argv, status=1)["error"]
        assert error["code"] == "suite_unsupported_model"
        assert "interior SOFTMAX" in error["message"]
    assert not {"proof", "out.npy", "commitment"} & {path.name for path in work.iterdir()}
    call("prove", "soft.vcm", "soft.npy", "--suite", "replay", *files)


def test_unreadable_files_are_rejections(work: Path, call: Any) -> None:
    call("prove", "dense.vcm", "dense.npy", "--suite", "freivalds", "-o", "proof", "--output", "out.batch")
    Path("junk").write_bytes(b"junk")
    Path("empty").write_bytes(b"")
    files = ["dense.vcm", "dense.npy", "out.batch", "proof"]
    for position in range(4):
        for wrong in ("junk", "empty", "missing", "."):
            argv = [*files[:position], wrong, *files[position + 1 :]]
            verdict = call("verify", *argv, status=1)
            assert verdict["accepted"] is False
            assert verdict["code"] not in (None, "usage")
            assert verdict["reason"]
    proof = Path("proof").read_bytes()
    for position in range(0, len(proof), 7):
        Path("flipped").write_bytes(proof[:position] + bytes([proof[position] ^ 0x10]) + proof[position + 1 :])
        assert call("verify", *files[:3], "flipped", status=1)["accepted"] is False


def test_what_fails_writes_nothing(work: Path, call: Any) -> None:
    argv = ["prove", "digits.tflite", "images.npy", "--suite", "freivalds", "-o", "proof", "--output", "out.npy"]
    assert call(*argv, status=1)["error"]["code"] == "suite_unsupported_model"
    assert call("run", "digits.tflite", "dense.npy", "-o", "out.npy", status=1)["error"]["code"] == "invalid_input"
    assert call("import", "dense.npy", "-o", "out.vcm", status=1)["error"]["code"] == "malformed_encoding"
    assert (
        call("run", "digits.tflite", "images.npy", "-o", "no/out.npy", status=1)["error"]["code"] == "unreadable_file"
    )
    assert call("prove", "dense.vcm", "dense.npy", "--suite", "x", "-o", "p", "--output", "o", status=2)
    assert {path.name for path in work.iterdir()} == {"digits.tflite", "images.npy", "dense.vcm", "dense.npy"}


def test_suites_lists_all(call: Any) -> None:
    names = {(row["suite"], row["parameter_set"]) for row in call("suites")["suites"]}
    assert {("replay", "exact"), ("freivalds", "public-128"), ("freivalds", "private-128")} <= names


def test_inspect_knows_every_kind(work: Path, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call("prove", "dense.vcm", "dense.npy", "--suite", "freivalds", "-o", "proof", "--output", "out.batch")
    key = PrivateKey.generate()
    message = seal(key, Decline(bytes(32), 0, vcompute.ErrorCode.BUSY, 1000))
    Path("message").write_bytes(message.data)
    model = vcompute.load_model("dense.vcm")
    expected = {
        "digits.tflite": {"kind": "model", "model": vcompute.load_model(digits_model()).digest.hex()},
        "dense.vcm": {"kind": "model", "model": model.digest.hex(), "macs": model.work().macs},
        "proof": {"kind": "proof", "suite": "freivalds", "parameter_set": "public-128"},
        "out.batch": {"kind": "batch", "samples": 4},
        "dense.npy": {"kind": "array", "shape": [4, 24], "dtype": "int8"},
        "message": {"kind": "message", "type": "decline", "signer": key.thumbprint.hex()},
    }
    for name, fields in expected.items():
        record = call("inspect", name)
        assert fields.items() <= record.items()
        assert record["bytes"] == Path(name).stat().st_size
        assert cli.main(["inspect", name]) == 0
        assert len(capsys.readouterr().out.splitlines()) >= 3
        content = Path(name).read_bytes()
        Path("cut").write_bytes(content[: len(content) // 2])
        assert call("inspect", "cut", status=1)["error"]["code"] != "usage"
    nodes = call("inspect", "dense.vcm")["nodes"]
    assert [row["operator"] for row in nodes] == [node.operator.name for node in model.graph.nodes]
    assert decode_envelope(Path("proof").read_bytes()).statement.hex() == call("inspect", "proof")["statement"]


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def test_arrays_of_every_layout_are_read() -> None:
    array = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    for layout in (array, np.asfortranarray(array), array[:, ::-1], array.astype("<i4"), array.astype(">i4")):
        read = parse_npy(npy(layout), "x")
        assert read.tolist() == layout.tolist()
        assert read.dtype in (np.dtype("i1"), np.dtype("<i4"))
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(2, 0))
    assert parse_npy(stream.getvalue(), "x").tolist() == array.tolist()


def test_hostile_arrays_are_refused() -> None:
    good = npy(np.zeros((2, 3), np.int8))
    header = good.index(b"(2, 3)")
    cases = [
        npy(np.array([{}], dtype=object), allow_pickle=True),
        npy(np.zeros(3)),
        npy(np.zeros(3, np.int64)),
        npy(np.zeros(3, [("a", "i1")])),
        good[:5],
        good[:20],
        good[:-1],
        good + b"\x00",
        good[:header] + b"(9,9e)" + good[header + 6 :],
        good.replace(b"(2, 3), }", b"(2**60,)}"),
        good.replace(b"(2, 3), } ", b"(-2, -3), }"),
        good[:6] + b"\x09\x00" + good[8:],
        good[:8] + b"\xff\xff" + good[10:],
    ]
    for case in cases:
        with pytest.raises(vcompute.UsageError) as caught:
            parse_npy(case, "x")
        assert caught.value.code is vcompute.ErrorCode.UNREADABLE_FILE


def test_files_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")

    def broken(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(vcompute.UsageError, match="No space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_inspect_lists_the_messages_of_a_proof(work: Path, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call("prove", "digits.tflite", "images.npy", "--suite", "succinct", "--parameter-set", "tiny", "-o", "proof",
         "--output", "out.npy")  # fmt: skip
    call("commit", "digits.tflite", "-o", "commitment", "--parameter-set", "tiny")
    files = ("--model", "commitment", "--input", "images.npy", "--output", "out.npy")
    record = call("inspect", "proof", *files)
    assert (record["verifier"], record["statement_fits"]) == ("accepts", True)
    last = record["sections"][-1]
    assert last["offset"] + last["bytes"] == record["bytes"]
    assert cli.main(["inspect", "proof", *files]) == 0
    assert "fraction sumcheck" in capsys.readouterr().out
    data = bytearray((work / "proof").read_bytes())
    data[-1] ^= 1
    (work / "damaged").write_bytes(data)
    assert call("inspect", "damaged", *files)["verifier"] == "final_polynomial"
    assert call("inspect", "proof", "--model", "commitment", status=2)["error"]["code"] == "usage"
    described = call("inspect", "commitment")
    assert [row["node"] for row in described["plans"]] == sorted({row["node"] for row in described["plans"]})
    assert sum(row["elements"] for row in described["weights"]) >= 3000


def test_suites_say_how_far_they_reach(work: Path, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["parameter_set"]: row for row in call("suites")["suites"]}
    assert "largest" not in rows["exact"]
    largest = rows["standard"]["largest"]
    assert largest["witness_values"] >= 1 << 29
    assert largest["security_bits"] >= 100
    assert largest["union_bits"] < largest["security_bits"]
    assert min(term["bits"] for term in largest["terms"]) == largest["security_bits"]
    assert cli.main(["suites"]) == 0
    assert "round 0: queries" in capsys.readouterr().out
