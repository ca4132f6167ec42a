# SPDX-License-Identifier: Apache-2.0
"""The public API: laziness, doctests, and its surface, kept in ``public_api.txt``.

A change of the surface is a change of that file: ``python -m tests.unit.test_api`` writes it again.
"""

import ast
import doctest
import inspect
import subprocess
import sys
from collections.abc import Callable
from enum import IntEnum
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import vcompute
from vcompute.data import digits_model

SNAPSHOT = Path(__file__).with_name("public_api.txt")
DOCTESTED = ("vcompute", "vcompute.api", "vcompute.proof.matmul")


def members(node: ast.ClassDef) -> list[str]:
    """The public fields, properties and methods of a class, as its source has them."""
    lines = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            lines.append(f"    {item.target.id}: {ast.unparse(item.annotation)}" + (" = ..." if item.value else ""))
        elif isinstance(item, ast.FunctionDef) and (not item.name.startswith("_") or item.name == "__init__"):
            decorators = [ast.unparse(mark) for mark in item.decorator_list]
            lines.append("    " + " ".join([*(f"@{mark}" for mark in decorators), header(item)]))
    return lines


def header(node: ast.FunctionDef) -> str:
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"def {node.name}({ast.unparse(node.args)}){result}"


def surface() -> str:
    """Every public name with its signature, and the public members of the classes: as the source has them."""
    lines = []
    for name in vcompute.__all__:
        value = getattr(vcompute, name)
        if inspect.isclass(value) and issubclass(value, IntEnum):
            lines.append(f"enum {name}: see the registry")
        elif inspect.isclass(value) or inspect.isfunction(value):
            (node,) = ast.parse(inspect.getsource(value)).body
            if isinstance(node, ast.ClassDef):
                lines += [f"class {name}({', '.join(map(ast.unparse, node.bases))})", *members(node)]
            elif isinstance(node, ast.FunctionDef):
                lines.append(header(node))
        else:
            lines.append(f"{name}: {type(value).__name__}")
    return "\n".join(lines) + "\n"


def test_the_surface_is_the_recorded_one() -> None:
    assert surface() == SNAPSHOT.read_text(encoding="utf-8"), "the public API changed: see this module's docstring"


def test_every_name_is_at_home_where_the_table_says() -> None:
    assert set(vcompute._HOMES) == set(vcompute.__all__) - {"__version__"}
    assert vcompute.__all__ == sorted(vcompute.__all__)
    for name, home in vcompute._HOMES.items():
        assert getattr(vcompute, name) is getattr(import_module(home), name)
    assert set(vcompute.__all__) <= set(dir(vcompute))


def test_importing_the_package_imports_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import vcompute; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False, cwd=".")
    assert done.returncode == 0, done.stderr
    assert [name for name in done.stdout.split() if name.startswith("vcompute")] == ["vcompute"]
    assert "numpy" not in done.stdout.split()


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prov'"):
        _ = vcompute.prov  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", DOCTESTED)
def test_doctests(module: str) -> None:
    result = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.attempted > 0
    assert result.failed == 0


def test_models_are_told_apart_by_content(tmp_path: Path) -> None:
    model = vcompute.load_model(digits_model())
    for name, content in (("model.vcm", digits_model()), ("model.tflite", vcompute.encode_model(model))):
        path = tmp_path / name
        path.write_bytes(content)
        for source in (path, str(path), content):
            assert vcompute.load_model(source) == model


def test_models_that_are_none(tmp_path: Path) -> None:
    flipped = bytearray(vcompute.encode_model(vcompute.load_model(digits_model())))
    flipped[len(flipped) // 2] ^= 1
    for junk, code in (
        (b"", "malformed_encoding"),
        (b"\x00" * 100, "malformed_encoding"),
        (b"\x00", "schema_violation"),
        (flipped, "digest_mismatch"),
    ):
        with pytest.raises(vcompute.EncodingError) as caught:
            vcompute.load_model(bytes(junk))
        assert caught.value.code.name.lower() == code
    with pytest.raises(vcompute.ImportFailed):
        vcompute.load_model(digits_model()[:1000])
    with pytest.raises(vcompute.UsageError, match="cannot read"):
        vcompute.load_model(tmp_path / "missing.vcm")
    with pytest.raises(vcompute.UsageError, match="cannot read"):
        vcompute.load_model(tmp_path)
    with pytest.raises(vcompute.UsageError, match="semantics"):
        vcompute.load_model(digits_model(), "modern")


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (64, 300, 33)])
def test_matmul_is_exact(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    m, k, n = shape
    a, b = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (k, n), np.int8)
    c = vcompute.matmul(a, b)
    assert c.dtype == np.dtype("<i4")
    assert c.flags.c_contiguous
    assert (c == a.astype(np.int64) @ b.astype(np.int64)).all()
    vcompute.check_matmul(a, b, c)
    assert (vcompute.matmul(a, vcompute.pack(b)) == c).all()
    with pytest.raises(vcompute.TaskError):
        vcompute.matmul(a.astype(np.int16), b)


if __name__ == "__main__":
    SNAPSHOT.write_text(surface(), encoding="utf-8")


@pytest.mark.parametrize("call", ["run", "prove", "matmul", "pack", "check_matmul", "Statement", "verify"])
def test_what_is_no_array_is_refused_by_name(call: str) -> None:
    model = vcompute.load_model(digits_model())
    image = np.zeros((1, 8, 8, 1), np.int8)
    batch, outputs = vcompute.make_batch(image), vcompute.run(model, image)
    pairs: dict[str, Callable[[], object]] = {
        "run": lambda: vcompute.run(model, image.tolist()),
        "prove": lambda: vcompute.prove(model, None),
        "matmul": lambda: vcompute.matmul([[1]], np.ones((1, 1), np.int8)),
        "pack": lambda: vcompute.pack([[1]]),
        "check_matmul": lambda: vcompute.check_matmul(*np.ones((2, 1, 1), np.int8), [[1]]),
        "Statement": lambda: vcompute.Statement(model, image, outputs),
        "verify": lambda: vcompute.verify(vcompute.Statement(model, batch, outputs), "proof"),
    }
    with pytest.raises(vcompute.VcomputeError) as caught:
        pairs[call]()
    assert caught.value.expected is not None
    assert caught.value.got in ("list", "NoneType", "ndarray", "str")
