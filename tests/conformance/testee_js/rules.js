// SPDX-License-Identifier: Apache-2.0
// Draws, bonds, standing, pacing, device policy: chapters "Verification policy" and "Device policy".

import { Refused, decode } from './cbor.js';
import { tagged } from './content.js';
import { array, bool, int, oneOf, record } from './schema.js';

const RATE_ONE = 65536;
const MAX_AMOUNT = 1n << 62n;

export const sampleCommitment = (result, party, nonce) => tagged('vcompute/sample-commit/1', result, party, nonce);

export function drawn(result, nonces, rate) {
  if (!nonces.length || rate < 1 || rate > RATE_ONE) throw new Refused('terms_not_acceptable');
  const ordered = [...nonces].sort(([a], [b]) => Buffer.compare(a, b)).flat();
  const seed = tagged('vcompute/sample-draw/1', result, Buffer.from([nonces.length >> 8, nonces.length & 255]), ...ordered);
  return BigInt(`0x${seed.subarray(0, 16).toString('hex')}`) * BigInt(RATE_ONE) < BigInt(rate) << 128n;
}

// A fraction "n/d" or "n", denominators positive.
const fraction = (text) => {
  const [above, below] = text.split('/').map(BigInt);
  return [above, below ?? 1n];
};
const atMost = ([a, b], [c, d]) => a * d <= c * b;

export function deposit({ policy, rate, price, conviction, watched, gain, check_cost, margin }) {
  const refused = new Refused('terms_not_acceptable');
  const looked = { always: [1n, 1n], sampled: [BigInt(rate ?? 0), BigInt(RATE_ONE)], on_challenge: fraction(watched) }[policy];
  const convicted = fraction(conviction);
  for (const p of [looked, convicted]) if (p[0] <= 0n || !atMost(p, [1n, 1n])) throw refused;
  const factor = fraction(margin);
  if (!atMost([1n, 1n], factor)) throw refused;
  const [paid, gained, cost] = [price, gain, check_cost].map(BigInt);
  if (paid < 0n || gained < 0n || cost < 0n) throw refused;
  const [n, d] = [looked[0] * convicted[0], looked[1] * convicted[1]];
  const least = ((d - n) * (paid + gained) * factor[0]) / (n * factor[1]) + 1n;
  const bond = least > cost ? least : cost;
  if (bond > MAX_AMOUNT) throw refused;
  return bond;
}

export function standing({ verified, rejected, capacity, floor }) {
  const merit = rejected >= 53 ? 0 : Math.floor(verified / 2 ** rejected);
  const falling = Math.ceil((RATE_ONE * 16) / (16 + merit));
  return {
    quota: Math.min(capacity, 1 + Math.floor(merit / 2)),
    rate: Math.max(floor, falling, 1),
    ban: 600_000 * 2 ** Math.min(Math.max(rejected, 1) - 1, 20),
  };
}

export function backOff({ tries, retry_after, jitter }) {
  const wait = Math.min(1000 * 2 ** Math.min(tries, 30), 300_000);
  return Math.max(wait + Math.floor((wait * (jitter & 0xffff)) / 65536), retry_after ?? 0);
}

const DAY = 1440;
const MINUTE = int(0, DAY - 1);
const SHORT = int(0, 3_600_000);
const PERCENT = int(0, 100);
const THERMAL = oneOf(0, 1, 2, 3, 4);
const CORES = int(1, 1024);
const MEMORY = int(0, 2 ** 50);
const POLICY = record([
  [0, 'charging', bool], [1, 'batteryBegin', PERCENT], [2, 'batteryStop', PERCENT], [3, 'thermalBegin', THERMAL],
  [4, 'thermalStop', THERMAL], [5, 'metered', bool], [6, 'in_use', bool],
  [7, 'hours', array(record([[0, 'begin', MINUTE], [1, 'end', MINUTE]]), 0, 16)], [8, 'cores', CORES], [9, 'memory', MEMORY],
  [10, 'settle', SHORT], [11, 'grace', SHORT], [12, 'poll', int(100, 3_600_000)], [13, 'stop_within', int(1, 60_000)],
]);
const READING = record([
  [0, 'charging', bool, true], [1, 'battery', PERCENT, true], [2, 'thermal', THERMAL, true], [3, 'online', bool, true],
  [4, 'metered', bool, true], [5, 'in_use', bool, true], [6, 'minute', MINUTE, true], [7, 'cores', CORES, true],
  [8, 'memory', MEMORY, true],
]);

const not = (value) => (value === undefined ? undefined : !value);
const mod = (value) => ((value % DAY) + DAY) % DAY;
const inside = ({ begin, end }, minute) => mod(minute - begin) < (mod(end - begin) || DAY);
const atLeast = (level, bound) => (bound === 0 ? true : level === undefined ? undefined : level >= bound);

// What does not hold: pairs of false or undefined (unknown) and the reason.
function against(policy, reading, battery, cool) {
  const { charging, online, metered, in_use: inUse, minute, thermal } = reading;
  const conditions = [[online, 'network'], [atLeast(reading.battery, battery), 'battery']];
  if (policy.hours.length) {
    const open = minute === undefined ? undefined : policy.hours.some((span) => inside(span, minute));
    conditions.splice(1, 0, [open, 'user']);
  }
  if (!policy.in_use) conditions.splice(1, 0, [not(inUse), 'user']);
  if (!policy.metered) conditions.splice(1, 0, [not(metered), 'network']);
  if (policy.charging) conditions.unshift([charging, 'battery']);
  conditions.push([thermal === undefined ? undefined : cool(thermal), 'thermal']);
  return conditions.filter(([holds]) => holds !== true);
}
const failed = (list) => list.find(([holds]) => holds === false)?.[1];

export function deviceRun(encoded, readings) {
  const policy = POLICY(decode(encoded));
  if (policy.batteryStop > policy.batteryBegin || policy.thermalStop <= policy.thermalBegin) throw new Refused('value_out_of_range');
  let [mode, reason, since, unknown, last] = ['resting', null, 0, null, null];
  const stop = (why) => [mode, reason] = ['stopping', why];
  const modes = readings.map(([now, data]) => {
    const reading = READING(decode(data));
    const gap = last !== null && now - last > policy.poll;
    if (mode === 'working') {
      const list = against(policy, reading, policy.batteryStop, (status) => status < policy.thermalStop);
      const why = failed(list);
      if (why) stop(why);
      else if (!list.length) unknown = null;
      else {
        unknown ??= gap ? last : now;
        if (now - unknown >= policy.grace) stop('unknown');
      }
    } else if (mode !== 'stopping') {
      const list = against(policy, reading, policy.batteryBegin, (status) => status <= policy.thermalBegin);
      if (list.length) [mode, reason] = ['resting', failed(list) ?? 'unknown'];
      else {
        if (mode === 'resting' || gap) [mode, since] = ['settling', now];
        if (now - since >= policy.settle) [mode, reason, unknown] = ['working', null, null];
      }
    }
    last = now;
    return mode;
  });
  return { modes, reason };
}
