// SPDX-License-Identifier: Apache-2.0
// What requester, worker and verifier share: the greeting, and a table of states for each task. Chapter "Sessions".

import { randomBytes } from 'node:crypto';
import { Refused } from './cbor.js';
import { thumbprintOf } from './identity.js';
import { TYPE, openMessage, sign } from './messages.js';

const VERSIONS = [1];
const GREASE = 0x3a3a;
const GREET_AGAIN = 10_000;
export const ROLE = { requester: 1, worker: 2, coordinator: 3, verifier: 4, settlement: 5 };

export const send = (message, to = null) => ({ do: 'send', to, message });
export const later = (tries) => Math.min(1000 * 2 ** tries, 30_000);

export class Client {
  // `store` is what survives a restart: a map from a name in hexadecimal to a frozen record.
  constructor({ role, secret, coordinator }, store) {
    Object.assign(this, { role, secret, coordinator, store, self: thumbprintOf(secret) });
  }

  start(now) {
    return [...this.greet(now), ...[...this.store.keys()].flatMap((name) => this.resume(name, now))];
  }

  greet(now) {
    this.greeted = now;
    const extension = new Map([[0, GREASE], [1, false], [2, Buffer.alloc(0)]]);
    this.hello = sign(this.secret, 'hello', [
      [0, ROLE[this.role]], [1, randomBytes(16)], [2, [...VERSIONS, GREASE]], [3, [1, GREASE]], [4, [extension]],
    ]);
    return [send(this.hello)];
  }

  answered({ body, signer, digest }) {
    if (!signer.equals(this.coordinator)) throw new Refused('unexpected_signer');
    if (body.role !== ROLE.coordinator || !body.answers?.equals(this.hello.digest)) throw new Refused('unexpected_message');
    if (body.extensions.some(({ critical }) => critical)) throw new Refused('unknown_critical_extension');
    const common = body.versions.filter((version) => VERSIONS.includes(version));
    if (!common.length) throw new Refused('no_common_version');
    if (body.version !== Math.max(...common)) throw new Refused('downgrade_detected');
    return this.greeted_by(digest);
  }

  greeted_by() {
    return [];
  }

  receive(data, now) {
    const message = openMessage(data);
    if (message.type === TYPE.hello) return this.answered(message);
    if (message.type === TYPE.error) return [];
    const take = this.takes[message.type];
    if (!take) throw new Refused('unexpected_message');
    return take.call(this, message, now);
  }

  tick(now) {
    const greeting = now >= this.greeted + GREET_AGAIN ? this.greet(now) : [];
    return [...greeting, ...[...this.store.keys()].flatMap((name) => this.due(name, now))];
  }

  fromCoordinator({ signer }) {
    if (!signer.equals(this.coordinator)) throw new Refused('unexpected_signer');
  }

  record(name) {
    return this.store.get(name.toString('hex'));
  }

  // An event of one record: the row of the table, its effects in the order given, then the store.
  happen(record, event, now) {
    const row = this.table[record.state]?.[event] ?? this.otherwise?.[event];
    if (!row) return [];
    const [to, ...effects] = row;
    const draft = { ...record, state: to === '=' ? record.state : to };
    if (event !== 'resend') Object.assign(draft, { tries: 0, again: now + later(0) });
    const actions = effects.flatMap((effect) => this.effects[effect].call(this, draft, now));
    this.store.set(draft.name.toString('hex'), Object.freeze(draft));
    return actions;
  }

  resend(record, now) {
    if (now < record.again) return [];
    const tries = record.tries + 1;
    const next = Object.freeze({ ...record, tries, again: now + later(tries) });
    this.store.set(record.name.toString('hex'), next);
    return this.happen(next, 'resend', now);
  }
}
