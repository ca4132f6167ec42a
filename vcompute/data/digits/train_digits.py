# SPDX-License-Identifier: Apache-2.0
"""Make the embedded digit model: train in numpy, quantise to int8, write ``digits.tflite`` and its companions.

``python train_digits.py --out DIR`` writes the files anew; ``python train_digits.py --check [--out DIR]`` runs the
files in DIR (default: beside this script) through LiteRT and compares them with ``digits.json``.

Quantisation after training: activations are asymmetric int8, calibrated on the training set; weights are symmetric
int8, one scale for each output channel of a convolution and one for the whole of FULLY_CONNECTED; biases are int32
at input scale times weight scale. Source: the TensorFlow Lite 8-bit quantisation specification.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

if not __package__:  # run as a file: import from the tree this file belongs to
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from vcompute.data.digits import float_network as net
from vcompute.data.digits import tflite_writer as tfl

SPLIT_SEED = 1998
TRAINING_SEED = 1
EPOCHS = 60
HELD_OUT_PER_CLASS = 40
DESCRIPTION = "Handwritten digits 8x8, int8, trained and quantised by train_digits.py of vcompute"
LICENCE = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998 "
    "(https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits), as distributed with "
    "scikit-learn (load_digits); CC BY 4.0. samples.npz holds a part of it, its pixels scaled to int8."
)

Labels = npt.NDArray[np.uint8]
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Affine:
    """Quantisation of an activation: real = scale * (q - zero_point)."""

    scale: float
    zero_point: int

    @classmethod
    def spanning(cls, values: net.Array) -> Affine:
        """Return the int8 quantisation whose range is that of the values, widened to contain zero."""
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        scale = float(np.float32((high - low) / 255))
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    def quantise(self, values: net.Array) -> Int8Array:
        """Round to nearest and saturate."""
        q = np.rint(values.astype(np.float64) / self.scale) + self.zero_point
        saturated: Int8Array = np.clip(q, -128, 127).astype(np.int8)
        return saturated


INPUT = Affine(float(np.float32(1 / 255)), -128)
PROBABILITIES = Affine(1 / 256, -128)


@dataclass(frozen=True, slots=True)
class Split:
    """Images (N, 8, 8, 1) in [0, 1] and labels, for training and calibration, and held out."""

    x: net.Array
    labels: Labels
    held_x: net.Array
    held_labels: Labels


def load_split() -> Split:
    """Load the data set; hold out the same number of images of each class."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images / 16).astype(np.float32)[..., np.newaxis]
    labels = digits.target.astype(np.uint8)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    held = np.zeros(len(x), bool)
    for digit in range(10):
        held[order[labels[order] == digit][:HELD_OUT_PER_CLASS]] = True
    train, test = order[~held[order]], order[held[order]]
    return Split(x[train], labels[train], x[test], labels[test])


class Exporter:
    """Appends quantised layers to a graph; remembers the quantisation of every activation."""

    def __init__(self) -> None:
        self.graph = tfl.GraphBuilder()
        self._affine: dict[int, Affine] = {}

    def input(self, name: str, shape: tuple[int, ...], affine: Affine) -> int:
        """Append the graph's input."""
        index = self.graph.tensor(_activation(name, shape, affine))
        self._affine[index] = affine
        return index

    def operator(
        self,
        op: tfl.Op,
        inputs: tuple[int, ...],
        output: tuple[str, tuple[int, ...]],
        options: tfl.Options,
        affine: Affine | None = None,
    ) -> int:
        """Append an operator; without ``affine`` its output is quantised as its first input."""
        affine = affine or self._affine[inputs[0]]
        index = self.graph.operator(op, inputs, _activation(*output, affine), options)
        self._affine[index] = affine
        return index

    def convolution(self, x: int, name: str, layer: net.Convolution, values: net.Array) -> int:
        """Append CONV_2D or DEPTHWISE_CONV_2D, its output calibrated on ``values``."""
        activation = tfl.Activation.RELU if layer.relu else tfl.Activation.NONE
        options: tfl.Options
        if layer.depthwise:
            op, axis, weights = tfl.Op.DEPTHWISE_CONV_2D, 3, layer.weights[np.newaxis]
            options = tfl.DepthwiseConv2DOptions(
                tfl.Padding.SAME, layer.stride, layer.stride, fused_activation_function=activation
            )
        else:
            op, axis, weights = tfl.Op.CONV_2D, 0, layer.weights.transpose(3, 0, 1, 2)
            options = tfl.Conv2DOptions(tfl.Padding.SAME, layer.stride, layer.stride, activation)
        others = tuple(a for a in range(4) if a != axis)
        scales = np.maximum(np.abs(weights).max(others), 1e-6).astype(np.float64) / 127
        parameters = self._parameters(x, name, weights, layer.bias, scales, axis)
        shape = (1, *values.shape[1:])
        return self.operator(op, (x, *parameters), (name, shape), options, Affine.spanning(values))

    def dense(self, x: int, name: str, layer: net.Dense, values: net.Array) -> int:
        """Append FULLY_CONNECTED, its output calibrated on ``values``."""
        weights = layer.weights.T
        scales = np.abs(weights).max(keepdims=True)[0].astype(np.float64) / 127
        parameters = self._parameters(x, name, weights, layer.bias, scales, 0)
        output = (name, (1, len(layer.bias)))
        options = tfl.FullyConnectedOptions()
        return self.operator(tfl.Op.FULLY_CONNECTED, (x, *parameters), output, options, Affine.spanning(values))

    def _parameters(
        self, x: int, name: str, weights: net.Array, bias: net.Array, scales: npt.NDArray[np.float64], axis: int
    ) -> tuple[int, int]:
        """Append int8 weights, with ``scales`` along ``axis``, and an int32 bias."""
        scales = scales.astype(np.float32).astype(np.float64)
        shape = [-1 if a == axis else 1 for a in range(weights.ndim)]
        q = np.clip(np.rint(weights / scales.reshape(shape)), -127, 127).astype(np.int8)
        bias_scales = (scales * self._affine[x].scale).astype(np.float32).astype(np.float64)
        q_bias = np.rint(bias / bias_scales).astype(np.int32)
        return (
            self.graph.tensor(_constant(f"{name}/weights", q, scales, axis)),
            self.graph.tensor(_constant(f"{name}/bias", q_bias, bias_scales, 0)),
        )


def _activation(name: str, shape: tuple[int, ...], affine: Affine) -> tfl.TensorSpec:
    return tfl.TensorSpec(name, shape, np.int8, (affine.scale,), (affine.zero_point,))


def _constant(name: str, values: npt.NDArray[Any], scales: npt.NDArray[np.float64], axis: int) -> tfl.TensorSpec:
    zero_points = (0,) * len(scales)
    return tfl.TensorSpec(name, values.shape, values.dtype, tuple(scales.tolist()), zero_points, axis, values)


def export(network: net.Network, calibration: net.Array) -> bytes:
    """Quantise the network, calibrating on the images given, and return the ``.tflite`` file."""
    seen = network.forward(calibration)
    out = Exporter()
    x = out.input("image", (1, *calibration.shape[1:]), INPUT)
    stem = out.convolution(x, "stem", network.stem, seen.stem)
    reduced = out.convolution(stem, "reduce", network.reduce, seen.reduced)
    expanded = out.convolution(reduced, "expand", network.expand, seen.expanded)
    filtered = out.convolution(expanded, "filter", network.filter, seen.filtered)
    projected = out.convolution(filtered, "project", network.project, seen.projected)
    residual = out.operator(
        tfl.Op.ADD,
        (expanded, projected),
        ("residual", (1, *seen.residual.shape[1:])),
        tfl.AddOptions(tfl.Activation.RELU),
        Affine.spanning(seen.residual),
    )
    pool = tfl.Pool2DOptions(tfl.Padding.VALID, stride_h=2, stride_w=2, filter_height=2, filter_width=2)
    pooled_shape = (1, *seen.pooled.shape[1:])
    pooled = out.operator(tfl.Op.AVERAGE_POOL_2D, (residual,), ("pool", pooled_shape), pool)
    flat_shape = (1, int(np.prod(pooled_shape)))
    flat_operand = out.graph.constant("flatten/shape", flat_shape)
    flat = out.operator(tfl.Op.RESHAPE, (pooled, flat_operand), ("flatten", flat_shape), tfl.ReshapeOptions(flat_shape))
    logits = out.dense(flat, "logits", network.classify, seen.logits)
    probabilities = out.operator(
        tfl.Op.SOFTMAX, (logits,), ("probabilities", (1, 10)), tfl.SoftmaxOptions(), PROBABILITIES
    )
    return out.graph.write([x], [probabilities], DESCRIPTION)


def evaluate(model: bytes, x: Int8Array, labels: Labels, *, reference: bool) -> float:
    """Accuracy of a ``.tflite`` in LiteRT, with its reference kernels or its default (XNNPACK) ones."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kind, num_threads=1)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    correct = 0
    for image, label in zip(x, labels, strict=True):
        interpreter.set_tensor(input_index, image[np.newaxis])
        interpreter.invoke()
        correct += int(interpreter.get_tensor(output_index)[0].argmax() == label)
    return correct / len(labels)


def build(folder: Path) -> None:
    """Train, quantise, evaluate, and write model, held-out samples and description into the folder."""
    split = load_split()
    network = net.train(split.x, split.labels, TRAINING_SEED, EPOCHS)
    model = export(network, split.x)
    held = INPUT.quantise(split.held_x)
    float_hits = network.forward(split.held_x).logits.argmax(1) == split.held_labels
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits.tflite").write_bytes(model)
    np.savez_compressed(folder / "samples.npz", x=held, labels=split.held_labels)
    record = {
        "model": "digits.tflite",
        "sha256": hashlib.sha256(model).hexdigest(),
        "bytes": len(model),
        "samples": "samples.npz",
        "samples_sha256": hashlib.sha256((folder / "samples.npz").read_bytes()).hexdigest(),
        "training_images": len(split.x),
        "held_out_images": len(held),
        "split_seed": SPLIT_SEED,
        "training_seed": TRAINING_SEED,
        "accuracy_float": float(float_hits.mean()),
        "accuracy_int8": evaluate(model, held, split.held_labels, reference=True),
        "input": {"scale": INPUT.scale, "zero_point": INPUT.zero_point, "real_range": [0, 1]},
        "output": {"scale": PROBABILITIES.scale, "zero_point": PROBABILITIES.zero_point},
        "data_licence": LICENCE,
    }
    (folder / "digits.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def check(folder: Path) -> bool:
    """Print the accuracy of the folder's model in LiteRT; return whether model and accuracy are those recorded."""
    record = json.loads((folder / "digits.json").read_text(encoding="utf-8"))
    model = (folder / "digits.tflite").read_bytes()
    samples_path = folder / "samples.npz"
    digest, samples_digest = (hashlib.sha256(data).hexdigest() for data in (model, samples_path.read_bytes()))
    with np.load(samples_path) as samples:
        x, labels = samples["x"], samples["labels"]
    accuracy = evaluate(model, x, labels, reference=True)
    print(f"sha256            {digest}")
    print(f"samples           {len(labels)}")
    print(f"float (recorded)  {record['accuracy_float']:.4f}")
    print(f"int8, BUILTIN_REF {accuracy:.4f} (recorded {record['accuracy_int8']:.4f})")
    print(f"int8, default     {evaluate(model, x, labels, reference=False):.4f}")
    same_files = (digest, samples_digest) == (record["sha256"], record["samples_sha256"])
    return same_files and accuracy == record["accuracy_int8"]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make or check the embedded digit model.")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the files (--check: default this one)")
    parser.add_argument("--check", action="store_true", help="evaluate the files instead of making them")
    options = parser.parse_args(arguments)
    if options.check:
        if check(options.out or Path(__file__).resolve().parent):
            return 0
        print("the files do not match digits.json", file=sys.stderr)
        return 1
    if options.out is None:
        parser.error("--out DIR is required")
    build(options.out)
    return 0 if check(options.out) else 1


if __name__ == "__main__":
    sys.exit(main())
