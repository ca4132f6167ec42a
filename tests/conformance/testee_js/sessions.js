// SPDX-License-Identifier: Apache-2.0
// The operations session.* of the testee protocol: one role on a clock that the suite sets.

import { Refused } from './cbor.js';
import { NAMES } from './messages.js';
import { Requester } from './requester.js';
import { NotPlayed, Settlement } from './settlement.js';
import { Verifier } from './verifier.js';
import { Worker } from './worker.js';

const ROLES = { requester: Requester, settlement: Settlement, verifier: Verifier, worker: Worker };
const peers = [];

export { NotPlayed };

const bytes = (value) => Buffer.from(value, 'base64url');
const b64 = (value) => value.toString('base64url');

// Actions as JSON: bytes as base64url, a message with the name of its type.
function shown(actions) {
  return actions.map((action) => {
    const form = Object.fromEntries(
      Object.entries(action).map(([name, value]) => {
        if (Buffer.isBuffer(value)) return [name, b64(value)];
        return [name, name === 'blobs' ? value.map(b64) : value];
      }),
    );
    return action.do === 'send' ? { ...form, type: NAMES[action.message.type], message: b64(action.message.data) } : form;
  });
}

const BYTES = ['data', 'lease', 'outputs', 'party', 'task', 'message', 'receipt'];
const given = (request) =>
  Object.fromEntries(
    Object.entries(request).map(([name, value]) => [name, BYTES.includes(name) && value !== null ? bytes(value) : value]),
  );

export const SESSION_OPERATIONS = {
  'session.start': ({ role, private: secret, coordinator, settlement, now }) => {
    if (!(role in ROLES)) throw new NotPlayed();
    const party = { role, secret: bytes(secret), coordinator: bytes(coordinator), settlement: bytes(settlement) };
    const peer = { party, store: new Map() };
    peer.session = new ROLES[role](party, peer.store);
    peers.push(peer);
    return { session: peers.length - 1, actions: shown(peer.session.start(now)) };
  },
  'session.receive': ({ session, now, message }) => ({ actions: shown(peers[session].session.receive(bytes(message), now)) }),
  'session.tick': ({ session, now }) => ({ actions: shown(peers[session].session.tick(now)) }),
  'session.tell': ({ session, now, what, ...rest }) => {
    const role = peers[session].session;
    if (typeof role[what] !== 'function') throw new Refused('usage', `a ${role.role} cannot be told ${what}`);
    return { actions: shown(role[what](given(rest), now)) };
  },
  'session.restart': ({ session, now }) => {
    const peer = peers[session];
    peer.session = new ROLES[peer.party.role](peer.party, peer.store);
    return { actions: shown(peer.session.start(now)) };
  },
  'session.state': ({ session, name }) => {
    const role = peers[session].session;
    return role instanceof Settlement ? role.state(bytes(name)) : { state: role.record(bytes(name))?.state ?? null };
  },
  'session.settle': ({ session, ...rest }) => {
    const done = peers[session].session.settle(given(rest));
    return done.receipt ? { ...done, receipt: b64(done.receipt) } : done;
  },
};
