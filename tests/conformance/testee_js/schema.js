// SPDX-License-Identifier: Apache-2.0
// Records: a kind is a function from a decoded item to a value; it refuses what it does not admit.

import { Refused } from './cbor.js';

const violation = (what) => new Refused('schema_violation', what);

export const int = (low, high) => (item) => {
  if (typeof item !== 'bigint' || item < BigInt(low) || item > BigInt(high)) throw violation('integer');
  return item <= 0x1fffffffffffffn && item >= -0x1fffffffffffffn ? Number(item) : item;
};
export const uint = (bits) => int(0n, (1n << BigInt(bits)) - 1n);
export const bool = (item) => {
  if (typeof item !== 'boolean') throw violation('boolean');
  return item;
};
export const bytes = (low, high) => (item) => {
  if (!Buffer.isBuffer(item) || item.length < low || item.length > high) throw violation('bytes');
  return item;
};
export const text = (high) => (item) => {
  if (typeof item !== 'string' || Buffer.byteLength(item) > high) throw violation('text');
  return item;
};
export const oneOf = (...numbers) => (item) => {
  if (typeof item !== 'bigint' || !numbers.includes(Number(item))) throw violation('registered number');
  return Number(item);
};
export const array = (kind, low, high) => (item) => {
  if (!Array.isArray(item) || item.length < low || item.length > high) throw violation('array');
  return item.map(kind);
};
export const record = (fields) => (item) => {
  if (!(item instanceof Map)) throw violation('map');
  const keys = new Set(fields.map(([key]) => key));
  for (const key of item.keys()) if (!keys.has(key)) throw violation(`key ${key}`);
  const result = {};
  for (const [key, name, kind, optional] of fields) {
    if (item.has(key)) result[name] = kind(item.get(key));
    else if (!optional) throw violation(`no ${name}`);
  }
  return result;
};
export const variant = (cases) => (item) => {
  if (!Array.isArray(item) || item.length !== 2 || typeof item[0] !== 'bigint') throw violation('choice');
  const kind = cases[Number(item[0])];
  if (kind === undefined) throw violation('an unregistered case');
  return { tag: Number(item[0]), ...kind(item[1]) };
};
