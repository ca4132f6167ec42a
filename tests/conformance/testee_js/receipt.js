// SPDX-License-Identifier: Apache-2.0
// What a receipt must hold before anyone acts on it: chapter "Settlement", section "Receipts".

import { Refused } from './cbor.js';
import { openAs } from './messages.js';

const OUTCOME = { 1: 'paid', 2: 'slashed', 3: 'returned', 4: 'refunded' };
const REPLAY = 1;
const BASIS = { proved: 1, replayed: 2, not_sampled: 3, unchallenged: 4 };
const SAMPLED = 2;
const ON_CHALLENGE = 3;

function bases(policy, paid) {
  const admitted = policy.suites.map(({ suite }) => (suite === REPLAY ? BASIS.replayed : BASIS.proved));
  if (paid && policy.tag === SAMPLED) admitted.push(BASIS.not_sampled);
  if (paid && policy.tag === ON_CHALLENGE) admitted.push(BASIS.unchallenged);
  return admitted;
}

// The signed Result inside a receipt that judges, undefined in any other.
export function checkReceipt({ body, signer }, offer) {
  const terms = offer.body;
  if (!signer.equals(terms.settlement)) throw new Refused('unexpected_signer');
  const outcome = OUTCOME[body.outcome];
  const amount = outcome === 'paid' || outcome === 'refunded' ? terms.price : 0;
  const same =
    body.task.equals(offer.digest) &&
    body.requester.equals(offer.signer) &&
    body.amount === amount &&
    body.bond === (outcome === 'refunded' ? 0 : terms.bond) &&
    body.work === (outcome === 'paid' ? terms.work : 0);
  if (!same) throw new Refused('receipt_mismatch');
  if (outcome !== 'paid' && outcome !== 'slashed') return undefined;
  if (!body.result || !body.lease || !body.worker) throw new Refused('schema_violation');
  const result = openAs('result', body.result);
  if (!result.signer.equals(body.worker)) throw new Refused('unexpected_signer');
  if (!result.body.task.equals(body.task) || !result.body.lease.equals(body.lease)) throw new Refused('stale_lease');
  checkVerdicts(body, terms, result, outcome === 'paid');
  return result;
}

function checkVerdicts(body, terms, result, paid) {
  const admitted = bases(terms.policy, paid);
  const judges = new Set();
  for (const data of body.verdicts) {
    const { body: said, signer } = openAs('verdict', data);
    const right =
      said.task.equals(body.task) && said.lease.equals(body.lease) && said.result.equals(result.digest) && said.accepted === paid;
    if (!right || !terms.verifiers.some((key) => key.equals(signer)) || !admitted.includes(said.basis)) {
      throw new Refused('verdict_not_admitted');
    }
    judges.add(signer.toString('hex'));
  }
  if (judges.size < terms.quorum) throw new Refused('quorum_not_reached');
}
