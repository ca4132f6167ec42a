// SPDX-License-Identifier: Apache-2.0
// The verifier's session: the table of chapter "Sessions" as data, without draws.

import { Client, send } from './client.js';
import { Refused } from './cbor.js';
import { CODES, TYPE, openAs, sign } from './messages.js';

const BASIS = { proved: 1, replayed: 2 };
const CLOSE = ['closed', 'close'];
const TABLE = {
  none: { check: ['checking', 'start'] },
  checking: { judged: ['judged', 'speak'], resend: ['checking', 'start'], receipt: CLOSE, cancel: CLOSE, expired: CLOSE },
  judged: {
    resend: ['judged', 'speak'], check: ['judged', 'speak'], receipt: CLOSE, cancel: CLOSE, expired: CLOSE,
  },
  closed: { check: ['closed', 'speak'] },
};

export class Verifier extends Client {
  table = TABLE;
  takes = { [TYPE.check]: this.check, [TYPE.receipt]: this.receipt, [TYPE.cancel]: this.cancelled };

  effects = {
    start: ({ task, name, result }) => [{ do: 'judge', task, lease: name, outputs: result.body.outputs.digest }],
    speak: ({ verdict }) => (verdict ? [send(verdict)] : []),
    close: ({ task }) => [{ do: 'closed', task }],
  };

  check(message, now) {
    this.fromCoordinator(message);
    const offer = openAs('offer', message.body.offer);
    const accept = openAs('accept', message.body.accept);
    const result = openAs('result', message.body.result);
    this.belong(offer, accept, result);
    const known = this.record(accept.digest);
    if (known && !known.result.digest.equals(result.digest)) throw new Refused('unexpected_message');
    const fresh = { name: accept.digest, task: offer.digest, offer, result, state: 'none', until: now + 2 * offer.body.verdict };
    return this.happen(known ?? fresh, 'check', now);
  }

  belong(offer, accept, result) {
    const { suite, set } = result.body.suite;
    if (!offer.body.verifiers.some((key) => key.equals(this.self))) throw new Refused('unexpected_message');
    if (!accept.body.task.equals(offer.digest)) throw new Refused('stale_lease');
    if (!result.body.task.equals(offer.digest) || !result.body.lease.equals(accept.digest)) throw new Refused('stale_lease');
    if (!result.signer.equals(accept.signer)) throw new Refused('unexpected_signer');
    if (!offer.body.policy.suites.some((one) => one.suite === suite && one.set === set)) throw new Refused('no_common_suite');
  }

  judged({ lease, error }, now) {
    const record = this.record(lease);
    if (record?.state !== 'checking') return [];
    const { suite } = record.result.body.suite;
    const verdict = sign(this.secret, 'verdict', [
      [0, record.task], [1, lease], [2, record.result.digest], [3, error === null],
      [4, suite === 1 ? BASIS.replayed : BASIS.proved], [5, error === null ? undefined : CODES[error]],
    ]);
    return this.happen({ ...record, verdict }, 'judged', now);
  }

  receipt({ body, signer }, now) {
    const record = body.lease && this.record(body.lease);
    if (!record) return [];
    if (!signer.equals(record.offer.body.settlement)) throw new Refused('unexpected_signer');
    return this.happen(record, 'receipt', now);
  }

  cancelled(message, now) {
    this.fromCoordinator(message);
    const { task, lease } = message.body;
    const concerned = [...this.store.values()].filter((one) => one.task.equals(task) && (!lease || one.name.equals(lease)));
    return concerned.flatMap((record) => this.happen(record, 'cancel', now));
  }

  due(name, now) {
    const record = this.store.get(name);
    return now >= record.until ? this.happen(record, 'expired', now) : this.resend(record, now);
  }

  resume(name, now) {
    return this.happen(this.store.get(name), 'resend', now);
  }
}
