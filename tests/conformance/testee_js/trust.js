// SPDX-License-Identifier: Apache-2.0
// Confidential inputs, Ed25519, the life of a key: chapters "Confidential inputs" and "The life of a key".

import { createCipheriv, createDecipheriv, createECDH, createHmac, createPublicKey, verify } from 'node:crypto';
import { Refused, decode, encode } from './cbor.js';
import { DIGEST, blobDigest, sha256, tagged } from './content.js';
import { open } from './identity.js';
import { array, bytes, int, oneOf, record, text } from './schema.js';

const ascii = (value) => Buffer.from(value, 'latin1');
const pair = (value) => Buffer.from([value >> 8, value & 255]);

// HPKE (RFC 9180), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, one message.
const KEM_SUITE = Buffer.concat([ascii('KEM'), pair(0x0010)]);
const HPKE_SUITE = Buffer.concat([ascii('HPKE'), pair(0x0010), pair(0x0001), pair(0x0001)]);
const hmac = (key, data) => createHmac('sha256', key).update(data).digest();
const extract = (suite, salt, label, key) =>
  hmac(salt.length ? salt : Buffer.alloc(32), Buffer.concat([ascii('HPKE-v1'), suite, ascii(label), key]));

function expand(suite, key, label, info, size) {
  const labelled = Buffer.concat([pair(size), ascii('HPKE-v1'), suite, ascii(label), info]);
  let [out, block] = [Buffer.alloc(0), Buffer.alloc(0)];
  for (let i = 1; out.length < size; i++) {
    block = hmac(key, Buffer.concat([block, labelled, Buffer.from([i])]));
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, size);
}

function agree(secret, point) {
  if (point.length !== 65 || point[0] !== 4) throw new Refused('invalid_key');
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(secret);
  try {
    return curve.computeSecret(point);
  } catch {
    throw new Refused('invalid_key');
  }
}

const publicPoint = (secret) => {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(secret);
  return curve.getPublicKey();
};

function keyAndNonce(shared, encapsulation, recipient, info) {
  const none = Buffer.alloc(0);
  const early = extract(KEM_SUITE, none, 'eae_prk', shared);
  const secret = expand(KEM_SUITE, early, 'shared_secret', Buffer.concat([encapsulation, recipient]), 32);
  const context = Buffer.concat([
    Buffer.from([0]), extract(HPKE_SUITE, none, 'psk_id_hash', none), extract(HPKE_SUITE, none, 'info_hash', info),
  ]);
  const scheduled = extract(HPKE_SUITE, secret, 'secret', none);
  return [expand(HPKE_SUITE, scheduled, 'key', context, 16), expand(HPKE_SUITE, scheduled, 'base_nonce', context, 12)];
}

export function hpkeSeal(recipient, info, aad, plaintext, oneTime) {
  const encapsulation = publicPoint(oneTime);
  const [key, nonce] = keyAndNonce(agree(oneTime, recipient), encapsulation, recipient, info);
  const cipher = createCipheriv('aes-128-gcm', key, nonce).setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return { encapsulation, ciphertext };
}

export function hpkeOpen(secret, encapsulation, info, aad, ciphertext) {
  const [key, nonce] = keyAndNonce(agree(secret, encapsulation), encapsulation, publicPoint(secret), info);
  if (ciphertext.length < 16) throw new Refused('decryption_failed');
  const cipher = createDecipheriv('aes-128-gcm', key, nonce).setAAD(aad);
  cipher.setAuthTag(ciphertext.subarray(-16));
  try {
    return Buffer.concat([cipher.update(ciphertext.subarray(0, -16)), cipher.final()]);
  } catch {
    throw new Refused('decryption_failed');
  }
}

const CONFIGURATION = record([
  [0, 'task', DIGEST], [1, 'model', DIGEST], [2, 'commitment', DIGEST], [3, 'reader', DIGEST], [4, 'role', oneOf(1, 2, 3, 4, 5)],
]);
const SEALED = record([[0, 'encapsulation', bytes(65, 65)], [1, 'ciphertext', bytes(48, 2 ** 30)]]);

export function commitInput(salt, inputs) {
  if (salt.length !== 32) throw new Refused('schema_violation');
  return tagged('vcompute/input-commitment/1', salt, blobDigest(inputs));
}

export function checkConfiguration(encoded) {
  const item = decode(encoded);
  CONFIGURATION(item);
  return encode(item);
}

export function openInput(configuration, secret, sealed) {
  const aad = checkConfiguration(configuration);
  const { commitment } = CONFIGURATION(decode(configuration));
  const { encapsulation, ciphertext } = SEALED(decode(sealed));
  const opening = hpkeOpen(secret, encapsulation, ascii('vcompute/1 input'), aad, ciphertext);
  const inputs = opening.subarray(32);
  if (!commitInput(opening.subarray(0, 32), inputs).equals(commitment)) throw new Refused('digest_mismatch');
  return inputs;
}

// Ed25519: what libraries disagree on is refused first.
const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const SMALL = [
  0n, 1n, FIELD - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
];
const OKP = Buffer.from('a301012006215820', 'hex');
const little = (data) => BigInt(`0x${Buffer.from(data).reverse().toString('hex')}`);

function checkPoint(encoded, code) {
  const y = little(encoded) & (2n ** 255n - 1n);
  if (y >= FIELD || SMALL.includes(y)) throw new Refused(code);
}

export function ed25519(key, signature, message) {
  if (key.length !== 40 || !key.subarray(0, 8).equals(OKP)) throw new Refused('invalid_key');
  const x = key.subarray(8);
  checkPoint(x, 'invalid_key');
  if (signature.length !== 64) throw new Refused('non_canonical_signature');
  checkPoint(signature.subarray(0, 32), 'non_canonical_signature');
  if (little(signature.subarray(32)) >= ORDER) throw new Refused('non_canonical_signature');
  let right = false;
  try {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') };
    right = verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), signature);
  } catch {
    throw new Refused('invalid_key');
  }
  if (!right) throw new Refused('bad_signature');
  return sha256(key);
}

// The life of a key.
const TIME = int(0n, 1n << 62n);
const SUCCESSOR = record([[0, 'previous', DIGEST], [1, 'sequence', int(1, 1024)]]);
const ROTATION = record([[0, 'successor', bytes(1, 1024)], [1, 'time', TIME], [2, 'carried', array(DIGEST, 1, 64), true]]);
const ENROLMENT = record([[0, 'role', oneOf(1, 2, 3, 4, 5)], [1, 'time', TIME], [2, 'recovery', DIGEST, true]]);
const REVOCATION = record([[0, 'key', DIGEST], [1, 'time', TIME], [2, 'reason', oneOf(1, 2, 3, 4)]]);
const EVIDENCE = record([
  [6, 'issued', TIME], [8, 'confirmation', record([[3, 'kid', DIGEST]])], [10, 'nonce', bytes(8, 64)], [265, 'profile', text(64)],
  [273, 'measurements', array((item) => {
    if (!Array.isArray(item) || item.length !== 2) throw new Refused('schema_violation');
    return { type: oneOf(65000, 65001, 65002, 65003)(item[0]), data: bytes(1, 16384)(item[1]) };
  }, 1, 1)],
]);
const opened = (data, use, kind) => {
  const { signer, payload } = open(data, ascii(`vcompute/1/${use}`));
  return { signer, ...kind(decode(payload)) };
};

class History {
  constructor(key, since) {
    this.tenures = [{ key, since }];
  }

  enrolment(data) {
    const { signer, recovery } = opened(data, 'enrolment', ENROLMENT);
    const content = open(data, ascii('vcompute/1/enrolment')).payload;
    if (!signer.equals(this.tenures[0].key)) throw new Refused('unexpected_signer');
    if (this.enrolled?.equals(content)) return;
    if (this.enrolled || this.tenures.length > 1 || this.tenures[0].revoked !== undefined) throw new Refused('operation_conflict');
    Object.assign(this, { enrolled: content, recovery });
  }

  rotation(data) {
    const rotation = opened(data, 'rotation', ROTATION);
    const consent = opened(rotation.successor, 'successor', SUCCESSOR);
    const [before, after] = [this.tenures[consent.sequence - 1], this.tenures[consent.sequence]];
    const again =
      after && (before.key.equals(rotation.signer) || this.recovery?.equals(rotation.signer)) && after.key.equals(consent.signer) && after.since === rotation.time &&
      consent.previous.equals(before.key);
    if (again) return;
    const last = this.tenures.at(-1);
    const may = this.recovery?.equals(rotation.signer) || (rotation.signer.equals(last.key) && last.revoked === undefined);
    if (!may || !consent.previous.equals(last.key)) {
      throw new Refused('unexpected_signer');
    }
    if (consent.sequence !== this.tenures.length || rotation.time < last.since) throw new Refused('schema_violation');
    if ([...this.tenures.map(({ key }) => key), this.recovery].some((key) => key?.equals(consent.signer))) throw new Refused('key_reused');
    last.until = rotation.time;
    this.tenures.push({ key: consent.signer, since: rotation.time });
  }

  revocation(data) {
    const { key, time, signer } = opened(data, 'revocation', REVOCATION);
    const at = this.tenures.findIndex((tenure) => tenure.key.equals(key));
    if (at < 0) throw new Refused('invalid_key');
    if (![...this.tenures.slice(at).map(({ key: own }) => own), this.recovery].some((may) => may?.equals(signer))) throw new Refused('unexpected_signer');
    const tenure = this.tenures[at];
    if (tenure.revoked === undefined || time < tenure.revoked) tenure.revoked = time;
  }

  valid(key, time) {
    return this.tenures.some(
      (tenure) => tenure.key.equals(key) && time >= tenure.since && !(time >= tenure.until) && !(time >= tenure.revoked),
    );
  }
}

export function keyHistory(enrolled, since, records, key, time) {
  const history = new History(enrolled, since);
  for (const [kind, data] of records) history[kind](data);
  return { current: history.tenures.at(-1).key, valid: history.valid(key, time) };
}

export function openEvidence(data, nonce) {
  const { signer, ...evidence } = opened(data, 'evidence', EVIDENCE);
  if (evidence.profile !== 'tag:vcompute,2026:eat/1') throw new Refused('schema_violation');
  if (!evidence.confirmation.kid.equals(signer)) throw new Refused('unexpected_signer');
  if (!evidence.nonce.equals(nonce)) throw new Refused('evidence_stale');
  return { key: signer, ...evidence.measurements[0] };
}
