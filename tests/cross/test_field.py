# SPDX-License-Identifier: Apache-2.0
"""The field's kernels on AArch64 under an emulator, with and without its SHA instructions, against the numpy twin."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vcompute.field import Ext, P, to_array
from vcompute.field.portable import NumpyBackend

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["cpu", "field", "field_portable", "ntt", "sha256", "sha256_portable"]
COMPILER = "aarch64-linux-gnu-gcc"
N = 77


def draw(counter: int) -> int:
    """As in native/tests/print_field.c."""
    if counter % 8 == 0:
        return P - 1 - counter // 8 % 3
    z = counter * 0x9E3779B97F4A7C15 % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    return z - P if z >= P else z


def words(start: int, count: int) -> np.ndarray:
    return np.array([draw(start + 1 + i) for i in range(count)], dtype=np.uint64)


def expected() -> dict[str, str]:
    twin = NumpyBackend()
    a, b, lanes = words(0, 2 * N), words(2 * N, 2 * N), words(4 * N, 160)
    ea, eb = a.reshape(-1, 2), b.reshape(-1, 2)
    r, point = Ext(int(b[0]), int(b[1])), [Ext(int(c0), int(c1)) for c0, c1 in ea[:5]]
    half = N // 2
    shifted = a[N - 1 : N - 1 + 2 * half].reshape(-1, 2)
    code = twin.encode(lanes.reshape(-1, 2), 5, 1)
    digests = twin.hash_rows(code)
    arrays = {
        "add": twin.add(a, b),
        "sub": twin.sub(a, b),
        "mul": twin.mul(a, b),
        "ext_mul": twin.ext_mul(ea, eb),
        "ext_inverse": twin.ext_inverse(ea),
        "dot_ext": to_array([twin.dot_ext(ea, eb)]),
        "dot_base": to_array([twin.dot_base(ea, b[:N])]),
        "fold_base": twin.fold_base(a, r),
        "fold_ext": twin.fold_ext(np.concatenate([a[: 2 * half].reshape(-1, 2), shifted]), r),
        "eq_tensor": twin.eq_tensor(point, r),
        "encode_base": twin.encode(lanes, 10, 2),
        "encode_ext": code,
        "hash_rows": digests,
        "hash_pairs": twin.hash_pairs(digests),
    }
    lines = {name: array.tobytes().hex() for name, array in arrays.items()}
    return lines | {"grind": str(twin.grind(b"\7" * 32, 9))}


@pytest.mark.cross
@pytest.mark.parametrize("variant", ["portable", "sha2", "no-int128"])
def test_aarch64_equals_the_twin(tmp_path: Path, variant: str) -> None:
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if shutil.which(COMPILER) is None or emulator is None:
        pytest.fail(f"the cross tests need {COMPILER} and qemu-aarch64")
    program = tmp_path / "print_field"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=c11", "-static"]
    source = ROOT / "native" / "src"
    extra = {
        "portable": [],
        "sha2": ["-march=armv8-a+crypto", "-DVC_HAVE_ARMSHA2", str(source / "sha256_armv8.c")],
        "no-int128": ["-U__SIZEOF_INT128__"],
    }[variant]
    files = [*(source / f"{name}.c" for name in SOURCES), ROOT / "native/tests/print_field.c"]
    include = ["-I", str(ROOT / "native/include"), "-I", str(source)]
    subprocess.run([COMPILER, *flags, *include, *extra, *map(str, files), "-o", str(program)], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "VCOMPUTE_ISA"}
    done = subprocess.run([emulator, str(program)], capture_output=True, text=True, check=True, env=environment)
    assert dict(line.split(" ", 1) for line in done.stdout.splitlines()) == expected()
