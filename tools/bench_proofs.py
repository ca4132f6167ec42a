# SPDX-License-Identifier: Apache-2.0
"""Succinct proofs, measured: ``bench_proofs.py [--seconds S] [--batches 1,4,16] [--output build/bench/proofs.json]``.

Each network and batch runs in a process of its own, on one thread: constants and commitment of the weights (once for a
model), then proofs that open the commitment, their verification by commitment, proofs that leave the weights to the
verifier, and the native executor beside them. Times are medians, in processor time where not said otherwise. What does
not fit the memory or the time given is left out, and said so. Models come from ``VCOMPUTE_MODELS``, else the embedded
one; ``--networks`` names some.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peer_networks import NETWORKS

from vcompute import _native, load_model
from vcompute.data import digits_model
from vcompute.errors import Rejected, VcomputeError
from vcompute.field import default_backend
from vcompute.kernels.native import compile_plan
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.commitment import encode_commitment
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.setting import ROOT_ONLY, make_setting, prepare
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS
from vcompute.registry import ParameterSetId
from vcompute.task import Model, make_batch
from vcompute.transcript import ProverTranscript

STANDARD = int(ParameterSetId.STANDARD)
CONTEXT = b"benchmark"


def find(name: str) -> Model:
    """A network by name."""
    if name in NETWORKS:
        return NETWORKS[name]()
    directory = os.environ.get("VCOMPUTE_MODELS")
    if directory is None and name != "digits":
        raise SystemExit(f"{name}: set VCOMPUTE_MODELS to the directory of {name}.tflite")
    return load_model(digits_model() if directory is None else (Path(directory) / f"{name}.tflite").read_bytes())


def names() -> list[str]:
    """Every network, the peers' first."""
    directory = os.environ.get("VCOMPUTE_MODELS")
    models = ["digits"] if directory is None else [path.stem for path in sorted(Path(directory).glob("*.tflite"))]
    return [*NETWORKS, *models]


class GrindClock:
    """Processor time that provers spend on nonces, apart."""

    def __init__(self) -> None:
        self.seconds = 0.0
        inner = ProverTranscript.grind

        def timed(transcript: ProverTranscript, label: str, bits: int) -> None:
            start = time.process_time()
            inner(transcript, label, bits)
            self.seconds += time.process_time() - start

        ProverTranscript.grind = timed  # type: ignore[method-assign]

    def take(self) -> float:
        """Since the last time."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def timed(action: Callable[[], Any], budget: float, least: int = 3) -> tuple[float, float, Any]:
    """Median wall and processor seconds of a call, and its last result; once where one call takes the whole budget."""
    walls, processors, result, end = [], [], None, time.perf_counter() + budget
    while not walls or (time.perf_counter() < end and len(walls) < 200) or (len(walls) < least and walls[0] < budget):
        wall, processor = time.perf_counter(), time.process_time()
        result = action()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return statistics.median(walls), statistics.median(processors), result


def measure(name: str, batch: int, budget: float) -> dict[str, Any]:
    """One row of the report."""
    model, clock, backend = find(name), GrindClock(), default_backend()
    shape = [(batch, *kind.shape) for kind in model.graph.inputs]
    inputs = make_batch([np.random.default_rng(1).integers(-128, 128, size).astype("i1") for size in shape])
    constants_seconds = timed(lambda: prepare(model), 0, 1)[1]
    commit_seconds, commitment = timed(lambda: commit_model(model, STANDARD, backend), 0, 1)[1:]
    setting = make_setting(prepare(model), batch, STANDARD, ROOT_ONLY)
    resting = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first_proof, _, (outputs, body) = timed(lambda: SUITE.prove(model, inputs, CONTEXT, STANDARD, 1), 0, 1)
    wall, processor, _ = timed(lambda: SUITE.prove(model, inputs, CONTEXT, STANDARD, 1), budget)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock.take()
    SUITE.prove(model, inputs, CONTEXT, STANDARD, 1)
    grinding = clock.take()
    by_root = Statement(commitment, inputs, outputs, CONTEXT)
    by_model = Statement(model, inputs, outputs, CONTEXT)
    first = timed(lambda: SUITE.verify(by_root, body, STANDARD, 1), 0, 1)[1]
    root_wall, root_processor, security = timed(lambda: SUITE.verify(by_root, body, STANDARD, 1), budget / 4)
    _, open_processor, (_, open_body) = timed(
        lambda: SUITE_WITH_WEIGHTS.prove(model, inputs, CONTEXT, STANDARD, 1), budget / 4, 1
    )
    SUITE_WITH_WEIGHTS.verify(by_model, open_body, STANDARD, 1)
    weights_wall, weights_processor, _ = timed(
        lambda: SUITE_WITH_WEIGHTS.verify(by_model, open_body, STANDARD, 1), budget / 4
    )
    plan, arrays = compile_plan(model), inputs.arrays
    _, native, _ = timed(lambda: plan.run(*arrays), budget / 8)
    activations = model.work().elements * batch
    return {
        "network": name, "batch": batch, "macs": model.work().macs * batch, "activations": activations,
        "constants_seconds": constants_seconds, "commit_seconds": commit_seconds,
        "commitment_bytes": len(encode_commitment(commitment)),
        "first_prove_seconds": first_proof, "prove_seconds": wall, "prove_cpu_seconds": processor,
        "grind_cpu_seconds": grinding,
        "prove_cpu_seconds_with_weights": open_processor,
        "first_verify_cpu_seconds": first, "verify_seconds": root_wall, "verify_cpu_seconds": root_processor,
        "verify_seconds_with_weights": weights_wall, "verify_cpu_seconds_with_weights": weights_processor,
        "proof_bytes": len(body), "proof_bytes_with_weights": len(open_body),
        "peak_rss_bytes": peak * 1024, "resting_rss_bytes": resting * 1024,
        "table_rows": sum(table.rows for table in setting.circuit.tables),
        "committed_elements": setting.layout.length, "leaves": sum(1 << bits for bits in setting.circuit.leaves.bits),
        "ns_per_activation": processor / activations * 1e9,
        "native_cpu_seconds": native, "prove_over_native": processor / native,
        "security_bits": security.bits, "union_bits": security.union_bits,
    }  # fmt: skip


def available_memory() -> int:
    """Bytes that may be used without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) << 10
    return 1 << 32


def beyond(known: list[dict[str, Any]], batch: int, arguments: argparse.Namespace) -> str | None:
    """Why a batch is left out, judged by the largest one of the network that was measured."""
    if not known:
        return None
    last = known[-1]
    factor = batch / last["batch"]
    grown = (last["peak_rss_bytes"] - last["resting_rss_bytes"]) * factor + last["resting_rss_bytes"]
    memory = min(arguments.memory << 30, available_memory()) if arguments.memory else available_memory()
    if grown > memory * 0.8:
        return f"would need about {grown / 2**30:.1f} GiB"
    if last["prove_cpu_seconds"] * factor > arguments.longest:
        return f"would take about {last['prove_cpu_seconds'] * factor:.0f} s a proof"
    return None


def run(name: str, batch: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """A row from a process of its own; ``left_out`` where it failed."""
    command = [sys.executable, __file__, "--inside", f"{name}:{batch}", "--seconds", str(arguments.seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"ended with {done.returncode}"
        return {"network": name, "batch": batch, "left_out": reason}
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of proving, for each network and batch")
    parser.add_argument("--batches", default="1,4,16")
    parser.add_argument("--networks", help="comma-separated; default all")
    parser.add_argument("--memory", type=int, default=0, help="GiB that a proof may take; default what is available")
    parser.add_argument("--longest", type=float, default=60, help="seconds that one proof may take")
    parser.add_argument("--output", type=Path, default=Path("build/bench/proofs.json"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        name, _, batch = arguments.inside.rpartition(":")
        try:
            print(json.dumps(measure(name, int(batch), arguments.seconds)))
        except (VcomputeError, MemoryError) as error:
            reason = f"{error.code.name.lower()}: {error.message}" if isinstance(error, Rejected) else repr(error)
            print(reason, file=sys.stderr)
            return 1
        return 0
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    isa = _native.ffi.string(_native.lib.vc_int8_name()).decode()
    report = {"cpu": processor(), "isa": isa, "parameter_set": "standard", "rows": rows, "left_out": left_out}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks.split(",") if arguments.networks else names():
        known: list[dict[str, Any]] = []
        for batch in map(int, arguments.batches.split(",")):
            reason = beyond(known, batch, arguments)
            row = {"network": name, "batch": batch, "left_out": reason} if reason else run(name, batch, arguments)
            (left_out if "left_out" in row else rows).append(row)
            arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            if "left_out" in row:
                print(f"{name:32} batch {batch:3}: left out, {row['left_out']}", flush=True)
                continue
            known.append(row)
            print(
                f"{name:32} batch {batch:3}: prove {row['prove_cpu_seconds'] * 1e3:8.1f} ms "
                f"({row['ns_per_activation']:.0f} ns an activation, {row['prove_over_native']:.0f} x native), "
                f"verify {row['verify_cpu_seconds'] * 1e3:6.1f} / "
                f"{row['verify_cpu_seconds_with_weights'] * 1e3:6.1f} ms, "
                f"{row['proof_bytes'] / 1e3:.0f} / {row['proof_bytes_with_weights'] / 1e3:.0f} kB, "
                f"{row['peak_rss_bytes'] / 2**20:.0f} MiB",
                flush=True,
            )
    print(arguments.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
