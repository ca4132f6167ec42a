#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// An independent testee: JSON lines on standard input, answers on standard output.

import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Refused, decode, diagnostic, encode, fromDiagnostic } from './cbor.js';
import { requantize, run } from './compute.js';
import { blobDigest, leavesOf, path, readBatch, root, digestOfRoot, statement, verifyChunk } from './content.js';
import { readGraph, readModel } from './graph.js';
import { open, readKey, seal } from './identity.js';
import { ERRORS, openMessage } from './messages.js';
import { backOff, deposit, deviceRun, drawn, sampleCommitment, standing } from './rules.js';
import { bytes, int, record, text, uint } from './schema.js';
import { NotPlayed, SESSION_OPERATIONS } from './sessions.js';
import { checkConfiguration, commitInput, ed25519, hpkeOpen, hpkeSeal, keyHistory, openEvidence, openInput } from './trust.js';

const toBytes = (value) =>
  typeof value === 'string'
    ? Buffer.from(value, 'base64url')
    : value.length === 0
      ? Buffer.alloc(0)
      : createHash('shake256', { outputLength: value.length }).update(value.shake256).digest();
const b64 = (data) => data.toString('base64url');

const ENVELOPE = record([
  [0, 'kind', text(32)], [1, 'version', int(1, 1)], [2, 'suite', uint(16)], [3, 'set', uint(16)],
  [4, 'statement', bytes(32, 32)], [5, 'body', bytes(0, 2 ** 30)],
]);

function readProof(data) {
  try {
    const proof = ENVELOPE(decode(data, { bytes: 2 ** 30 + 256, depth: 2, items: 16 }));
    if (proof.kind === 'vcompute-proof') return proof;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  throw new Refused('proof_malformed');
}

class Unsupported extends Error {}

// The suite replay; a proof of another suite is beyond this testee.
function verifyReplay(given) {
  const proof = readProof(toBytes(given.proof));
  const admitted = given.parameter_sets ?? [1, 2, 3, 5];
  if (!admitted.includes(proof.set)) throw new Refused('suite_not_accepted');
  if (proof.set !== 1) throw new Unsupported();
  if (proof.suite !== 1) throw new Refused('suite_not_accepted');
  const model = readModel(toBytes(given.model));
  const [inputs, outputs, context] = [given.inputs, given.outputs, given.context].map(toBytes);
  const own = run(toBytes(given.model), inputs);
  const claimed = readBatch(outputs);
  const types = own.graph.outputs.map((i) => own.graph.nodes[i - own.graph.inputs.length].output);
  const fits =
    claimed.size === own.batch.size &&
    claimed.tensors.length === types.length &&
    claimed.tensors.every(({ dtype, shape }, i) => dtype === types[i].dtype && `${shape}` === `${types[i].shape}`);
  const { digest } = statement(model.digest, own.batch.size, blobDigest(inputs), blobDigest(outputs), context);
  if (!fits || !digest.equals(proof.statement)) throw new Refused('statement_mismatch');
  if (proof.body.length) throw new Refused('trailing_bytes');
  if (!own.outputs.equals(outputs)) throw new Refused('output_mismatch');
  return { suite: 'replay', parameter_set: 'exact' };
}

const OPERATIONS = {
  hello: () => ({ protocol: 1, name: 'independent testee in JavaScript', roles: ['worker', 'requester', 'verifier', 'settlement'], operations: Object.keys(OPERATIONS) }),
  'cbor.decode': ({ bytes: data, limits }) => ({ value: diagnostic(decode(toBytes(data), limits)) }),
  'cbor.encode': ({ value }) => ({ bytes: b64(encode(fromDiagnostic(value))) }),
  'error.lookup': ({ numbers }) => ({
    errors: numbers.map((number) => {
      if (!ERRORS.has(number)) throw new Refused('schema_violation');
      return ERRORS.get(number);
    }),
  }),
  'blob.digest': ({ bytes: data }) => {
    const content = toBytes(data);
    const leaves = leavesOf(content);
    return { digest: b64(digestOfRoot(content.length, root(leaves))), root: b64(root(leaves)), chunks: leaves.length };
  },
  'blob.path': ({ bytes: data, index }) => ({ path: path(leavesOf(toBytes(data)), index).map(b64) }),
  'chunk.verify': ({ digest, size, chunk }) => ({ leaf: b64(verifyChunk(toBytes(digest), size, toBytes(chunk))) }),
  'graph.decode': ({ bytes: data }) => {
    const { digest, work } = readGraph(toBytes(data));
    return { digest: b64(digest), macs: `${work.macs}`, elements: `${work.elements}` };
  },
  'model.decode': ({ bytes: data }) => {
    const { digest, graphDigest, weightsDigest } = readModel(toBytes(data));
    return { digest: b64(digest), graph_digest: b64(graphDigest), weights_digest: b64(weightsDigest) };
  },
  'batch.decode': ({ bytes: data }) => ({ digest: b64(blobDigest(toBytes(data))), size: readBatch(toBytes(data)).size }),
  'statement.digest': (given) => {
    const parts = ['model', 'inputs', 'outputs', 'context'].map((name) => toBytes(given[name]));
    const { bytes: data, digest } = statement(parts[0], given.batch, parts[1], parts[2], parts[3]);
    return { bytes: b64(data), digest: b64(digest) };
  },
  'proof.decode': ({ bytes: data }) => {
    const proof = readProof(toBytes(data));
    return { suite: proof.suite, parameter_set: proof.set, statement: b64(proof.statement) };
  },
  'proof.verify': verifyReplay,
  'key.thumbprint': ({ key }) => ({ thumbprint: b64(readKey(toBytes(key)).thumbprint) }),
  'envelope.open': ({ bytes: data, aad }) => {
    const { signer, payload, digest } = open(toBytes(data), toBytes(aad));
    return { signer: b64(signer), payload: b64(payload), digest: b64(digest) };
  },
  'envelope.seal': ({ private: secret, payload, aad }) => ({
    bytes: b64(seal(toBytes(secret), toBytes(payload), toBytes(aad))),
  }),
  'message.open': ({ bytes: data }) => {
    const { type, signer, digest } = openMessage(toBytes(data));
    return { type, signer: b64(signer), digest: b64(digest) };
  },
  'compute.requantize': ({ values, multiplier, shift, rounding }) => ({
    values: values.map((value) => requantize(value, multiplier, shift, rounding)),
  }),
  'compute.run': ({ model, inputs }) => ({ outputs: b64(run(toBytes(model), toBytes(inputs)).outputs) }),
  'compute.trace': ({ model, inputs }) => ({
    digests: run(toBytes(model), toBytes(inputs)).layers.map((layer) => b64(blobDigest(layer))),
  }),
  'sample.commitment': ({ result, party, nonce }) => ({
    commitment: b64(sampleCommitment(...[result, party, nonce].map(toBytes))),
  }),
  'sample.draw': ({ result, nonces, rate }) => ({
    checked: drawn(toBytes(result), nonces.map((row) => row.map(toBytes)), rate),
  }),
  'deposit.compute': (given) => ({ bond: `${deposit(given)}` }),
  'standing.compute': standing,
  'backoff.compute': (given) => ({ wait: backOff(given) }),
  'device.run': ({ policy, readings }) =>
    deviceRun(toBytes(policy), readings.map(([time, data]) => [time, toBytes(data)])),
  'hpke.seal': ({ recipient, info, aad, plaintext, private: secret }) => {
    const sealed = hpkeSeal(...[recipient, info, aad, plaintext, secret].map(toBytes));
    return { encapsulation: b64(sealed.encapsulation), ciphertext: b64(sealed.ciphertext) };
  },
  'hpke.open': ({ private: secret, encapsulation, info, aad, ciphertext }) => ({
    plaintext: b64(hpkeOpen(...[secret, encapsulation, info, aad, ciphertext].map(toBytes))),
  }),
  'input.commit': ({ salt, inputs }) => ({ commitment: b64(commitInput(toBytes(salt), toBytes(inputs))) }),
  'input.open': ({ configuration, private: secret, sealed }) => ({
    inputs: b64(openInput(...[configuration, secret, sealed].map(toBytes))),
  }),
  'configuration.encode': ({ bytes: data }) => ({ bytes: b64(checkConfiguration(toBytes(data))) }),
  'ed25519.verify': ({ key, signature, message }) => ({
    thumbprint: b64(ed25519(...[key, signature, message].map(toBytes))),
  }),
  'key.history': ({ enrolled, since, records, key, time }) => {
    const given = records.map(([kind, data]) => [kind, toBytes(data)]);
    const { current, valid } = keyHistory(toBytes(enrolled), since, given, toBytes(key), time);
    return { current: b64(current), valid };
  },
  'evidence.open': ({ bytes: data, nonce }) => {
    const { key, type, data: content } = openEvidence(toBytes(data), toBytes(nonce));
    return { key: b64(key), type, data: b64(content) };
  },
  ...SESSION_OPERATIONS,
};

function answer({ id, op, in: given }) {
  if (!Object.hasOwn(OPERATIONS, op)) return { id, unsupported: true };
  try {
    return { id, out: OPERATIONS[op](given) };
  } catch (error) {
    if (error instanceof Unsupported || error instanceof NotPlayed) return { id, unsupported: true };
    if (error instanceof Refused) return { id, error: { code: error.code, message: error.message } };
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`);
}
