/* SPDX-License-Identifier: Apache-2.0 */
/* The transitions and movements of the escrow, from vcompute/settlement/rules.py by 'make generate'; do not edit. */

#define NONE 0
#define OPEN 1
#define LEASED 2
#define COMMITTED 3
#define PAID 4
#define REFUNDED 5
#define EV_OPEN 0
#define EV_BOND 1
#define EV_RENEW 2
#define EV_COMMIT 3
#define EV_ACCEPT 4
#define EV_REJECT 5
#define EV_RELEASE 6
#define EV_REFUND 7
#define FINAL (state == PAID || state == REFUNDED)

inline apply(event) {
  refused = false;
  if
  :: state == NONE && event == EV_OPEN -> assert(requester >= PRICE); requester = requester - PRICE; escrow = escrow + PRICE; state = OPEN
  :: state == NONE && event == EV_BOND -> refused = true
  :: state == NONE && event == EV_RENEW -> refused = true
  :: state == NONE && event == EV_COMMIT -> refused = true
  :: state == NONE && event == EV_ACCEPT -> refused = true
  :: state == NONE && event == EV_REJECT -> refused = true
  :: state == NONE && event == EV_RELEASE -> refused = true
  :: state == NONE && event == EV_REFUND -> refused = true
  :: state == OPEN && event == EV_OPEN -> refused = true
  :: state == OPEN && event == EV_BOND -> assert(worker >= BOND); worker = worker - BOND; bond = bond + BOND; state = LEASED
  :: state == OPEN && event == EV_RENEW -> refused = true
  :: state == OPEN && event == EV_COMMIT -> refused = true
  :: state == OPEN && event == EV_ACCEPT -> refused = true
  :: state == OPEN && event == EV_REJECT -> refused = true
  :: state == OPEN && event == EV_RELEASE -> refused = true
  :: state == OPEN && event == EV_REFUND -> assert(escrow >= PRICE); escrow = escrow - PRICE; requester = requester + PRICE; refunded++; state = REFUNDED
  :: state == LEASED && event == EV_OPEN -> refused = true
  :: state == LEASED && event == EV_BOND -> refused = true
  :: state == LEASED && event == EV_RENEW -> skip
  :: state == LEASED && event == EV_COMMIT -> state = COMMITTED
  :: state == LEASED && event == EV_ACCEPT -> refused = true
  :: state == LEASED && event == EV_REJECT -> refused = true
  :: state == LEASED && event == EV_RELEASE -> assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = OPEN
  :: state == LEASED && event == EV_REFUND -> refused = true
  :: state == COMMITTED && event == EV_OPEN -> refused = true
  :: state == COMMITTED && event == EV_BOND -> refused = true
  :: state == COMMITTED && event == EV_RENEW -> refused = true
  :: state == COMMITTED && event == EV_COMMIT -> refused = true
  :: state == COMMITTED && event == EV_ACCEPT -> assert(escrow >= PRICE); escrow = escrow - PRICE; worker = worker + PRICE; paid++; assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = PAID
  :: state == COMMITTED && event == EV_REJECT -> assert(bond >= BOND); bond = bond - BOND; requester = requester + BOND; state = OPEN
  :: state == COMMITTED && event == EV_RELEASE -> assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = OPEN
  :: state == COMMITTED && event == EV_REFUND -> refused = true
  :: state == PAID && event == EV_OPEN -> refused = true
  :: state == PAID && event == EV_BOND -> refused = true
  :: state == PAID && event == EV_RENEW -> refused = true
  :: state == PAID && event == EV_COMMIT -> refused = true
  :: state == PAID && event == EV_ACCEPT -> refused = true
  :: state == PAID && event == EV_REJECT -> refused = true
  :: state == PAID && event == EV_RELEASE -> refused = true
  :: state == PAID && event == EV_REFUND -> refused = true
  :: state == REFUNDED && event == EV_OPEN -> refused = true
  :: state == REFUNDED && event == EV_BOND -> refused = true
  :: state == REFUNDED && event == EV_RENEW -> refused = true
  :: state == REFUNDED && event == EV_COMMIT -> refused = true
  :: state == REFUNDED && event == EV_ACCEPT -> refused = true
  :: state == REFUNDED && event == EV_REJECT -> refused = true
  :: state == REFUNDED && event == EV_RELEASE -> refused = true
  :: state == REFUNDED && event == EV_REFUND -> refused = true
  fi
}
