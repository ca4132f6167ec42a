// SPDX-License-Identifier: Apache-2.0
// Integer semantics: chapter of that name. One sample at a time; BigInt where a product leaves 2 ** 53.

import { Refused } from './cbor.js';
import { DTYPES, elements, readBatch, writeBatch } from './content.js';
import { broadcast, productSizes, readModel, typesOf } from './graph.js';

const high = (x, m) => Number((BigInt(x) * BigInt(m) + (1n << 30n)) >> 31n);
const clampTo = (x, low, top) => Math.min(Math.max(x, low), top);

// x / 2 ** e to the nearest, ties away from zero.
function divide(x, e) {
  if (e <= 0) return x;
  const power = 2 ** e;
  const magnitude = Math.floor((Math.abs(x) + power / 2) / power);
  return x < 0 ? -magnitude : magnitude;
}

export function requantize(x, multiplier, shift, rounding) {
  if (rounding === 2) {
    const total = BigInt(31 - shift);
    return Number((BigInt(x) * BigInt(multiplier) + (1n << (total - 1n))) >> total);
  }
  return divide(high(x * 2 ** Math.max(shift, 0), multiplier), Math.max(-shift, 0));
}

const strides = (shape) => shape.map((_, i) => elements(shape.slice(i + 1)));
const indices = (shape) => {
  const step = strides(shape);
  return Array.from({ length: elements(shape) }, (_, at) => shape.map((n, i) => Math.floor(at / step[i]) % n));
};
// The element of an operand that an output position of a broadcast sees.
function aligned(shape, index) {
  const step = strides(shape);
  const skip = index.length - shape.length;
  return shape.reduce((at, n, i) => at + (n === 1 ? 0 : index[skip + i] * step[i]), 0);
}

function convolution(op, x, image, [kernel, bias, multiplier, shift], zero, output, shape) {
  const [outRows, outColumns, channels] = output.shape;
  const depthwise = op.tag === 2;
  const [rows, columns] = depthwise ? shape : shape.slice(1);
  const [height, width, depth] = image;
  const { window } = op;
  const result = new Array(elements(output.shape));
  for (let r = 0; r < outRows; r++) {
    for (let c = 0; c < outColumns; c++) {
      for (let n = 0; n < channels; n++) {
        let sum = bias[n];
        for (let i = 0; i < rows; i++) {
          const y = r * window.strideH + i * window.dilationH - window.top;
          if (y < 0 || y >= height) continue;
          for (let j = 0; j < columns; j++) {
            const z = c * window.strideW + j * window.dilationW - window.left;
            if (z < 0 || z >= width) continue;
            const pixel = (y * width + z) * depth;
            if (depthwise) sum += kernel[(i * columns + j) * channels + n] * (x[pixel + Math.floor(n / op.depth)] - zero);
            else for (let d = 0; d < depth; d++) sum += kernel[((n * rows + i) * columns + j) * depth + d] * (x[pixel + d] - zero);
          }
        }
        const scaled = requantize(sum, multiplier[n], shift[n], op.rounding) + output.zero;
        result[(r * outColumns + c) * channels + n] = clampTo(scaled, op.low, op.high);
      }
    }
  }
  return result;
}

function dense(op, x, constants, zero, output) {
  const [kernel] = constants;
  const width = output.shape.at(-1);
  const depth = kernel.length / width;
  return Array.from({ length: elements(output.shape) }, (_, at) => {
    const n = at % width;
    const row = Math.floor(at / width) * depth;
    let sum = 0;
    for (let k = 0; k < depth; k++) sum += kernel[n * depth + k] * (x[row + k] - zero);
    if (op.tag === 65) return sum;
    const scaled = requantize(sum + constants[1][n], constants[2][n], constants[3][n], op.rounding);
    return clampTo(scaled + output.zero, op.low, op.high);
  });
}

function product(op, [a, b], [ta, tb], output) {
  const { leading, k } = productSizes(op, ta.shape, tb.shape);
  const at = (type, swapped, index, row, column) => {
    const matrix = type.shape.slice(-2);
    const offset = aligned(type.shape.slice(0, -2), index) * matrix[0] * matrix[1];
    return offset + (swapped ? column * matrix[1] + row : row * matrix[1] + column);
  };
  return indices(output.shape).map((index) => {
    const batch = index.slice(0, leading.length);
    const [m, n] = index.slice(-2);
    let sum = 0;
    for (let i = 0; i < k; i++) {
      sum += (a[at(ta, op.ta, batch, m, i)] - ta.zero) * (b[at(tb, op.tb, batch, i, n)] - tb.zero);
    }
    return clampTo(requantize(sum, op.requant.multiplier, op.requant.shift, op.rounding) + output.zero, op.low, op.high);
  });
}

function pool(op, x, [height, width, depth], output) {
  return indices(output.shape).map(([r, c, d]) => {
    const seen = [];
    for (let i = 0; i < op.rows; i++) {
      for (let j = 0; j < op.columns; j++) {
        const y = r * op.window.strideH + i - op.window.top;
        const z = c * op.window.strideW + j - op.window.left;
        if (y >= 0 && y < height && z >= 0 && z < width) seen.push(x[(y * width + z) * depth + d]);
      }
    }
    if (op.tag === 8) return clampTo(Math.max(...seen), op.low, op.high);
    const sum = seen.reduce((total, value) => total + value, 0);
    const mean = Math.floor((Math.abs(sum) + Math.floor(seen.length / 2)) / seen.length);
    return clampTo(sum < 0 ? -mean : mean, op.low, op.high);
  });
}

function mean(op, x, type, output) {
  const sums = new Array(elements(output.shape)).fill(0);
  const kept = type.shape.map((_, i) => i).filter((i) => !op.axes.includes(i));
  const step = strides(kept.map((i) => type.shape[i]));
  indices(type.shape).forEach((index, at) => {
    sums[kept.reduce((total, axis, i) => total + index[axis] * step[i], 0)] += x[at] - type.zero;
  });
  return sums.map((sum) => clampTo(requantize(sum, op.requant.multiplier, op.requant.shift, op.rounding) + output.zero, op.low, op.high));
}

// Fixed point of softmax.
const INT32 = [-(2 ** 31), 2 ** 31 - 1];
const saturate = (x, amount) => clampTo(x * 2 ** amount, ...INT32);
const BARREL = [[-2, 1672461947], [-1, 1302514674], [0, 790015084], [1, 290630308], [2, 39332535], [3, 720401], [4, 242]];

function expSmall(a) {
  const x = a + 2 ** 28;
  const x2 = high(x, x);
  const x3 = high(x2, x);
  const x4 = high(x2, x2);
  const tail = divide(high(divide(x4, 2) + x3, 715827883) + x2, 1);
  return 1895147668 + high(x + tail, 1895147668);
}

function expNegative(a, integerBits) {
  if (a === 0) return INT32[1];
  const fractionBits = 31 - integerBits;
  const quarter = 2 ** (fractionBits - 2);
  const fraction = (((a % quarter) + quarter) % quarter) - quarter;
  let result = expSmall(saturate(fraction, integerBits));
  const remainder = BigInt(fraction - a);
  for (const [exponent, factor] of BARREL) {
    if (exponent < integerBits && (remainder >> BigInt(fractionBits + exponent)) & 1n) result = high(result, factor);
  }
  return result;
}

function reciprocal(a) {
  const half = Math.floor((a + 2 ** 31) / 2);
  let x = 1515870810 + high(half, -1010580540);
  for (let i = 0; i < 3; i++) x += saturate(high(x, 2 ** 29 - high(half, x)), 2);
  return saturate(x, 1);
}

function softmax(op, x, shape, output) {
  const depth = shape.at(-1);
  const radius = Math.floor((31 * 2 ** 26) / 2 ** op.shift);
  const result = [];
  for (let at = 0; at < x.length; at += depth) {
    const row = x.slice(at, at + depth);
    const top = Math.max(...row);
    const exps = row.map((value) => {
      const difference = value - top;
      return difference < -radius ? null : expNegative(high(difference * 2 ** op.shift, op.multiplier), 5);
    });
    const sum = exps.reduce((total, e) => total + (e === null ? 0 : divide(e, 12)), 0);
    const zeros = Math.clz32(sum);
    const over = reciprocal(sum * 2 ** zeros - 2 ** 31);
    for (const e of exps) {
      const quotient = e === null ? 0 : divide(high(e, over), 12 - zeros + 31 - 8);
      result.push(clampTo(quotient + output.zero, -128, 127));
    }
  }
  return result;
}

function evaluate(node, values, { inputs: types, constants: constantTypes }, constants) {
  const { operator: op, output } = node;
  const [x] = values;
  const finish = (sum, requant, rounding) => clampTo(requantize(sum, requant.multiplier, requant.shift, rounding) + output.zero, op.low, op.high);
  const pairs = (f) =>
    indices(broadcast(types[0].shape, types[1].shape)).map((index) =>
      f(x[aligned(types[0].shape, index)] - types[0].zero, values[1][aligned(types[1].shape, index)] - types[1].zero),
    );
  switch (op.tag) {
    case 1:
    case 2:
      return convolution(op, x, types[0].shape, constants, types[0].zero, output, constantTypes[0].shape);
    case 3:
    case 65:
      return dense(op, x, constants, types[0].zero, output);
    case 4:
      return product(op, values, types, output);
    case 5: {
      const scaled = (value, requant) => requantize(value * 2 ** 20, requant.multiplier, requant.shift, 1);
      return pairs((a, b) => finish(scaled(a, op.a) + scaled(b, op.b), op.out, 1));
    }
    case 6:
      return pairs((a, b) => finish(a * b, op.requant, op.rounding));
    case 7:
    case 8:
      return pool(op, x, types[0].shape, output);
    case 9:
      return mean(op, x, types[0], output);
    case 10: {
      const step = strides(types[0].shape);
      return indices(output.shape).map((index) => {
        const inner = index.map((i, axis) => i - op.before[axis]);
        const outside = inner.some((i, axis) => i < 0 || i >= types[0].shape[axis]);
        return outside ? op.value : x[inner.reduce((at, i, axis) => at + i * step[axis], 0)];
      });
    }
    case 11: {
      const outer = elements(output.shape.slice(0, op.axis));
      const runs = types.map(({ shape }) => elements(shape.slice(op.axis)));
      return Array.from({ length: outer }, (_, i) => values.flatMap((v, k) => v.slice(i * runs[k], (i + 1) * runs[k]))).flat();
    }
    case 12:
      return x;
    case 13: {
      const step = strides(types[0].shape);
      return indices(output.shape).map((index) => x[index.reduce((at, i, j) => at + i * step[op.permutation[j]], 0)]);
    }
    case 14:
      return softmax(op, x, types[0].shape, output);
    case 15:
      return x.map((value) => constants[0][value + 128]);
    case 16:
      return x.map((value) => finish(value - types[0].zero, op.requant, op.rounding));
    default:
      return constants[0];
  }
}

const read = (data, dtype) =>
  Array.from({ length: data.length / DTYPES[dtype].size }, (_, i) => (dtype === 1 ? data.readInt8(i) : data.readInt32LE(4 * i)));

function write(array, dtype) {
  const data = Buffer.alloc(array.length * DTYPES[dtype].size);
  array.forEach((value, i) => (dtype === 1 ? data.writeInt8(value, i) : data.writeInt32LE(value, 4 * i)));
  return data;
}

// Every node's output as an encoded batch, and the batch of the graph's outputs.
export function run(modelFile, inputBatch) {
  const { graph, values: constants } = readModel(modelFile);
  const batch = readBatch(inputBatch);
  const wrong = new Refused('invalid_input');
  if (batch.tensors.length !== graph.inputs.length) throw wrong;
  batch.tensors.forEach(({ dtype, shape }, i) => {
    const type = graph.inputs[i];
    if (dtype !== type.dtype || `${shape}` !== `${type.shape}`) throw wrong;
  });
  const whole = batch.tensors.map(({ dtype, data }) => read(data, dtype));
  const runs = Array.from({ length: batch.size }, (_, sample) => {
    const values = whole.map((array) => array.slice((sample * array.length) / batch.size, ((sample + 1) * array.length) / batch.size));
    for (const node of graph.nodes) {
      values.push(evaluate(node, node.inputs.map((i) => values[i]), typesOf(graph, node), node.constants.map((i) => constants[i])));
    }
    return values;
  });
  const tensor = (index) => {
    const { dtype, shape } = graph.nodes[index - graph.inputs.length].output;
    return { dtype, shape, data: write(runs.flatMap((values) => values[index]), dtype) };
  };
  return {
    layers: graph.nodes.map((_, i) => writeBatch(batch.size, [tensor(graph.inputs.length + i)])),
    outputs: writeBatch(batch.size, graph.outputs.map(tensor)),
    graph,
    batch,
  };
}
