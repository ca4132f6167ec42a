// SPDX-License-Identifier: Apache-2.0
// Digests, blobs, chunks, batches, statements: chapters "Digests", "Content transfer", "Task encoding".

import { createHash } from 'node:crypto';
import { Refused, decode, encode } from './cbor.js';
import { array, bytes, int, oneOf, record } from './schema.js';

export const CHUNK = 65536;
export const DIGEST = bytes(32, 32);
export const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const tagged = (tag, ...parts) => sha256(Buffer.from(`${tag}\0`, 'latin1'), ...parts);

const big = (value, size) => Buffer.from(BigInt(value).toString(16).padStart(2 * size, '0'), 'hex');
const leaf = (chunk) => sha256(Buffer.from([0]), chunk);
const node = (left, right) => sha256(Buffer.from([1]), left, right);
const split = (count) => 2 ** Math.floor(Math.log2(count - 1));

export function leavesOf(data) {
  const leaves = [];
  for (let at = 0; at < Math.max(data.length, 1); at += CHUNK) leaves.push(leaf(data.subarray(at, at + CHUNK)));
  return leaves;
}

export function root(leaves) {
  if (leaves.length === 1) return leaves[0];
  const half = split(leaves.length);
  return node(root(leaves.slice(0, half)), root(leaves.slice(half)));
}

export function path(leaves, index) {
  if (leaves.length === 1) return [];
  const half = split(leaves.length);
  return index < half
    ? [...path(leaves.slice(0, half), index), root(leaves.slice(half))]
    : [...path(leaves.slice(half), index - half), root(leaves.slice(0, half))];
}

export const digestOfRoot = (size, top) => tagged('vcompute/blob/1', big(size, 8), big(CHUNK, 4), top);
export const blobDigest = (data) => digestOfRoot(data.length, root(leavesOf(data)));

const CHUNK_RECORD = record([
  [0, 'index', int(0, 2 ** 24 - 1)],
  [1, 'data', bytes(0, CHUNK)],
  [2, 'path', array(DIGEST, 0, 24)],
]);

export function verifyChunk(digest, size, encoded) {
  if (size > 2 ** 40) throw new Refused('limit_exceeded');
  const chunk = CHUNK_RECORD(decode(encoded));
  const mismatch = new Refused('digest_mismatch');
  let count = Math.max(1, Math.ceil(size / CHUNK));
  if (chunk.index >= count) throw new Refused('limit_exceeded');
  if (chunk.data.length !== Math.min(CHUNK, size - chunk.index * CHUNK)) throw mismatch;
  const sides = [];
  for (let index = chunk.index; count > 1; ) {
    const half = split(count);
    sides.push(index >= half);
    [index, count] = index >= half ? [index - half, count - half] : [index, half];
  }
  if (sides.length !== chunk.path.length) throw mismatch;
  const own = leaf(chunk.data);
  let value = own;
  sides.reverse().forEach((right, level) => {
    value = right ? node(chunk.path[level], value) : node(value, chunk.path[level]);
  });
  if (!digestOfRoot(size, value).equals(digest)) throw mismatch;
  return own;
}

export const DTYPES = { 1: { size: 1 }, 2: { size: 4 } };
export const DTYPE = oneOf(1, 2);
export const SHAPE = array(int(1, 2 ** 24), 0, 6);
export const elements = (shape) => shape.reduce((a, b) => a * b, 1);

const BATCH = record([
  [0, 'size', int(1, 2 ** 24)],
  [
    1,
    'tensors',
    array(record([[0, 'dtype', DTYPE], [1, 'shape', SHAPE], [2, 'data', bytes(0, 2 ** 32)]]), 1, 64),
  ],
]);

export function readBatch(data) {
  const batch = BATCH(decode(data, { bytes: 2 ** 32, depth: 6, items: 4096 }));
  for (const { dtype, shape, data: content } of batch.tensors) {
    if (content.length !== batch.size * elements(shape) * DTYPES[dtype].size) throw new Refused('invalid_shape');
  }
  return batch;
}

export const writeBatch = (size, tensors) =>
  encode(new Map([[0, size], [1, tensors.map(({ dtype, shape, data }) => new Map([[0, dtype], [1, shape], [2, data]]))]]));

const STATEMENT = record([
  [0, 'model', DIGEST],
  [1, 'batch', int(1, 2 ** 24)],
  [2, 'inputs', DIGEST],
  [3, 'outputs', DIGEST],
  [4, 'context', bytes(0, 1024)],
]);

export function statement(model, batch, inputs, outputs, context) {
  const item = new Map([[0, model], [1, BigInt(batch)], [2, inputs], [3, outputs], [4, context]]);
  STATEMENT(item);
  const data = encode(item);
  return { bytes: data, digest: tagged('vcompute/statement/1', data) };
}
