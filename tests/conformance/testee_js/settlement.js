// SPDX-License-Identifier: Apache-2.0
// A settlement in memory for offers under the policy `always`: chapter "Settlement".

import { Refused } from './cbor.js';
import { sha256 } from './content.js';
import { thumbprintOf } from './identity.js';
import { TYPE, openAs, openMessage, sign } from './messages.js';

export class NotPlayed extends Error {}

const ALWAYS = 1;
const REPLAY = 1;
const BASIS = { proved: 1, replayed: 2 };
const OUTCOME = { accept: 1, reject: 2, release: 3, refund: 4 };
const TABLE = {
  none: { open: 'open' },
  open: { bond: 'leased', refund: 'refunded' },
  leased: { renew: 'leased', commit: 'committed', release: 'open' },
  committed: { accept: 'paid', reject: 'open', release: 'open' },
  paid: {},
  refunded: {},
};
const NO_LEASE = { lease: null, worker: null, bond: 0, result: null, verdicts: [], until: 0 };

export class Settlement {
  role = 'settlement';

  constructor({ secret }) {
    Object.assign(this, { secret, self: thumbprintOf(secret), entries: 0, funded: 0 });
    this.accounts = new Map();
    this.escrows = new Map();
    this.answers = new Map();
  }

  start() {
    return [];
  }

  tick() {
    return [];
  }

  receive() {
    throw new Refused('unexpected_message');
  }

  balance(account) {
    return this.accounts.get(account) ?? 0;
  }

  move(from, to, amount) {
    this.entries += 1;
    this.accounts.set(from, this.balance(from) - amount);
    this.accounts.set(to, this.balance(to) + amount);
  }

  // An operation is done once; asked again it has the same answer.
  once(name, act) {
    const key = name.toString('hex');
    if (!this.answers.has(key)) this.answers.set(key, act());
    return this.answers.get(key);
  }

  settle({ operation, data, task, lease, party, amount, now }) {
    if (operation === 'fund') return this.fund(data, party, amount);
    if (operation === 'release') return this.release(task, lease, data, now);
    if (operation === 'refund') return this.refund(task, data, now);
    const verbs = { open: this.open, bond: this.bond, renew: this.renew, commit: this.commit, settle: this.judge };
    if (!(operation in verbs)) throw new NotPlayed();
    const types = { open: 'offer', bond: 'accept', renew: 'progress', commit: 'result', settle: 'verdict' };
    const message = openAs(types[operation], data);
    return this.once(message.digest, () => verbs[operation].call(this, message, now));
  }

  fund(operation, party, amount) {
    const done = this.once(sha256(Buffer.from('fund'), operation), () => {
      this.move('issue', party.toString('hex'), amount);
      this.funded += amount;
      return { party, amount };
    });
    if (!done.party.equals(party) || done.amount !== amount) throw new Refused('operation_conflict');
    return { balance: this.balance(party.toString('hex')) };
  }

  row(task) {
    const row = this.escrows.get(task.toString('hex'));
    if (!row) throw new Refused('escrow_missing');
    return row;
  }

  active({ task, lease }) {
    const row = this.row(task);
    if (!row.lease?.equals(lease)) throw new Refused('stale_lease');
    return row;
  }

  // The table, the movements, and a receipt where money leaves escrow or bond.
  happen(row, event, now, change = {}) {
    const to = TABLE[row.state][event];
    if (!to) throw new Refused('lease_conflict');
    const next = { ...row, ...change, state: to };
    const { price, bond } = row.offer.body;
    const [escrow, requester] = [`escrow ${row.task.toString('hex')}`, row.offer.signer.toString('hex')];
    const [held, worker] = [`bond ${next.lease?.toString('hex')}`, next.worker?.toString('hex')];
    const movements = {
      open: [[requester, escrow, price]],
      bond: [[worker, held, bond]],
      accept: [[escrow, worker, price], [held, worker, bond]],
      reject: [[held, requester, bond]],
      release: [[held, worker, bond]],
      refund: [[escrow, requester, price]],
    };
    for (const [from, target, amount] of movements[event] ?? []) this.move(from, target, amount);
    const receipt = event in OUTCOME ? this.receipt(event, next, now) : undefined;
    this.escrows.set(row.task.toString('hex'), ['open', 'refunded'].includes(to) ? { ...next, ...NO_LEASE } : next);
    return { receipt: receipt?.data ?? Buffer.alloc(0), until: ['open', 'refunded'].includes(to) ? 0 : next.until };
  }

  receipt(event, { task, offer, lease, worker, bond, result, verdicts }, now) {
    const { price, work } = offer.body;
    const judged = event === 'accept' || event === 'reject';
    return sign(this.secret, 'receipt', [
      [0, task], [1, OUTCOME[event]], [2, offer.signer], [3, event === 'accept' || event === 'refund' ? price : 0],
      [4, event === 'refund' ? 0 : bond], [5, event === 'accept' ? work : 0], [6, now], [7, this.entries],
      [8, judged ? verdicts.map(({ data }) => data) : []], [9, worker ?? undefined], [10, lease ?? undefined],
      [11, judged ? result.data : undefined],
    ]);
  }

  open(offer, now) {
    const { settlement, policy, price, deadline, quorum, verifiers, extensions } = offer.body;
    if (!settlement.equals(this.self)) throw new Refused('wrong_settlement');
    if (policy.tag !== ALWAYS) throw new NotPlayed();
    if (now >= deadline) throw new Refused('deadline_passed');
    const names = new Set(verifiers.map((name) => name.toString('hex')));
    if (quorum > verifiers.length || names.size < verifiers.length) throw new Refused('terms_not_acceptable');
    if (extensions.some(({ critical }) => critical)) throw new Refused('unknown_critical_extension');
    if (this.balance(offer.signer.toString('hex')) < price) throw new Refused('insufficient_funds');
    return this.happen({ task: offer.digest, offer, state: 'none', ...NO_LEASE }, 'open', now);
  }

  bond(accept, now) {
    const row = this.row(accept.body.task);
    const { deadline, verifiers, bond, lease } = row.offer.body;
    if (row.state !== 'open') throw new Refused('lease_conflict');
    if (now >= deadline) throw new Refused('deadline_passed');
    if (verifiers.some((name) => name.equals(accept.signer)) || accept.body.bond !== bond) throw new Refused('terms_not_acceptable');
    if (this.balance(accept.signer.toString('hex')) < bond) throw new Refused('insufficient_bond');
    const change = { lease: accept.digest, worker: accept.signer, bond, until: Math.min(now + lease, deadline) };
    return this.happen(row, 'bond', now, change);
  }

  // The lease's worker speaks while the lease stands.
  live({ body, signer }, now) {
    const row = this.active(body);
    if (!signer.equals(row.worker)) throw new Refused('unexpected_signer');
    if (row.state !== 'leased') throw new Refused('lease_conflict');
    if (now >= row.until) throw new Refused('lease_expired');
    return row;
  }

  renew(progress, now) {
    const row = this.live(progress, now);
    const { lease, deadline } = row.offer.body;
    return this.happen(row, 'renew', now, { until: Math.max(row.until, Math.min(now + lease, deadline)) });
  }

  commit(result, now) {
    const row = this.live(result, now);
    const { suite, set } = result.body.suite;
    const { policy, verdict } = row.offer.body;
    if (!policy.suites.some((one) => one.suite === suite && one.set === set)) throw new Refused('no_common_suite');
    return this.happen(row, 'commit', now, { result, until: now + verdict });
  }

  judge(verdict, now) {
    const row = this.active(verdict.body);
    const { verifiers, quorum, policy } = row.offer.body;
    if (row.state !== 'committed') throw new Refused('lease_conflict');
    const bases = policy.suites.map(({ suite }) => (suite === REPLAY ? BASIS.replayed : BASIS.proved));
    const admitted =
      verifiers.some((name) => name.equals(verdict.signer)) &&
      verdict.body.result.equals(row.result.digest) &&
      bases.includes(verdict.body.basis) &&
      !row.verdicts.some(({ signer }) => signer.equals(verdict.signer));
    if (!admitted) throw new Refused('verdict_not_admitted');
    const { accepted } = verdict.body;
    const verdicts = [...row.verdicts, verdict];
    const agreeing = verdicts.filter(({ body }) => body.accepted === accepted);
    if (agreeing.length >= quorum) return this.happen(row, accepted ? 'accept' : 'reject', now, { verdicts: agreeing });
    this.escrows.set(row.task.toString('hex'), { ...row, verdicts });
    return { receipt: Buffer.alloc(0), until: row.until };
  }

  release(task, lease, data, now) {
    return this.once(sha256(Buffer.from('release'), task, lease), () => {
      const row = this.active({ task, lease });
      if (now < row.until) {
        if (row.state !== 'leased') throw new Refused('lease_conflict');
        this.mayRelease(row, lease, data);
      }
      return this.happen(row, 'release', now);
    });
  }

  mayRelease(row, lease, data) {
    if (!data?.length) throw new Refused('not_due');
    const { type, body, signer } = openMessage(data);
    const asker = { [TYPE.yield]: row.worker, [TYPE.cancel]: row.offer.signer }[type];
    if (!asker) throw new Refused('not_due');
    if (!signer.equals(asker)) throw new Refused('unexpected_signer');
    if (!body.task.equals(row.task) || !(body.lease ?? lease).equals(lease)) throw new Refused('stale_lease');
  }

  refund(task, data, now) {
    return this.once(sha256(Buffer.from('refund'), task), () => {
      const row = this.row(task);
      if (row.state !== 'open') throw new Refused('lease_conflict');
      if (now < row.offer.body.deadline) {
        if (!data?.length) throw new Refused('not_due');
        const cancel = openAs('cancel', data);
        if (!cancel.signer.equals(row.offer.signer)) throw new Refused('unexpected_signer');
        if (!cancel.body.task.equals(task) || cancel.body.lease) throw new Refused('not_due');
      }
      return this.happen(row, 'refund', now);
    });
  }

  state(name) {
    const sum = [...this.accounts].reduce((total, [account, amount]) => total + (account === 'issue' ? 0 : amount), 0);
    const state = this.escrows.get(name.toString('hex'))?.state ?? null;
    return { state, balance: this.balance(name.toString('hex')), conserved: sum === this.funded };
  }
}
