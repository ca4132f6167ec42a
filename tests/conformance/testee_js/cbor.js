// SPDX-License-Identifier: Apache-2.0
// The deterministic profile of CBOR: chapter "Encoding". Integers are BigInt, byte strings Buffer, maps Map.

export class Refused extends Error {
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }
}

export class Tagged {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}

const malformed = (message) => new Refused('malformed_encoding', message);
const DEFAULT = { bytes: 1 << 20, depth: 16, items: 1 << 16 };

class Reader {
  constructor(data, limits) {
    this.data = data;
    this.limits = limits;
    this.at = 0;
    this.items = 0;
  }

  take(size) {
    if (size > this.data.length - this.at) throw malformed('the input ends inside an item');
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  head() {
    const initial = this.take(1)[0];
    const major = initial >> 5;
    const info = initial & 31;
    if (info < 24) return [major, BigInt(info)];
    if (info > 27) throw malformed('an indefinite or reserved length');
    if (major === 7) throw malformed('a float or simple value');
    const size = 1 << (info - 24);
    const argument = BigInt('0x' + this.take(size).toString('hex'));
    const least = size === 1 ? 24n : 1n << BigInt(4 * size);
    if (argument < least) throw malformed('not in the shortest form');
    return [major, argument];
  }

  bounded(count, floor) {
    if (count * BigInt(floor) > BigInt(this.data.length - this.at)) throw malformed('a count the input cannot hold');
    return Number(count);
  }

  text(size) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(size));
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw malformed('not UTF-8');
    }
  }

  map(count, depth) {
    const map = new Map();
    let last = -1n;
    for (let i = 0; i < count; i++) {
      const [major, key] = this.head();
      if (major !== 0) throw malformed('a key that is no unsigned integer');
      if (key <= last) throw malformed('keys are not ascending');
      last = key;
      map.set(key <= 0xffffffffn ? Number(key) : key, this.value(depth + 1));
    }
    return map;
  }

  value(depth) {
    if (depth > this.limits.depth) throw new Refused('limit_exceeded');
    if (++this.items > this.limits.items) throw new Refused('limit_exceeded');
    const [major, argument] = this.head();
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1n - argument;
      case 2:
        return Buffer.from(this.take(this.bounded(argument, 1)));
      case 3:
        return this.text(this.bounded(argument, 1));
      case 4: {
        const count = this.bounded(argument, 1);
        const list = [];
        for (let i = 0; i < count; i++) list.push(this.value(depth + 1));
        return list;
      }
      case 5:
        return this.map(this.bounded(argument, 2), depth);
      case 6:
        if (argument !== 18n) throw malformed('a tag outside the profile');
        return new Tagged(18n, this.value(depth + 1));
      default: {
        const simple = { 20: false, 21: true, 22: null };
        if (!(argument in simple)) throw malformed('a simple value outside the profile');
        return simple[argument];
      }
    }
  }
}

export function decode(data, limits = DEFAULT) {
  if (data.length > limits.bytes) throw new Refused('limit_exceeded');
  const reader = new Reader(data, limits);
  const value = reader.value(0);
  if (reader.at !== data.length) throw malformed('bytes after the item');
  return value;
}

function head(major, argument) {
  if (argument < 24n) return Buffer.from([(major << 5) | Number(argument)]);
  for (const [info, size] of [[24, 1], [25, 2], [26, 4], [27, 8]]) {
    if (argument < 1n << BigInt(8 * size)) {
      return Buffer.concat([
        Buffer.from([(major << 5) | info]),
        Buffer.from(argument.toString(16).padStart(2 * size, '0'), 'hex'),
      ]);
    }
  }
  throw new Refused('limit_exceeded');
}

export function encode(value) {
  if (value === null) return Buffer.from([0xf6]);
  if (typeof value === 'boolean') return Buffer.from([value ? 0xf5 : 0xf4]);
  if (typeof value === 'number') return encode(BigInt(value));
  if (typeof value === 'bigint') return value >= 0n ? head(0, value) : head(1, -1n - value);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, BigInt(value.length)), value]);
  if (typeof value === 'string') {
    const text = Buffer.from(value, 'utf8');
    return Buffer.concat([head(3, BigInt(text.length)), text]);
  }
  if (Array.isArray(value)) return Buffer.concat([head(4, BigInt(value.length)), ...value.map(encode)]);
  if (value instanceof Map) {
    const keys = [...value.keys()].map(BigInt).sort((a, b) => (a < b ? -1 : 1));
    const byKey = new Map([...value].map(([key, item]) => [BigInt(key), item]));
    return Buffer.concat([head(5, BigInt(keys.length)), ...keys.flatMap((key) => [head(0, key), encode(byKey.get(key))])]);
  }
  return Buffer.concat([head(6, value.tag), encode(value.value)]);
}

export function diagnostic(value) {
  if (value === null) return { null: true };
  if (typeof value === 'boolean') return { bool: value };
  if (typeof value === 'bigint') return value >= 0n ? { uint: `${value}` } : { nint: `${value}` };
  if (Buffer.isBuffer(value)) return { bytes: value.toString('base64url') };
  if (typeof value === 'string') return { text: value };
  if (Array.isArray(value)) return { array: value.map(diagnostic) };
  if (value instanceof Map) return { map: [...value].map(([key, item]) => [`${key}`, diagnostic(item)]) };
  return { tag: [`${value.tag}`, diagnostic(value.value)] };
}

export function fromDiagnostic(form) {
  const [[kind, value]] = Object.entries(form);
  switch (kind) {
    case 'uint':
    case 'nint':
      return BigInt(value);
    case 'bytes':
      return Buffer.from(value, 'base64url');
    case 'array':
      return value.map(fromDiagnostic);
    case 'map':
      return new Map(value.map(([key, item]) => [BigInt(key), fromDiagnostic(item)]));
    case 'tag':
      return new Tagged(BigInt(value[0]), fromDiagnostic(value[1]));
    case 'null':
      return null;
    default:
      return value;
  }
}
