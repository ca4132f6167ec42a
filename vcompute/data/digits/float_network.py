# SPDX-License-Identifier: Apache-2.0
"""A small convolutional network in plain numpy: layers with gradients, and training by Adam.

Tensors are float32 in NHWC order. Spatial layers use kernels of 1 or 3 and the SAME padding of TensorFlow Lite
(half of the padding, rounded down, goes before the image).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Layer:
    """Weights, bias, their gradients, and whether a RELU follows."""

    def __init__(self, weights: Array, relu: bool) -> None:
        self.weights = weights
        self.bias: Array = np.zeros(weights.shape[-1], np.float32)
        self.weights_gradient: Array = np.zeros_like(weights)
        self.bias_gradient: Array = np.zeros_like(self.bias)
        self.relu = relu
        self._output: Array = np.zeros(0, np.float32)

    def _activate(self, y: Array) -> Array:
        self._output = np.maximum(y, np.float32(0)) if self.relu else y
        return self._output

    def _gradient_before_activation(self, gradient: Array) -> Array:
        return gradient * (self._output > 0) if self.relu else gradient


class Dense(Layer):
    """(N, K) -> (N, M); weights (K, M)."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int) -> None:
        super().__init__(_he_normal(rng, (inputs, outputs), inputs), relu=False)
        self._input: Array = np.zeros(0, np.float32)

    def forward(self, x: Array) -> Array:
        """Return the layer's output and keep what the gradient needs."""
        self._input = x
        return self._activate(x @ self.weights + self.bias)

    def backward(self, gradient: Array) -> Array:
        """Store the gradients of the parameters and return that of the input."""
        self.weights_gradient = self._input.T @ gradient
        self.bias_gradient = gradient.sum(0)
        return gradient @ self.weights.T


class Convolution(Layer):
    """(N, H, W, C) -> (N, ceil(H/s), ceil(W/s), D); weights (k, k, C, D), or (k, k, C) when depthwise."""

    def __init__(self, weights: Array, stride: int = 1, relu: bool = True) -> None:
        super().__init__(weights, relu)
        self.stride = stride
        self.depthwise = weights.ndim == 3
        self._padded: Array = np.zeros(0, np.float32)
        self._padding = (0, 0)

    @classmethod
    def full(cls, rng: np.random.Generator, kernel: int, inputs: int, outputs: int, relu: bool = True) -> Convolution:
        """Make a convolution over all channels, stride 1."""
        return cls(_he_normal(rng, (kernel, kernel, inputs, outputs), kernel * kernel * inputs), relu=relu)

    @classmethod
    def depthwise3(cls, rng: np.random.Generator, channels: int, stride: int = 1) -> Convolution:
        """Make a 3x3 convolution of each channel by itself."""
        return cls(_he_normal(rng, (3, 3, channels), 9), stride)

    def _taps(self, image: Array) -> Iterator[tuple[tuple[int, int], Array]]:
        """Yield views of the padded image, one for each kernel position."""
        kernel = self.weights.shape[0]
        span = image.shape[1] - kernel + 1
        for i in range(kernel):
            for j in range(kernel):
                yield (i, j), image[:, i : i + span : self.stride, j : j + span : self.stride, :]

    def forward(self, x: Array) -> Array:
        """Return the layer's output and keep what the gradient needs."""
        size = x.shape[1]
        total = max((-(-size // self.stride) - 1) * self.stride + self.weights.shape[0] - size, 0)
        self._padding = (total // 2, total - total // 2)
        self._padded = np.pad(x, ((0, 0), self._padding, self._padding, (0, 0)))
        y: Array = self.bias
        for position, tap in self._taps(self._padded):
            weights = self.weights[position]
            y = y + (tap * weights if self.depthwise else tap @ weights)
        return self._activate(y)

    def backward(self, gradient: Array) -> Array:
        """Store the gradients of the parameters and return that of the input."""
        gradient = self._gradient_before_activation(gradient)
        padded_gradient = np.zeros_like(self._padded)
        slices = self._taps(padded_gradient)
        for (position, tap), (_, target) in zip(self._taps(self._padded), slices, strict=True):
            weights = self.weights[position]
            if self.depthwise:
                self.weights_gradient[position] = np.einsum("nhwc,nhwc->c", tap, gradient)
                target += gradient * weights
            else:
                self.weights_gradient[position] = np.tensordot(tap, gradient, ((0, 1, 2), (0, 1, 2)))
                target += gradient @ weights.T
        self.bias_gradient = gradient.sum((0, 1, 2))
        before, after = self._padding
        end = padded_gradient.shape[1] - after
        return padded_gradient[:, before:end, before:end, :]


@dataclass(frozen=True, slots=True)
class Activations:
    """Every intermediate tensor of a forward pass."""

    stem: Array
    reduced: Array
    expanded: Array
    filtered: Array
    projected: Array
    residual: Array
    pooled: Array
    logits: Array


class Network:
    """8x8x1 -> 10 logits: stem, depthwise separable reduction, depthwise separable residual block, pool, dense."""

    def __init__(self, rng: np.random.Generator, narrow: int = 16, wide: int = 32) -> None:
        self.stem = Convolution.full(rng, 3, 1, narrow)
        self.reduce = Convolution.depthwise3(rng, narrow, stride=2)
        self.expand = Convolution.full(rng, 1, narrow, wide)
        self.filter = Convolution.depthwise3(rng, wide)
        self.project = Convolution.full(rng, 1, wide, wide, relu=False)
        self.classify = Dense(rng, 4 * wide, 10)

    def layers(self) -> tuple[Layer, ...]:
        """All layers with parameters, in order."""
        return (self.stem, self.reduce, self.expand, self.filter, self.project, self.classify)

    def forward(self, x: Array) -> Activations:
        """Run images (N, 8, 8, 1)."""
        stem = self.stem.forward(x)
        reduced = self.reduce.forward(stem)
        expanded = self.expand.forward(reduced)
        filtered = self.filter.forward(expanded)
        projected = self.project.forward(filtered)
        residual = np.maximum(expanded + projected, np.float32(0))
        pooled = _split_2x2(residual).mean((2, 4))
        logits = self.classify.forward(pooled.reshape(len(x), -1))
        return Activations(stem, reduced, expanded, filtered, projected, residual, pooled, logits)

    def backward(self, activations: Activations, gradient: Array) -> None:
        """Store every layer's gradients, given that of the logits."""
        pooled = self.classify.backward(gradient).reshape(activations.pooled.shape)
        residual = pooled.repeat(2, 1).repeat(2, 2) / np.float32(4) * (activations.residual > 0)
        filtered = self.filter.backward(self.project.backward(residual))
        self.stem.backward(self.reduce.backward(self.expand.backward(residual + filtered)))


class Adam:
    """Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019)."""

    def __init__(self, layers: tuple[Layer, ...], decay: float = 1e-2) -> None:
        self._layers = layers
        self._decay = decay
        self._moments = [[np.zeros((2, *p.shape), np.float32) for p in (la.weights, la.bias)] for la in layers]
        self._steps = 0

    def step(self, rate: float) -> None:
        """Move all parameters along their stored gradients."""
        self._steps += 1
        for layer, (weights, bias) in zip(self._layers, self._moments, strict=True):
            layer.weights *= np.float32(1 - rate * self._decay)
            layer.weights -= self._change(weights, layer.weights_gradient, rate)
            layer.bias -= self._change(bias, layer.bias_gradient, rate)

    def _change(self, moments: Array, gradient: Array, rate: float) -> Array:
        moments[0] += np.float32(0.1) * (gradient - moments[0])
        moments[1] += np.float32(0.001) * (gradient * gradient - moments[1])
        mean = moments[0] / np.float32(1 - 0.9**self._steps)
        square = moments[1] / np.float32(1 - 0.999**self._steps)
        change: Array = np.float32(rate) * mean / (np.sqrt(square) + np.float32(1e-7))
        return change


def train(
    x: Array, labels: npt.NDArray[np.uint8], seed: int, epochs: int, batch: int = 32, rate: float = 4e-3
) -> Network:
    """Train a network on images (N, 8, 8, 1) in [0, 1]; cosine decay, half of them shifted by up to a pixel."""
    rng = np.random.default_rng(seed)
    network = Network(rng)
    adam = Adam(network.layers())
    for epoch in range(epochs):
        current_rate = rate * 0.5 * (1 + float(np.cos(np.pi * epoch / epochs)))
        for chosen in np.array_split(rng.permutation(len(x)), -(-len(x) // batch)):
            activations = network.forward(_shift(x[chosen], rng))
            gradient = softmax(activations.logits)
            gradient[np.arange(len(chosen)), labels[chosen]] -= 1
            network.backward(activations, gradient / np.float32(len(chosen)))
            adam.step(current_rate)
    return network


def softmax(logits: Array) -> Array:
    """Softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities: Array = powers / powers.sum(-1, keepdims=True)
    return probabilities


def _shift(x: Array, rng: np.random.Generator) -> Array:
    """Move about half of the images by -1, 0 or 1 pixels along both axes, filling with zeros."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = rng.integers(0, 3, (2, len(x)))
    rows, columns = np.where(rng.random(len(x)) < 0.5, moves, 1)
    return np.stack([image[r : r + 8, c : c + 8] for image, r, c in zip(padded, rows, columns, strict=True)])


def _split_2x2(x: Array) -> Array:
    """(N, H, W, C) -> (N, H/2, 2, W/2, 2, C)."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels)


def _he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Array:
    weights: Array = (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
    return weights
