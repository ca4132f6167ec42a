# SPDX-License-Identifier: Apache-2.0
"""What is shipped works: sdist and wheels build, and a wheel runs from an empty directory in its own environment.

The environments see the dependencies of the test environment, so that nothing is fetched, but not its vcompute.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vcompute.api import load_model
from vcompute.data import digits_model, digits_samples
from vcompute.kernels import reference
from vcompute.task import make_batch

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


def execute(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VCOMPUTE", "PIP"))}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    execute(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", out, ROOT, cwd=out)
    (path,) = out.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module", params=["ON", "OFF"], ids=["native", "fallback"])
def wheel(request: pytest.FixtureRequest, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A wheel built from the unpacked sdist, with the native core or without."""
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        # The archive is our own; Python before 3.11.4 has no extraction filters.
        archive.extractall(out, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (source,) = out.iterdir()
    option = f"-Ccmake.define.VCOMPUTE_NATIVE={request.param}"
    execute(sys.executable, "-m", "build", "--no-isolation", "--wheel", option, "-o", out / "dist", source, cwd=out)
    (path,) = (out / "dist").glob("*.whl")
    return request.param, path


@pytest.fixture(scope="module")
def installed(wheel: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The ``vcompute`` command of an environment with nothing but the wheel and what it depends on."""
    core, path = wheel
    home = tmp_path_factory.mktemp("venv")
    execute(sys.executable, "-m", "venv", home, cwd=home)
    binaries = home / ("Scripts" if os.name == "nt" else "bin")
    execute(binaries / "python", "-m", "pip", "install", "-q", "--no-index", "--no-deps", path, cwd=home)
    layout = sysconfig.get_paths("venv", {"base": str(home), "platbase": str(home)})
    Path(layout["purelib"], "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return core, binaries / "vcompute"


def test_the_sdist_has_what_a_build_and_its_tests_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "native/include/vcompute.h"} <= names
    assert {"vcompute/py.typed", "vcompute/data/digits/digits.tflite", "tests/unit/test_wheel.py"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc")) or name.startswith("build/")]


def test_the_wheel_holds_the_package_and_its_data(wheel: tuple[str, Path]) -> None:
    core, path = wheel
    names = set(zipfile.ZipFile(path).namelist())
    assert {"vcompute/py.typed", "vcompute/data/digits/digits.tflite", "vcompute/data/digits/samples.npz"} <= names
    assert any(name.startswith("vcompute/_native/_core") for name in names) is (core == "ON")
    assert {name.split("/")[0].split("-")[0] for name in names} == {"vcompute"}


def test_it_runs_from_an_empty_directory(installed: tuple[str, Path], tmp_path: Path) -> None:
    core, command = installed
    done = execute(command, "version", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["core"] == {"ON": "native", "OFF": "fallback"}[core]
    where = execute(command.with_name("python"), "-c", "import vcompute; print(vcompute.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(command.parent.parent)

    images, _ = digits_samples()
    np.save(tmp_path / "images.npy", images[:5])
    (tmp_path / "digits.tflite").write_bytes(digits_model())
    done = execute(command, "run", "digits.tflite", "images.npy", "-o", "out.npy", "--json", cwd=tmp_path)
    expected = reference.run(load_model(digits_model()), make_batch(images[:5]))
    assert (np.load(tmp_path / "out.npy") == expected.arrays[0]).all()
    assert json.loads(done.stdout)["outputs"] == expected.digest.hex()
    assert done.stderr.count("native core") == (0 if core == "ON" else 1)


def test_the_conformance_suite_runs_from_an_empty_directory(installed: tuple[str, Path], tmp_path: Path) -> None:
    """Suite, vectors and chapters are all in the wheel; every level has cases and every case passes."""
    core, command = installed
    kernels = [] if core == "ON" else ["--level", "L0", "--level", "L1"]
    run = ["conformance", "run", "--testee", f"{command} testee", "--json", "--report", "report", *kernels]
    counts = json.loads(execute(command, *run, cwd=tmp_path).stdout)
    assert counts["failed"] == 0
    levels = counts["by_level"]
    assert all(level["passed"] for name, level in levels.items() if not kernels or name in kernels)
    assert counts["passed"] >= 500
    assert (tmp_path / "report" / "report.html").is_file()
    show = "from vcompute.conformance.vectors import requirement_texts as texts; print(texts()['VC-ENC-003'])"
    text = execute(command.with_name("python"), "-c", show, cwd=tmp_path).stdout
    assert "The argument of every head MUST be in its shortest form" in text
