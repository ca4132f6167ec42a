// SPDX-License-Identifier: Apache-2.0
// Graphs and models: chapter "Task encoding".

import { Refused, decode } from './cbor.js';
import { DTYPE, DTYPES, SHAPE, blobDigest, elements, tagged } from './content.js';
import { array, bool, bytes, int, oneOf, record, text, uint, variant } from './schema.js';

const CLAMP = int(-128, 127);
const ROUNDING = oneOf(1, 2);
const MULTIPLIER = int(0, 2 ** 31 - 1);
const REQUANT = record([[0, 'multiplier', MULTIPLIER], [1, 'shift', int(-31, 30)]]);
const STEP = int(1, 4096);
const PAD = int(0, 4096);
const WINDOW = record([
  [0, 'strideH', STEP], [1, 'strideW', STEP], [2, 'dilationH', STEP], [3, 'dilationW', STEP],
  [4, 'top', PAD], [5, 'left', PAD], [6, 'bottom', PAD], [7, 'right', PAD],
]);
const clamp = (key) => [[key, 'low', CLAMP], [key + 1, 'high', CLAMP]];
const POOL = record([[0, 'window', WINDOW], [1, 'rows', STEP], [2, 'columns', STEP], ...clamp(3)]);
const AMOUNTS = array(int(0, 65536), 0, 6);
const AXIS = int(0, 5);

const OPERATOR = variant({
  1: record([[0, 'window', WINDOW], [1, 'rounding', ROUNDING], ...clamp(2)]),
  2: record([[0, 'window', WINDOW], [1, 'depth', int(1, 2 ** 24)], [2, 'rounding', ROUNDING], ...clamp(3)]),
  3: record([[0, 'rounding', ROUNDING], ...clamp(1)]),
  4: record([[0, 'ta', bool], [1, 'tb', bool], [2, 'requant', REQUANT], [3, 'rounding', ROUNDING], ...clamp(4)]),
  5: record([[0, 'a', REQUANT], [1, 'b', REQUANT], [2, 'out', REQUANT], ...clamp(3)]),
  6: record([[0, 'requant', REQUANT], [1, 'rounding', ROUNDING], ...clamp(2)]),
  7: POOL,
  8: POOL,
  9: record([[0, 'axes', array(AXIS, 1, 6)], [1, 'keep', bool], [2, 'requant', REQUANT], [3, 'rounding', ROUNDING], ...clamp(4)]),
  10: record([[0, 'before', AMOUNTS], [1, 'after', AMOUNTS], [2, 'value', CLAMP]]),
  11: record([[0, 'axis', AXIS]]),
  12: record([]),
  13: record([[0, 'permutation', array(AXIS, 0, 6)]]),
  14: record([[0, 'multiplier', MULTIPLIER], [1, 'shift', int(0, 31)]]),
  15: record([]),
  16: record([[0, 'requant', REQUANT], [1, 'rounding', ROUNDING], ...clamp(2)]),
  64: record([]),
  65: record([]),
});
// operands: least and most; constants
const TAKES = {
  1: [1, 1, 4], 2: [1, 1, 4], 3: [1, 1, 4], 4: [2, 2, 0], 5: [2, 2, 0], 6: [2, 2, 0], 7: [1, 1, 0], 8: [1, 1, 0], 9: [1, 1, 0],
  10: [1, 1, 0], 11: [1, 256, 0], 12: [1, 1, 0], 13: [1, 1, 0], 14: [1, 1, 0], 15: [1, 1, 1], 16: [1, 1, 0], 64: [0, 0, 1], 65: [1, 1, 1],
};
const VALUE = record([[0, 'dtype', DTYPE], [1, 'shape', SHAPE], [2, 'zero', int(-128, 127)]]);
const SCALES = array(record([[0, 'bits', uint(32)]]), 1, 64);
const INDEX = uint(16);
const GRAPH = record([
  [0, 'version', int(1, 1)],
  [1, 'inputs', array(VALUE, 1, 64)],
  [2, 'constants', array(record([[0, 'dtype', DTYPE], [1, 'shape', SHAPE]]), 0, 2 ** 14)],
  [
    3,
    'nodes',
    array(
      record([[0, 'operator', OPERATOR], [1, 'inputs', array(INDEX, 0, 2 ** 14)], [2, 'constants', array(INDEX, 0, 2 ** 14)], [3, 'output', VALUE]]),
      1,
      2 ** 14,
    ),
  ],
  [4, 'outputs', array(INDEX, 1, 64)],
  [5, 'inputScales', SCALES],
  [6, 'outputScales', SCALES],
]);

const no = (code, why) => new Refused(code, why);
const shapeError = () => no('invalid_shape');
const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

export function windowSize(window, image, rows, columns) {
  return [
    [image[0], rows, window.strideH, window.dilationH, window.top, window.bottom],
    [image[1], columns, window.strideW, window.dilationW, window.left, window.right],
  ].map(([size, taps, stride, dilation, before, after]) => {
    const extent = dilation * (taps - 1) + 1;
    if (before >= extent || after >= extent || size + before + after < extent) throw shapeError();
    return Math.floor((size + before + after - extent) / stride) + 1;
  });
}

export function broadcast(a, b) {
  const rank = Math.max(a.length, b.length);
  const pad = (shape) => [...Array(rank - shape.length).fill(1), ...shape];
  return pad(a).map((x, i) => {
    const y = pad(b)[i];
    if (x !== y && x !== 1 && y !== 1) throw shapeError();
    return Math.max(x, y);
  });
}

function checkClamp({ low, high }) {
  if (low > high) throw no('value_out_of_range');
}

function perChannel(constants, channels) {
  for (const [index, dtype] of [[1, 2], [2, 2], [3, 1]]) {
    if (constants[index].dtype !== dtype || !same(constants[index].shape, [channels])) throw shapeError();
  }
}

function filter(constant, rank) {
  if (constant.dtype !== 1 || constant.shape.length !== rank) throw shapeError();
  return constant.shape;
}

export function productSizes(op, a, b) {
  if (a.length < 2 || b.length < 2) throw shapeError();
  const [m, k] = op.ta ? [a.at(-1), a.at(-2)] : [a.at(-2), a.at(-1)];
  const [k2, n] = op.tb ? [b.at(-1), b.at(-2)] : [b.at(-2), b.at(-1)];
  if (k !== k2) throw shapeError();
  return { leading: broadcast(a.slice(0, -2), b.slice(0, -2)), m, k, n };
}

// The output shape by the operator's rule; undefined where the node states it.
function outputShape(op, inputs, constants) {
  const x = inputs[0]?.shape;
  switch (op.tag) {
    case 1: {
      if (x.length !== 3) throw shapeError();
      const [channels, rows, columns, depth] = filter(constants[0], 4);
      if (depth !== x[2]) throw shapeError();
      perChannel(constants, channels);
      checkClamp(op);
      return [...windowSize(op.window, x, rows, columns), channels];
    }
    case 2: {
      if (x.length !== 3) throw shapeError();
      const [rows, columns, channels] = filter(constants[0], 3);
      if (channels !== x[2] * op.depth) throw shapeError();
      perChannel(constants, channels);
      checkClamp(op);
      return [...windowSize(op.window, x, rows, columns), channels];
    }
    case 3:
    case 65: {
      if (x.length < 1) throw shapeError();
      const [width, depth] = filter(constants[0], 2);
      if (depth !== x.at(-1)) throw shapeError();
      if (op.tag === 3) {
        perChannel(constants, width);
        checkClamp(op);
      }
      return [...x.slice(0, -1), width];
    }
    case 4: {
      checkClamp(op);
      const { leading, m, n } = productSizes(op, x, inputs[1].shape);
      return [...leading, m, n];
    }
    case 5:
      checkClamp(op);
      if (Math.max(op.a.shift, op.b.shift, op.out.shift) > 0) throw no('value_out_of_range');
      return broadcast(x, inputs[1].shape);
    case 6:
      checkClamp(op);
      return broadcast(x, inputs[1].shape);
    case 7:
    case 8:
      if (x.length !== 3 || op.window.dilationH !== 1 || op.window.dilationW !== 1) throw shapeError();
      checkClamp(op);
      return [...windowSize(op.window, x, op.rows, op.columns), x[2]];
    case 9: {
      const rising = op.axes.every((axis, i) => i === 0 || axis > op.axes[i - 1]);
      if (!rising || op.axes.at(-1) >= x.length) throw shapeError();
      if (op.axes.reduce((n, axis) => n * x[axis], 1) >= 2 ** 24) throw shapeError();
      checkClamp(op);
      return op.keep ? x.map((n, i) => (op.axes.includes(i) ? 1 : n)) : x.filter((_, i) => !op.axes.includes(i));
    }
    case 10:
      if (op.before.length !== x.length || op.after.length !== x.length) throw shapeError();
      return x.map((n, i) => n + op.before[i] + op.after[i]);
    case 11: {
      if (op.axis >= x.length) throw shapeError();
      for (const { shape } of inputs) {
        if (shape.length !== x.length || shape.some((n, i) => i !== op.axis && n !== x[i])) throw shapeError();
      }
      return x.map((n, i) => (i === op.axis ? inputs.reduce((total, input) => total + input.shape[i], 0) : n));
    }
    case 13:
      if (!same([...op.permutation].sort((a, b) => a - b), x.map((_, i) => i))) throw shapeError();
      return op.permutation.map((axis) => x[axis]);
    case 14:
      if (x.length < 1 || x.at(-1) > 4095) throw shapeError();
      return x;
    case 15:
      if (constants[0].dtype !== 1 || !same(constants[0].shape, [256])) throw shapeError();
      return x;
    case 16:
      checkClamp(op);
      return x;
    case 64:
      if (constants[0].dtype !== 1) throw shapeError();
      return constants[0].shape;
    default:
      return undefined;
  }
}

function checkOutput(op, inputs, output) {
  const equalZero = [7, 8, 10, 11, 12, 13].includes(op.tag) && inputs.some(({ zero }) => zero !== output.zero);
  const fixedZero = [14, 15].includes(op.tag) && output.zero !== -128;
  if (equalZero || fixedZero) throw no('value_out_of_range');
  if (op.tag === 12 && elements(inputs[0].shape) !== elements(output.shape)) throw shapeError();
}

function checkValue(value) {
  if (elements(value.shape) > 2 ** 28) throw no('limit_exceeded');
  if (value.dtype === 2 && value.zero !== 0) throw no('value_out_of_range');
}

export const typesOf = (graph, node) => ({
  inputs: node.inputs.map((i) => (i < graph.inputs.length ? graph.inputs[i] : graph.nodes[i - graph.inputs.length].output)),
  constants: node.constants.map((i) => graph.constants[i]),
});

function macs(op, inputs, constants, output) {
  const out = BigInt(elements(output.shape));
  switch (op.tag) {
    case 1:
      return out * BigInt(elements(constants[0].shape.slice(1)));
    case 2:
      return out * BigInt(constants[0].shape[0] * constants[0].shape[1]);
    case 3:
    case 65:
      return out * BigInt(constants[0].shape[1]);
    case 4:
      return out * BigInt(productSizes(op, inputs[0].shape, inputs[1].shape).k);
    default:
      return 0n;
  }
}

// Post-order of the walk from the outputs; operands from left to right.
function postOrder(graph) {
  const first = graph.inputs.length;
  const seen = new Set();
  const order = [];
  const visit = (index) => {
    if (seen.has(index)) return;
    seen.add(index);
    for (const i of graph.nodes[index].inputs) if (i >= first) visit(i - first);
    order.push(index);
  };
  for (const output of graph.outputs) visit(output - first);
  return order;
}

function isCanonical(graph) {
  const order = postOrder(graph);
  if (order.length !== graph.nodes.length || order.some((index, i) => index !== i)) return false;
  const constants = [...new Set(graph.nodes.flatMap((node) => node.constants))];
  return constants.length === graph.constants.length && constants.every((index, i) => index === i);
}

export function readGraph(data) {
  const graph = GRAPH(decode(data, { bytes: 2 ** 24, depth: 10, items: 2 ** 20 }));
  const invalid = no('invalid_graph');
  const first = graph.inputs.length;
  graph.inputs.forEach(checkValue);
  let weights = 0;
  for (const { dtype, shape } of graph.constants) {
    if (elements(shape) > 2 ** 28) throw no('limit_exceeded');
    weights += elements(shape) * DTYPES[dtype].size;
  }
  if (weights > 2 ** 32) throw no('limit_exceeded');
  graph.nodes.forEach((node, position) => {
    if (node.inputs.some((i) => i >= first + position) || node.constants.some((i) => i >= graph.constants.length)) throw invalid;
  });
  if (graph.outputs.some((i) => i < first || i >= first + graph.nodes.length)) throw invalid;
  if (graph.inputScales.length !== first || graph.outputScales.length !== graph.outputs.length) throw invalid;
  if (new Set(graph.outputs).size !== graph.outputs.length) throw invalid;
  const work = { macs: 0n, elements: 0n };
  for (const node of graph.nodes) {
    const { operator: op, output } = node;
    const { inputs, constants } = typesOf(graph, node);
    const [least, most, count] = TAKES[op.tag];
    if (inputs.length < least || inputs.length > most || constants.length !== count) throw invalid;
    if (inputs.some(({ dtype }) => dtype !== 1)) throw invalid;
    checkValue(output);
    if (output.dtype !== (op.tag === 65 ? 2 : 1)) throw invalid;
    const shape = outputShape(op, inputs, constants);
    if (shape !== undefined && !same(shape, output.shape)) throw shapeError();
    checkOutput(op, inputs, output);
    work.macs += macs(op, inputs, constants, output);
    work.elements += BigInt(elements(output.shape));
  }
  if (work.macs > 1n << 48n || work.elements > 1n << 48n) throw no('limit_exceeded');
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  if (graph.inputs.some((_, i) => !read.has(i))) throw invalid;
  if (!isCanonical(graph)) throw invalid;
  return { graph, work, digest: tagged('vcompute/graph/1', data) };
}

const FILE = record([
  [0, 'kind', text(32)],
  [1, 'version', int(1, 1)],
  [2, 'graph', bytes(1, 2 ** 24)],
  [3, 'weights', bytes(0, 2 ** 32)],
  [4, 'digest', bytes(32, 32)],
]);

// Accumulators. Everything is a Number: the bounds stay far below 2 ** 53 or are refused.

const hull = (a, b) => [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
const magnitude = ([low, high]) => Math.max(Math.abs(low), Math.abs(high));
const limits = (array) => [array.reduce((a, b) => Math.min(a, b)), array.reduce((a, b) => Math.max(a, b))];

function filterSums(op, kernel, shape) {
  const channels = op.tag === 2 ? shape.at(-1) : shape[0];
  const sums = Array.from({ length: channels }, () => [0, 0]);
  const per = kernel.length / channels;
  kernel.forEach((weight, i) => {
    sums[op.tag === 2 ? i % channels : Math.floor(i / per)][weight > 0 ? 0 : 1] += weight;
  });
  return sums;
}

function checkAccumulators(graph, values) {
  const ranges = graph.inputs.map(() => [-128, 127]);
  for (const node of graph.nodes) {
    const { operator: op } = node;
    const types = typesOf(graph, node);
    const raw = node.inputs.map((i) => ranges[i]);
    const spans = raw.map(([low, high], i) => [low - types.inputs[i].zero, high - types.inputs[i].zero]);
    const data = node.constants.map((i) => values[i]);
    let bounds = [];
    let range = [op.low, op.high];
    const left = (shift) => 2 ** Math.max(shift, 0);
    switch (op.tag) {
      case 1:
      case 2:
      case 3:
      case 65: {
        const padded = op.window && (op.window.top || op.window.left || op.window.bottom || op.window.right);
        const span = padded ? hull(spans[0], [0, 0]) : spans[0];
        const sums = filterSums(op, data[0], types.constants[0].shape);
        if (op.tag !== 65) {
          if (data[2].some((m) => m < 0) || data[3].some((s) => s < -31 || s > 30)) throw no('value_out_of_range');
        }
        const bias = (c) => (op.tag === 65 ? 0 : data[1][c]);
        bounds = sums.map(([p, n], c) => (Math.abs(bias(c)) + (p - n) * magnitude(span)) * (op.tag === 65 ? 1 : left(data[3][c])));
        if (op.tag === 65) {
          range = sums.map(([p, n]) => [p * span[0] + n * span[1], p * span[1] + n * span[0]]).reduce(hull);
        }
        break;
      }
      case 4:
        bounds = [
          productSizes(op, types.inputs[0].shape, types.inputs[1].shape).k * magnitude(spans[0]) * magnitude(spans[1]) * left(op.requant.shift),
        ];
        break;
      case 6:
        bounds = [magnitude(spans[0]) * magnitude(spans[1]) * left(op.requant.shift)];
        break;
      case 7:
      case 8:
        if (op.tag === 7) bounds = [2 * op.rows * op.columns * magnitude(raw[0])];
        range = raw[0].map((x) => Math.min(Math.max(x, op.low), op.high));
        break;
      case 9: {
        const count = op.axes.reduce((n, axis) => n * types.inputs[0].shape[axis], 1);
        bounds = [count * (magnitude(raw[0]) + Math.abs(types.inputs[0].zero)) * left(op.requant.shift)];
        break;
      }
      case 10:
        range = hull(raw[0], [op.value, op.value]);
        break;
      case 11:
        range = raw.reduce(hull);
        break;
      case 12:
      case 13:
        [range] = raw;
        break;
      case 14:
        range = [-128, 127];
        break;
      case 15:
        range = limits(data[0].slice(raw[0][0] + 128, raw[0][1] + 129));
        break;
      case 16:
        bounds = [magnitude(spans[0]) * left(op.requant.shift)];
        break;
      case 64:
        range = limits(data[0]);
        break;
      default:
        break;
    }
    if (bounds.some((bound) => bound > 2 ** 31 - 1)) throw no('accumulator_overflow');
    ranges.push(range);
  }
}

export function readModel(data) {
  const file = FILE(decode(data, { bytes: 2 ** 32 + 2 ** 25, depth: 4, items: 16 }));
  if (file.kind !== 'vcompute-model') throw no('schema_violation');
  const weightsDigest = blobDigest(file.weights);
  const digest = tagged('vcompute/model/1', tagged('vcompute/graph/1', file.graph), weightsDigest);
  if (!digest.equals(file.digest)) throw no('digest_mismatch');
  const { graph, digest: graphDigest } = readGraph(file.graph);
  let at = 0;
  const values = graph.constants.map(({ dtype, shape }) => {
    const count = elements(shape);
    const size = DTYPES[dtype].size;
    if (at + count * size > file.weights.length) throw shapeError();
    const read = Array.from({ length: count }, (_, i) =>
      size === 1 ? file.weights.readInt8(at + i) : file.weights.readInt32LE(at + 4 * i),
    );
    at += count * size;
    return read;
  });
  if (at !== file.weights.length) throw shapeError();
  checkAccumulators(graph, values);
  return { graph, values, digest, graphDigest, weightsDigest };
}
