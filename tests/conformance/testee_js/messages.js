// SPDX-License-Identifier: Apache-2.0
// Messages: chapter "Messages", schemas as its tables give them.

import { readFileSync } from 'node:fs';
import { Refused, decode, encode } from './cbor.js';
import { DIGEST } from './content.js';
import { open, seal } from './identity.js';
import { array, bool, bytes, int, oneOf, record, text, uint, variant } from './schema.js';

const registry = readFileSync(new URL('../../../spec/registry/errors.toml', import.meta.url), 'utf8');
export const ERRORS = new Map(
  [...registry.matchAll(/^id = (\d+)\nname = "(\w+)"\nhttp = (\d+)/gm)].map(([, id, name, http]) => [
    Number(id),
    { name, http: Number(http) },
  ]),
);

const AMOUNT = int(0n, 1n << 62n);
const DURATION = int(1, 2 ** 40);
const NONCE = bytes(16, 16);
const ENVELOPE = bytes(1, 8192);
const CODE = oneOf(...ERRORS.keys());
const ID = uint(16);
const ROLE = oneOf(1, 2, 3, 4, 5);
const BLOB = record([[0, 'digest', DIGEST], [1, 'size', int(0, 2 ** 40)]]);
const SUITE = record([[0, 'suite', ID], [1, 'set', ID]]);
const EXTENSIONS = array(record([[0, 'id', ID], [1, 'critical', bool], [2, 'data', bytes(0, 1024)]]), 0, 16);
const SUITES = array(SUITE, 1, 16);
const POLICY = variant({
  1: record([[0, 'suites', SUITES]]),
  2: record([[0, 'suites', SUITES], [1, 'rate', int(1, 65536)], [2, 'reveal', DURATION], [3, 'stake', AMOUNT]]),
  3: record([[0, 'suites', SUITES], [1, 'window', DURATION], [2, 'answer', DURATION], [3, 'stake', AMOUNT]]),
});

const CERTIFICATE = record([[0, 'set', DIGEST], [1, 'statement', DIGEST], [2, 'signers', bytes(1, 32)], [3, 'signature', bytes(96, 96)]]);
const MEMBER = record([[0, 'key', bytes(48, 48)], [1, 'possession', bytes(96, 96)], [2, 'device', DIGEST]]);
const VERIFIERS = record([[0, 'members', array(MEMBER, 1, 256)], [1, 'threshold', int(1, 256)]]);

const KEY_RECORD = record([[0, 'kind', oneOf(1, 2, 3)], [1, 'data', bytes(1, 4096)]]);

const BODIES = {
  1: record([
    [0, 'role', ROLE], [1, 'nonce', NONCE], [2, 'versions', array(ID, 1, 16)], [3, 'suites', array(ID, 0, 64)],
    [4, 'extensions', EXTENSIONS], [5, 'answers', DIGEST, true], [6, 'version', ID, true], [7, 'settlement', DIGEST, true],
  ]),
  2: record([
    [0, 'session', DIGEST], [1, 'sequence', uint(32)], [2, 'role', ROLE], [3, 'operators', ID], [4, 'suites', array(SUITE, 1, 32)],
    [5, 'capacity', int(0, 1024)], [6, 'price', AMOUNT], [7, 'bond', AMOUNT], [8, 'valid', DURATION], [9, 'memory', int(0, 2 ** 50), true],
  ]),
  3: record([
    [0, 'nonce', NONCE], [1, 'settlement', DIGEST], [2, 'model', BLOB], [3, 'inputs', BLOB], [4, 'batch', int(1, 65536)],
    [5, 'work', int(1n, 1n << 62n)], [6, 'policy', POLICY], [7, 'verifiers', array(DIGEST, 1, 32)], [8, 'quorum', int(1, 32)],
    [9, 'price', AMOUNT], [10, 'bond', AMOUNT], [11, 'deadline', AMOUNT], [12, 'lease', DURATION], [13, 'verdict', DURATION],
    [14, 'extensions', EXTENSIONS], [15, 'memo', bytes(0, 64), true], [16, 'set', VERIFIERS, true],
    [17, 'confidential', record([[0, 'verifiers', bool]]), true], [18, 'fallback', array(DIGEST, 1, 8), true],
  ]),
  4: record([[0, 'offer', ENVELOPE], [1, 'attempt', uint(32)], [2, 'escrow', AMOUNT]]),
  5: record([[0, 'task', DIGEST], [1, 'attempt', uint(32)], [2, 'bond', AMOUNT]]),
  6: record([[0, 'task', DIGEST], [1, 'attempt', uint(32)], [2, 'code', CODE], [3, 'retry', DURATION, true]]),
  7: record([[0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'sequence', uint(32)], [3, 'permille', int(0, 1000)]]),
  8: record([[0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'reason', oneOf(1, 2, 3, 4, 5, 6, 7)]]),
  9: record([
    [0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'outputs', BLOB], [3, 'suite', SUITE], [4, 'proof', BLOB, true],
    [5, 'energy', int(0n, 1n << 53n), true],
  ]),
  10: record([[0, 'offer', ENVELOPE], [1, 'accept', ENVELOPE], [2, 'result', ENVELOPE], [3, 'answer', ENVELOPE, true]]),
  11: record([
    [0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'result', DIGEST], [3, 'accepted', bool], [4, 'basis', oneOf(1, 2, 3, 4)],
    [5, 'code', CODE, true], [6, 'share', bytes(96, 96), true],
  ]),
  12: record([
    [0, 'task', DIGEST], [1, 'outcome', oneOf(1, 2, 3, 4)], [2, 'requester', DIGEST], [3, 'amount', AMOUNT], [4, 'bond', AMOUNT],
    [5, 'work', AMOUNT], [6, 'time', AMOUNT], [7, 'entry', uint(53)], [8, 'verdicts', array(ENVELOPE, 0, 32)],
    [9, 'worker', DIGEST, true], [10, 'lease', DIGEST, true], [11, 'result', ENVELOPE, true],
    [12, 'certificate', CERTIFICATE, true], [13, 'challenge', ENVELOPE, true], [14, 'draw', array(ENVELOPE, 1, 16), true],
    [15, 'rotations', array(DIGEST, 1, 64), true],
  ]),
  13: record([[0, 'task', DIGEST], [1, 'code', CODE], [2, 'lease', DIGEST, true]]),
  14: record([[0, 'code', CODE], [1, 'detail', text(512)], [2, 'regarding', DIGEST, true], [3, 'retry', DURATION, true]]),
  15: record([[0, 'session', DIGEST], [1, 'sequence', uint(53)], [2, 'wait', int(0, 60000)]]),
  16: record([[0, 'result', DIGEST], [1, 'commitment', DIGEST]]),
  17: record([[0, 'result', DIGEST], [1, 'nonce', DIGEST]]),
  18: record([
    [0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'commits', array(bytes(1, 512), 0, 8)], [3, 'reveals', array(bytes(1, 512), 0, 8)],
    [4, 'closed', bool],
  ]),
  19: record([[0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'result', DIGEST]]),
  20: record([[0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'result', DIGEST], [3, 'proof', BLOB, true]]),
  21: record([[0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'role', ROLE], [3, 'key', bytes(65, 65)]]),
  22: record([[0, 'task', DIGEST], [1, 'lease', DIGEST], [2, 'reader', DIGEST], [3, 'sealed', BLOB]]),
  23: record([[0, 'record', KEY_RECORD]]),
  24: record([[0, 'key', DIGEST], [1, 'after', uint(16)]]),
  26: record([[0, 'session', DIGEST], [1, 'role', ROLE], [2, 'evidence', bytes(1, 17408), true]]),
  25: record([[0, 'party', DIGEST], [1, 'after', uint(16)], [2, 'records', array(KEY_RECORD, 0, 7)], [3, 'more', bool]]),
};

const AAD = Buffer.from('vcompute/1');

export const TYPE = {
  hello: 1, advertise: 2, offer: 3, assign: 4, accept: 5, decline: 6, progress: 7, yield: 8, result: 9, check: 10, verdict: 11,
  receipt: 12, cancel: 13, error: 14, fetch: 15, sample_commit: 16, sample_reveal: 17, draw: 18, challenge: 19, answer: 20, reader: 21, opening: 22,
  key_change: 23, lookup: 24, keys: 25, enrol: 26,
};
export const NAMES = Object.fromEntries(Object.entries(TYPE).map(([name, number]) => [number, name]));
export const CODES = Object.fromEntries([...ERRORS].map(([number, { name }]) => [name, number]));

export function openMessage(data) {
  const { signer, payload, digest } = open(data, AAD);
  const item = decode(payload, { bytes: 32768, depth: 8, items: 1024 });
  if (Array.isArray(item) && item.length === 2 && typeof item[0] === 'bigint' && !(Number(item[0]) in BODIES)) {
    throw new Refused('unknown_message');
  }
  const { type, body } = choice(item);
  return { type, body, signer, digest, data };
}

// A message inside another one: it must be of the type its place asks for.
export function openAs(name, data) {
  const message = openMessage(data);
  if (message.type !== TYPE[name]) throw new Refused('unknown_message', `not of the type ${name}`);
  return message;
}

function choice(item) {
  const { tag, ...body } = variant(BODIES)(item);
  return { type: tag, body };
}

// `fields` are pairs of key and value; a value that is undefined is an absent field.
export function sign(secret, name, fields) {
  const body = new Map(fields.filter(([, value]) => value !== undefined));
  const message = [BigInt(TYPE[name]), body];
  choice(decode(encode(message)));
  const data = seal(secret, encode(message), AAD);
  return { ...openMessage(data), name };
}
