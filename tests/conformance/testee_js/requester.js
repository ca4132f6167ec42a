// SPDX-License-Identifier: Apache-2.0
// The requester's session: the table of chapter "Sessions" as data.

import { Client, send } from './client.js';
import { CODES, TYPE, openMessage, sign } from './messages.js';
import { checkReceipt } from './receipt.js';

const OUTCOME = { 1: 'paid', 2: 'slashed', 3: 'returned', 4: 'refunded' };
const ENDS = { paid: ['fetching', 'fetch'], refunded: ['refunded', 'close'] };
const TABLE = {
  none: { offer: ['offered', 'offer'] },
  offered: {
    ...ENDS,
    offer: ['offered', 'offer'],
    accepted: ['running'],
    declined: ['refused', 'close'],
    slashed: ['offered'],
    returned: ['offered'],
    cancel: ['cancelling', 'cancel'],
    resend: ['offered', 'offer'],
  },
  running: {
    ...ENDS,
    slashed: ['offered'],
    returned: ['offered'],
    cancel: ['cancelling', 'cancel'],
    resend: ['running', 'offer'],
  },
  cancelling: {
    ...ENDS,
    declined: ['refused', 'close'],
    slashed: ['cancelling'],
    returned: ['cancelling'],
    resend: ['cancelling', 'offer', 'cancel'],
  },
  fetching: { fetched: ['done', 'close'], resend: ['fetching', 'fetch'] },
  refused: { offer: ['offered', 'offer'] },
  done: {},
  refunded: {},
};

export class Requester extends Client {
  table = TABLE;
  takes = { [TYPE.accept]: this.accepted, [TYPE.decline]: this.declined, [TYPE.receipt]: this.receipt };

  effects = {
    offer: ({ offer, name }) => [
      send(offer),
      { do: 'publish', task: name, blobs: [offer.body.model.digest, offer.body.inputs.digest] },
    ],
    cancel(draft) {
      draft.cancellation ??= sign(this.secret, 'cancel', [[0, draft.name], [1, CODES.cancelled]]);
      return [send(draft.cancellation)];
    },
    fetch: ({ name, result }) => {
      const blobs = [result.body.outputs, result.body.proof].filter((blob) => blob).map(({ digest }) => digest);
      return [{ do: 'stage', task: name, blobs }];
    },
    close: ({ name }) => [{ do: 'closed', task: name }],
  };

  offer({ message }, now) {
    const offer = openMessage(message);
    const record = this.record(offer.digest) ?? { name: offer.digest, offer, state: 'none', entry: -1 };
    return this.happen(record, 'offer', now);
  }

  cancel({ task }, now) {
    const record = this.record(task);
    return record ? this.happen(record, 'cancel', now) : [];
  }

  fetched({ task }, now) {
    const record = this.record(task);
    return record ? this.happen(record, 'fetched', now) : [];
  }

  accepted({ body }, now) {
    const record = this.record(body.task);
    return record ? this.happen(record, 'accepted', now) : [];
  }

  declined(message, now) {
    this.fromCoordinator(message);
    const record = this.record(message.body.task);
    return record ? this.happen(record, 'declined', now) : [];
  }

  receipt(message, now) {
    const { body } = message;
    const record = this.record(body.task);
    if (!record || body.entry <= record.entry) return [];
    const result = checkReceipt(message, record.offer);
    return this.happen({ ...record, entry: body.entry, result }, OUTCOME[body.outcome], now);
  }

  due(name, now) {
    return this.resend(this.store.get(name), now);
  }

  resume(name, now) {
    return this.happen(this.store.get(name), 'resend', now);
  }
}
