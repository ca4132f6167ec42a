// SPDX-License-Identifier: Apache-2.0
// Keys and envelopes: chapter "Identity and signatures".

import { createECDH, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { Refused, Tagged, decode, encode } from './cbor.js';
import { sha256 } from './content.js';

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const KEY_HEAD = Buffer.from('a401022001215820', 'hex');
const KEY_MIDDLE = Buffer.from('225820', 'hex');
const HEADER = Buffer.from('a201260ea108a101', 'hex');

const number = (data) => BigInt('0x' + (data.toString('hex') || '0'));
const bytes32 = (value) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');

export function readKey(key) {
  const invalid = new Refused('invalid_key');
  if (key.length !== 75 || !key.subarray(0, 8).equals(KEY_HEAD) || !key.subarray(40, 43).equals(KEY_MIDDLE)) throw invalid;
  const x = key.subarray(8, 40);
  const y = key.subarray(43);
  const [a, b] = [number(x), number(y)];
  if (a >= P || b >= P || (b * b - (a * a * a - 3n * a + B)) % P !== 0n) throw invalid;
  return { x, y, thumbprint: sha256(key) };
}

const toBeSigned = (header, aad, payload) => encode(['Signature1', header, aad, payload]);
const jwk = ({ x, y }) => ({ kty: 'EC', crv: 'P-256', x: x.toString('base64url'), y: y.toString('base64url') });

export function open(data, aad) {
  const item = decode(data, { bytes: 33024, depth: 3, items: 8 });
  const form = new Refused('schema_violation');
  if (!(item instanceof Tagged) || !Array.isArray(item.value) || item.value.length !== 4) throw form;
  const [header, unprotected, payload, signature] = item.value;
  if (!(unprotected instanceof Map) || unprotected.size !== 0) throw form;
  if (!Buffer.isBuffer(header) || !header.subarray(0, HEADER.length).equals(HEADER)) throw form;
  if (!Buffer.isBuffer(payload) || payload.length > 32768) throw form;
  const canonical = new Refused('non_canonical_signature');
  if (!Buffer.isBuffer(signature) || signature.length !== 64) throw canonical;
  const key = readKey(header.subarray(HEADER.length));
  const [r, s] = [number(signature.subarray(0, 32)), number(signature.subarray(32))];
  if (r <= 0n || r >= N || s <= 0n || s > (N - 1n) / 2n) throw canonical;
  const publicKey = createPublicKey({ key: jwk(key), format: 'jwk' });
  if (!verify('sha256', toBeSigned(header, aad, payload), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)) {
    throw new Refused('bad_signature');
  }
  return { signer: key.thumbprint, payload, digest: sha256(data) };
}

function publicPair(secret) {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(secret);
  const point = curve.getPublicKey();
  return { x: point.subarray(1, 33), y: point.subarray(33) };
}

const coseKey = ({ x, y }) => Buffer.concat([KEY_HEAD, x, KEY_MIDDLE, y]);
export const thumbprintOf = (secret) => sha256(coseKey(publicPair(secret)));

export function seal(secret, payload, aad) {
  const pair = publicPair(secret);
  const header = Buffer.concat([HEADER, coseKey(pair)]);
  const key = createPrivateKey({ key: { ...jwk(pair), d: secret.toString('base64url') }, format: 'jwk' });
  const signature = sign('sha256', toBeSigned(header, aad, payload), { key, dsaEncoding: 'ieee-p1363' });
  let s = number(signature.subarray(32));
  if (s > (N - 1n) / 2n) s = N - s;
  return encode(new Tagged(18n, [header, new Map(), payload, Buffer.concat([signature.subarray(0, 32), bytes32(s)])]));
}
