# SPDX-License-Identifier: Apache-2.0
"""The int8 hot path beside what people use: ``bench_int8.py [--seconds S] [--output build/bench/int8.json]``.

One thread, pinned to one processor, in processor time. Every contestant of a line is measured in turn, many times over,
and the median of each is kept, so that a busy machine slows all of them alike. Models come from ``VCOMPUTE_MODELS``,
else the embedded one. Of products, all int8 columns in GMAC/s:

- ``ours_gmacs`` a call of ``vcompute.matmul``, packing and allocation included;
- ``ours_prepacked_gmacs`` the same with ``vcompute.pack`` done beforehand;
- ``ours_kernel_gmacs`` the core's product alone, packed beforehand and into memory that is there, as in a plan;
- ``peak_gmacs`` a loop in registers alone with the same instructions (null where there is none);
- ``numpy_f32_gmacs`` numpy's float32 product, in a process of its own without ``OPENBLAS_*`` overrides.

``avx2`` has the first four of the AVX2 kernels, measured in turn with the others, from a process of its own with
``VCOMPUTE_ISA=sse41,avx2``.
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

import vcompute
from vcompute import _native, load_model
from vcompute.data import digits_model
from vcompute.kernels.native import compile_plan
from vcompute.kernels.native.memory import aligned_bytes

SIZES = (64, 128, 256, 512, 1024, 2048)
PEAK_ROUNDS = 20_000
SAMPLE = 1e-3
"""Seconds of a sample of products, at least one product."""
OURS = {
    "ours_gmacs": "whole",
    "ours_prepacked_gmacs": "prepacked",
    "ours_kernel_gmacs": "kernel",
    "peak_gmacs": "peak",
}
"""Keys of the report, and what :class:`Products` calls it."""


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


class Products:
    """Samples of our products of one size, and of the register loop."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(size)
        a, b = (rng.integers(-128, 128, (size, size), np.int8) for _ in range(2))
        packed = vcompute.pack(b)
        self.actions: dict[str, Callable[[], Any]] = {
            "whole": lambda: vcompute.matmul(a, b),
            "prepacked": lambda: vcompute.matmul(a, packed),
            "kernel": kernel(a, b),
        }
        self.repeats = max(1, int(SAMPLE / max(seconds_of(self.actions["whole"], 2), 1e-9)))
        self.macs = size**3
        self.peak_macs = _native.lib.vc_int8_peak(1) * PEAK_ROUNDS

    def gmacs(self, name: str) -> float:
        """Of one sample; 0 where there is no such loop."""
        if name == "peak":
            return self.peak_macs / seconds_of(lambda: _native.lib.vc_int8_peak(PEAK_ROUNDS), 1) / 1e9
        return self.macs / seconds_of(self.actions[name], self.repeats) / 1e9


def kernel(a: np.ndarray, b: np.ndarray) -> Callable[[], None]:
    """The core's product of square matrices into memory of its own."""
    ffi, lib, size = _native.ffi, _native.lib, len(a)
    packed_bytes = lib.vc_matmul_packed_bytes(size, size)
    memory, result = aligned_bytes(packed_bytes + lib.vc_matmul_scratch_bytes(size, size)), aligned_bytes(4 * size**2)
    left, right, out = ffi.from_buffer("int8_t[]", a), ffi.from_buffer("int8_t[]", b), ffi.cast("int32_t *", result)
    lib.vc_matmul_pack(memory, right, size, size)

    def product(keep: Any = (memory, result)) -> None:
        lib.vc_matmul_rows(out, left, memory, size, size, size, memory + packed_bytes)

    return product


class Child:
    """This script in a process of its own, which answers requests with numbers: ``--child floats|products``."""

    def __init__(self, role: str, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", role],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.kernel = self.process.stdout.readline().strip()

    def ask(self, size: int, name: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{size} {name}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def float_child() -> Child:
    return Child("floats", {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")})


def avx2_child() -> Child | None:
    """The AVX2 kernels, where this processor has them."""
    child = Child("products", {**os.environ, "VCOMPUTE_ISA": "sse41,avx2"})
    if child.kernel == "avx2":
        return child
    child.close()
    return None


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


def isa() -> str:
    return str(_native.ffi.string(_native.lib.vc_int8_name()).decode())


def answer_floats() -> None:
    """GMAC/s of numpy's float32 products, for each request on standard input."""
    print(blas_kernel(), flush=True)
    arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for line in sys.stdin:
        size = int(line.split()[0])
        if size not in arrays:
            rng = np.random.default_rng(size)
            arrays[size] = (rng.random((size, size), np.float32), rng.random((size, size), np.float32))
            np.matmul(*arrays[size])
        a, b = arrays[size]
        repeats = max(1, (1 << 22) // size**2 // 8)
        print(size**3 / seconds_of(lambda a=a, b=b: np.matmul(a, b), repeats) / 1e9, flush=True)


def answer_products() -> None:
    """GMAC/s of our products under this process's ``VCOMPUTE_ISA``."""
    print(isa(), flush=True)
    made: dict[int, Products] = {}
    for line in sys.stdin:
        size, name = line.split()
        if int(size) not in made:
            made = {int(size): Products(int(size))}
        print(made[int(size)].gmacs(name), flush=True)


def bench_gemm(size: int, floats: Child, avx2: Child | None, budget: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Medians of one size: of the kernels in use beside numpy, and of AVX2."""
    products = Products(size)
    contestants: dict[str, Callable[[], float]] = {
        key: lambda name=name: products.gmacs(name) for key, name in OURS.items()
    }
    contestants["numpy_f32_gmacs"] = lambda: floats.ask(size, "float32")
    if avx2 is not None:
        contestants |= {f"avx2 {key}": lambda name=name: avx2.ask(size, name) for key, name in OURS.items()}
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(samples["ours_gmacs"]) < 7:
        for name, sample in contestants.items():
            samples[name].append(sample())
    result = {name: statistics.median(values) or None for name, values in samples.items()}
    other = {key: result.pop(f"avx2 {key}") for key in OURS if avx2 is not None}
    return result, other


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
    lines += gemm_summary(report["isa"], report["gemm"])
    if report["avx2"]:
        lines += gemm_summary("avx2", report["avx2"]["gemm"])
    return "\n".join(lines)


def gemm_summary(name: str, gemm: dict[str, Any]) -> list[str]:
    lines = [f"products, {name}, GMAC/s and share of the register peak:"]
    for size, row in gemm.items():
        text = f"{size:>5}^3"
        for key, label in (
            ("ours_gmacs", "whole"),
            ("ours_prepacked_gmacs", "packed"),
            ("ours_kernel_gmacs", "kernel"),
        ):
            text += f"   {label} {row[key]:6.1f}" + (
                f" {row[key] / row['peak_gmacs']:4.0%}" if row["peak_gmacs"] else ""
            )
        lines.append(text + (f"   numpy f32 {row['numpy_f32_gmacs']:6.1f}" if "numpy_f32_gmacs" in row else ""))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the report")
    parser.add_argument("--output", type=Path, default=Path("build/bench/int8.json"))
    parser.add_argument("--child", choices=("floats", "products"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        (answer_floats if arguments.child == "floats" else answer_products)()
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    floats, avx2 = float_child(), avx2_child()
    models_report = {name: bench_model(data, arguments.seconds) for name, data in models().items()}
    gemm = {str(size): bench_gemm(size, floats, avx2, arguments.seconds) for size in SIZES}
    report = {
        "models": models_report,
        "gemm": {size: row for size, (row, _) in gemm.items()},
        "avx2": {"gemm": {size: row for size, (_, row) in gemm.items()}} if avx2 else None,
        "cpu": processor(),
        "isa": isa(),
        "blas": floats.kernel,
    }
    for child in (floats, avx2):
        if child is not None:
            child.close()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(summary(report))
    print(arguments.output)


if __name__ == "__main__":
    main()
