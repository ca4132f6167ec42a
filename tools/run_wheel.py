# SPDX-License-Identifier: Apache-2.0
"""Run the aarch64 wheel in an emulated Python: ``run_wheel.py [WHEEL]``; default the one in ``dist``.

Debian's Python for arm64 is fetched and unpacked below ``build/aarch64`` (nothing is installed), the wheel and what it
depends on beside it, and qemu-user runs them as processors of several kinds. Each has to choose the kernels that its
processor allows and give the bytes of the stored outputs of every model in ``VCOMPUTE_MODELS``, or of the reference
kernels on the embedded model. Needs apt-get, dpkg-deb, qemu-aarch64 and the network.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "aarch64"
PACKAGES = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "zlib1g", "libexpat1", "libffi8",
    "libssl3", "libgcc-s1", "libbz2-1.0", "liblzma5", "libstdc++6", "libuuid1", "libcrypt1",
)  # fmt: skip
DEPENDENCIES = ("numpy", "cffi", "click", "cryptography", "rich")
PROCESSORS = {"cortex-a53": "neon", "cortex-a76": "dotprod", "max": "i8mm"}
"""Emulated processors and the kernels that the core has to choose on each."""

PROGRAM = """
import json, os, platform
from pathlib import Path
import numpy as np
from vcompute import _native, load_model, matmul
from vcompute.data import digits_model
from vcompute.importers import Semantics, read_tflite
from vcompute.kernels import reference
from vcompute.kernels.native import compile_plan
from vcompute.task import make_batch

rng = np.random.default_rng(1)
a, b = rng.integers(-128, 128, (33, 77), np.int8), rng.integers(-128, 128, (77, 19), np.int8)
equal = int((matmul(a, b) == a.astype(np.int32) @ b.astype(np.int32)).all())
model = load_model(digits_model())
x = rng.integers(-128, 128, (2, *model.graph.inputs[0].shape), np.int8)
equal += int((compile_plan(model).run(x) == reference.run(model, make_batch(x)).arrays[0]).all())
runs = 2
place = os.environ.get("VCOMPUTE_MODELS")
for path in sorted(Path(place).glob("*.tflite")) if place else ():
    for semantics, name in ((Semantics.LITERT, "litert230_ref"), (Semantics.CLASSIC, "classic_ref")):
        inputs = np.load(path.parent / "inputs" / f"{path.stem}.npz")
        outputs = np.load(path.parent / "expected" / f"{path.stem}.{name}.npz")
        plan = compile_plan(read_tflite(path, semantics))
        for key, expected in (("x", "y0"), ("x_random", "y0_random")):
            got = plan.run(np.ascontiguousarray(inputs[key][:1]))
            equal += int((got == outputs[expected][:1].reshape(got.shape)).all())
            runs += 1
kernels = _native.ffi.string(_native.lib.vc_int8_name()).decode()
print(json.dumps([platform.machine(), kernels, runs, equal]))
"""


def run(command: list[str], **options: object) -> None:
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


def unpack_python(root: Path) -> None:
    """Debian's Python for arm64, with package lists of its own."""
    state, cache, packages = (PLACE / name for name in ("state", "cache", "packages"))
    for directory in (state / "lists" / "partial", cache / "archives" / "partial", packages, root):
        directory.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = [
        "-q", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64", "-o", f"Dir::State={state}",
        "-o", f"Dir::State::status={state / 'status'}", "-o", f"Dir::Cache={cache}",
    ]  # fmt: skip
    run(["apt-get", *options, "update"], stdout=subprocess.DEVNULL)
    run(["apt-get", *options, "download", *PACKAGES], cwd=packages, stdout=subprocess.DEVNULL)
    for package in packages.glob("*.deb"):
        run(["dpkg-deb", "-x", str(package), str(root)])


def install(wheel: Path, site: Path) -> None:
    """The wheel and its dependencies as a folder for PYTHONPATH."""
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 34)]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "install",
        "--upgrade",
        "--target",
        str(site),
    ]
    binary = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *platforms]
    run([*pip, *binary, "--platform=manylinux2014_aarch64", *DEPENDENCIES])
    run([*pip, *binary, "--no-deps", str(wheel)])


def main(argv: list[str]) -> int:
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    wheels = [Path(argv[0])] if argv else sorted((ROOT / "dist").glob("*aarch64.whl"))
    if emulator is None or not wheels:
        print("needs qemu-aarch64 and a wheel: make wheels", file=sys.stderr)
        return 2
    root, site = PLACE / "root", PLACE / "site"
    if not (root / "usr/bin/python3.11").exists():
        unpack_python(root)
    shutil.rmtree(site, ignore_errors=True)
    install(wheels[-1], site)
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "VCOMPUTE_ISA": ""}
    failed = 0
    for processor, expected in PROCESSORS.items():
        command = [emulator, "-cpu", processor, "-L", str(root), str(root / "usr/bin/python3.11"), "-c", PROGRAM]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=PLACE)
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
            return 1
        machine, kernels, runs, equal = json.loads(done.stdout)
        print(f"{wheels[-1].name} on {machine} {processor}: {kernels}, {equal} of {runs} equal", flush=True)
        failed |= (machine, kernels, equal) != ("aarch64", expected, runs)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
