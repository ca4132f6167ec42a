# SPDX-License-Identifier: Apache-2.0
"""The int8 hot path beside what people use: ``bench_int8.py [--seconds S] [--output build/bench/int8.json]``.

One thread, pinned to one processor, in processor time. Every contestant of a line is measured in turn, many times over,
and the median of each is kept, so that a busy machine slows all of them alike. Models come from ``VCOMPUTE_MODELS``,
else the embedded one. ``numpy_f32_gmacs`` is numpy's float32 product in a process of its own without ``OPENBLAS_*``
overrides; ``peak_gmacs`` the products of a loop in registers alone with the same instructions (null where none is).
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from vcompute import _native, load_model
from vcompute.data import digits_model
from vcompute.kernels.native import compile_plan, matmul

SIZES = (64, 128, 256, 512, 1024, 2048)
PEAK_ROUNDS = 20_000


def seconds_of(action: Callable[[], Any], repeats: int) -> float:
    """Of one call, after one that is not counted: what ran in between has emptied the caches."""
    action()
    start = time.thread_time()
    for _ in range(repeats):
        action()
    return (time.thread_time() - start) / repeats


def medians(actions: dict[str, Callable[[], Any]], budget: float) -> dict[str, float]:
    """Seconds of each action: the median of samples taken in turn for ``budget`` seconds, at least seven of each."""
    repeats = {}
    for name, action in actions.items():
        action()
        repeats[name] = max(1, int(3e-4 / max(seconds_of(action, 2), 1e-9)))
    samples: dict[str, list[float]] = {name: [] for name in actions}
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(samples[next(iter(samples))]) < 7:
        for name, action in actions.items():
            samples[name].append(seconds_of(action, repeats[name]))
    return {name: statistics.median(values) for name, values in samples.items()}


def models() -> dict[str, bytes]:
    directory = os.environ.get("VCOMPUTE_MODELS")
    if directory is None:
        return {"digits": digits_model()}
    return {path.stem: path.read_bytes() for path in sorted(Path(directory).glob("*.tflite"))}


def interpreter(data: bytes, x: np.ndarray, resolver: OpResolverType) -> Interpreter:
    """One-threaded, its input set."""
    made = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=resolver)
    made.allocate_tensors()
    details = made.get_input_details()[0]
    made.set_tensor(details["index"], x if details["dtype"] == np.int8 else (x.astype(np.int16) + 128).astype(np.uint8))
    return made


def bench_model(data: bytes, budget: float) -> dict[str, float]:
    model = load_model(data)
    x = np.random.default_rng(1).integers(-128, 128, (1, *model.graph.inputs[0].shape), np.int8)
    plan = compile_plan(model)
    fast = interpreter(data, x, OpResolverType.AUTO)
    reference = interpreter(data, x, OpResolverType.BUILTIN_REF)
    times = medians(
        {"ours_ms": lambda: plan.run(x), "xnnpack_ms": fast.invoke, "builtin_ref_ms": reference.invoke}, budget
    )
    return {name: value * 1e3 for name, value in times.items()}


class FloatProducts:
    """A child process that times numpy's float32 products."""

    def __init__(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
        self.child = subprocess.Popen(
            [sys.executable, __file__, "--float-child"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.child.stdout is not None
        self.kernel = self.child.stdout.readline().strip()

    def seconds(self, size: int) -> float:
        """Of one product."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(f"{size}\n")
        self.child.stdin.flush()
        return float(self.child.stdout.readline())

    def close(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()


def blas_kernel() -> str:
    """The name of numpy's BLAS and of the kernel it chose, where it tells."""
    import ctypes

    name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    for path in sorted(Path(np.__file__).parent.parent.glob("numpy.libs/*openblas*")):
        library = ctypes.CDLL(str(path))
        for symbol in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename64_"):
            if hasattr(library, symbol):
                function = getattr(library, symbol)
                function.restype = ctypes.c_char_p
                return f"{name} {function().decode()}"
    return str(name)


def float_child() -> None:
    """Answer each size on standard input with the seconds of one product."""
    print(blas_kernel(), flush=True)
    arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for line in sys.stdin:
        size = int(line)
        if size not in arrays:
            rng = np.random.default_rng(size)
            arrays[size] = (rng.random((size, size), np.float32), rng.random((size, size), np.float32))
            np.matmul(*arrays[size])
        a, b = arrays[size]
        repeats = max(1, (1 << 22) // size**2 // 8)
        print(seconds_of(lambda a=a, b=b: np.matmul(a, b), repeats), flush=True)


def bench_gemm(size: int, floats: FloatProducts, budget: float) -> dict[str, float | None]:
    """GMAC/s of ``vcompute.matmul`` with packing and allocation, of numpy, and of the register loop."""
    rng = np.random.default_rng(size)
    a, b = (rng.integers(-128, 128, (size, size), np.int8) for _ in range(2))
    products = _native.lib.vc_int8_peak(1)
    repeats = max(1, int(3e-4 / max(seconds_of(lambda: matmul(a, b), 2), 1e-9)))
    ours, peak, other = [], [], []
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(ours) < 7:
        ours.append(seconds_of(lambda: matmul(a, b), repeats))
        peak.append(seconds_of(lambda: _native.lib.vc_int8_peak(PEAK_ROUNDS), 1))
        other.append(floats.seconds(size))
    return {
        "ours_gmacs": size**3 / statistics.median(ours) / 1e9,
        "peak_gmacs": products * PEAK_ROUNDS / statistics.median(peak) / 1e9 if products else None,
        "numpy_f32_gmacs": size**3 / statistics.median(other) / 1e9,
    }


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def summary(report: dict[str, Any]) -> str:
    lines = [f"{report['cpu']}, {report['isa']}, {report['blas']}", ""]
    ratios = []
    for name, row in report["models"].items():
        ratio = row["ours_ms"] / row["xnnpack_ms"]
        if row["xnnpack_ms"] > 0.02:
            ratios.append(ratio)
        lines.append(
            f"{name:32} {row['ours_ms']:9.4f} ms   {ratio:5.2f} x XNNPACK   "
            f"BUILTIN_REF {row['builtin_ref_ms'] / row['ours_ms']:6.1f} x slower"
        )
    if ratios:
        lines.append(f"geometric mean where XNNPACK takes over 20 us: {statistics.geometric_mean(ratios):.2f}")
    for size, row in report["gemm"].items():
        share = f"{row['ours_gmacs'] / row['peak_gmacs']:4.0%} of the register peak" if row["peak_gmacs"] else ""
        lines.append(f"{size:>5}^3 {row['ours_gmacs']:7.1f} GMAC/s {share}   numpy f32 {row['numpy_f32_gmacs']:6.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the report")
    parser.add_argument("--output", type=Path, default=Path("build/bench/int8.json"))
    parser.add_argument("--float-child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.float_child:
        float_child()
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    floats = FloatProducts()
    report = {
        "models": {name: bench_model(data, arguments.seconds) for name, data in models().items()},
        "gemm": {str(size): bench_gemm(size, floats, arguments.seconds) for size in SIZES},
        "cpu": processor(),
        "isa": _native.ffi.string(_native.lib.vc_int8_name()).decode(),
        "blas": floats.kernel,
    }
    floats.close()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(summary(report))
    print(arguments.output)


if __name__ == "__main__":
    main()
