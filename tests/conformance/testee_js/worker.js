// SPDX-License-Identifier: Apache-2.0
// The worker's session: the table of chapter "Sessions" as data.

import { Client, ROLE, send } from './client.js';
import { CODES, TYPE, openAs, sign } from './messages.js';
import { checkReceipt } from './receipt.js';

const CAPACITY = 2;
const BOND = 1000;
const UNKNOWN_REASON = 6;
const OUTCOME = { 1: 'paid', 2: 'slashed', 3: 'returned' };
const suiteOf = (suite, set) => new Map([[0, suite], [1, set]]);

const TAKE = ['working', 'accept', 'start'];
const TABLE = {
  idle: { take: TAKE, refuse: ['idle', 'decline'] },
  working: {
    take: ['working', 'abort', 'accept', 'start'],
    refuse: ['released', 'abort', 'decline', 'close'],
    computed: ['committed', 'commit'],
    failed: ['released', 'yield', 'close'],
    stop: ['released', 'abort', 'yield', 'close'],
    cancel: ['released', 'abort', 'close'],
    returned: ['released', 'abort', 'close'],
    expired: ['released', 'abort', 'close'],
    renew: ['working', 'renew'],
  },
  committed: {
    take: TAKE,
    refuse: ['committed', 'decline'],
    resend: ['committed', 'repeat'],
    cancel: ['released', 'close'],
    returned: ['released', 'close'],
    expired: ['released', 'close'],
    paid: ['paid', 'close'],
    slashed: ['slashed', 'close'],
  },
  released: { take: TAKE, refuse: ['idle', 'decline'], paid: ['paid', 'close'], slashed: ['slashed', 'close'] },
  slashed: { take: TAKE, refuse: ['idle', 'decline'] },
  paid: {},
};

export class Worker extends Client {
  table = TABLE;
  otherwise = { again: ['=', 'repeat'] };
  takes = { [TYPE.assign]: this.assigned, [TYPE.receipt]: this.receipt, [TYPE.cancel]: this.cancelled };

  effects = {
    accept(draft) {
      const { body, digest } = draft.offer;
      draft.accept = this.say(draft, 'accept', [[0, digest], [1, draft.attempt], [2, body.bond]]);
      draft.lease = draft.accept.digest;
      draft.renewals = 0;
      return [send(draft.accept)];
    },
    start: (draft, now) => {
      draft.renew = now + Math.floor(draft.offer.body.lease / 3);
      return [{ do: 'run', task: draft.name, lease: draft.lease }];
    },
    abort: (draft) => [{ do: 'abort', lease: draft.lease }],
    decline(draft) {
      return [send(this.say(draft, 'decline', [[0, draft.name], [1, draft.attempt], [2, CODES[draft.why]]]))];
    },
    commit(draft, now) {
      const { outputs } = draft;
      const blob = new Map([[0, outputs.digest], [1, outputs.size]]);
      draft.committed = now;
      draft.result = this.say(draft, 'result', [[0, draft.name], [1, draft.lease], [2, blob], [3, suiteOf(1, 1)]]);
      return [send(draft.result), { do: 'publish', task: draft.name, blobs: [outputs.digest] }];
    },
    yield(draft) {
      return [send(this.say(draft, 'yield', [[0, draft.name], [1, draft.lease], [2, UNKNOWN_REASON]]))];
    },
    renew(draft, now) {
      draft.renewals += 1;
      draft.renew = now + Math.floor(draft.offer.body.lease / 3);
      const progress = sign(this.secret, 'progress', [[0, draft.name], [1, draft.lease], [2, draft.renewals], [3, 0]]);
      return [send(draft.accept), send(progress)];
    },
    repeat: (draft) => {
      const upload = draft.state === 'committed' ? [{ do: 'publish', task: draft.name, blobs: [draft.outputs.digest] }] : [];
      return draft.last ? [send(draft.last), ...upload] : [];
    },
    close: (draft) => [{ do: 'closed', task: draft.name }],
  };

  say(draft, name, fields) {
    draft.last = sign(this.secret, name, fields);
    return draft.last;
  }

  greeted_by(session) {
    this.sequence = (this.sequence ?? 0) + 1;
    const fields = [[0, session], [1, this.sequence], [2, ROLE.worker], [3, 1], [4, [suiteOf(1, 1)]], [5, CAPACITY]];
    return [send(sign(this.secret, 'advertise', [...fields, [6, 0], [7, BOND], [8, 60_000]]))];
  }

  assigned(message, now) {
    this.fromCoordinator(message);
    const offer = openAs('offer', message.body.offer);
    const { attempt, escrow } = message.body;
    const record = this.record(offer.digest) ?? { name: offer.digest, offer, state: 'idle', attempt: -1 };
    if (attempt < record.attempt) return [];
    if (attempt === record.attempt) return this.happen(record, 'again', now);
    const why = this.unwilling(offer.body, escrow, record, now);
    return this.happen({ ...record, attempt, why }, why ? 'refuse' : 'take', now);
  }

  unwilling({ price, deadline, quorum, verifiers, set, confidential, extensions, bond, policy }, escrow, record, now) {
    const names = new Set(verifiers.map((verifier) => verifier.toString('hex')));
    if (escrow < price) return 'insufficient_funds';
    if (now >= deadline) return 'deadline_passed';
    if (quorum > verifiers.length || names.size < verifiers.length) return 'terms_not_acceptable';
    if (set || confidential) return 'terms_not_acceptable'; // neither BLS nor HPKE is spoken here
    if (extensions.some(({ critical }) => critical)) return 'unknown_critical_extension';
    if (!policy.suites.some(({ suite, set }) => suite === 1 && set === 1)) return 'no_common_suite';
    if (bond > BOND) return 'terms_not_acceptable';
    const active = [...this.store.values()].filter(({ state }) => state === 'working' || state === 'committed');
    const others = active.filter(({ name }) => !name.equals(record.name));
    return others.length >= CAPACITY ? 'busy' : undefined;
  }

  receipt(message, now) {
    const { body } = message;
    const record = this.record(body.task);
    if (!record?.lease || !body.lease?.equals(record.lease)) return [];
    checkReceipt(message, record.offer);
    if (!(body.outcome in OUTCOME)) return [];
    return this.happen(record, OUTCOME[body.outcome], now);
  }

  cancelled(message, now) {
    this.fromCoordinator(message);
    const { task, lease } = message.body;
    const record = this.record(task);
    if (!record || (lease && !record.lease?.equals(lease))) return [];
    return this.happen(record, 'cancel', now);
  }

  underLease(lease) {
    return [...this.store.values()].find((record) => record.lease?.equals(lease) && record.state === 'working');
  }

  computed({ lease, outputs, size }, now) {
    const record = this.underLease(lease);
    return record ? this.happen({ ...record, outputs: { digest: outputs, size } }, 'computed', now) : [];
  }

  failed({ lease }, now) {
    const record = this.underLease(lease);
    return record ? this.happen(record, 'failed', now) : [];
  }

  stop(_, now) {
    return [...this.store.values()].flatMap((record) => this.happen(record, 'stop', now));
  }

  due(name, now) {
    const record = this.store.get(name);
    const { deadline, verdict } = record.offer.body;
    const end = record.state === 'committed' ? Math.max(deadline, record.committed + verdict) : deadline;
    if (now >= end) return this.happen(record, 'expired', now);
    if (record.state === 'working') return now >= record.renew ? this.happen(record, 'renew', now) : [];
    return record.state === 'committed' ? this.resend(record, now) : [];
  }

  // What was under way in memory is lost: the work begins again, what was said is said again.
  resume(name, now) {
    const record = this.store.get(name);
    const { effects } = this;
    if (record.state === 'working') return [...effects.start(record.renew ? { ...record } : record, now)];
    return record.state === 'committed' ? effects.repeat(record) : [];
  }
}

