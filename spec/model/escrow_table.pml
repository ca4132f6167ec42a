/* SPDX-License-Identifier: Apache-2.0 */
/* The transitions and movements of the escrow, from vcompute/settlement/rules.py by 'make generate'; do not edit. */

#define NONE 0
#define OPEN 1
#define LEASED 2
#define COMMITTED 3
#define CHALLENGED 6
#define ANSWERED 7
#define PAID 4
#define REFUNDED 5
#define EV_OPEN 0
#define EV_BOND 1
#define EV_RENEW 2
#define EV_COMMIT 3
#define EV_CHALLENGE 4
#define EV_DEMAND 5
#define EV_ANSWER 6
#define EV_UNCHALLENGED 7
#define EV_DEFAULT 8
#define EV_ACCEPT 9
#define EV_REJECT 10
#define EV_RELEASE 11
#define EV_REFUND 12
#define FINAL (state == PAID || state == REFUNDED)

inline apply(event) {
  refused = false;
  if
  :: state == NONE && event == EV_OPEN -> assert(requester >= PRICE); requester = requester - PRICE; escrow = escrow + PRICE; state = OPEN
  :: state == NONE && event == EV_BOND -> refused = true
  :: state == NONE && event == EV_RENEW -> refused = true
  :: state == NONE && event == EV_COMMIT -> refused = true
  :: state == NONE && event == EV_CHALLENGE -> refused = true
  :: state == NONE && event == EV_DEMAND -> refused = true
  :: state == NONE && event == EV_ANSWER -> refused = true
  :: state == NONE && event == EV_UNCHALLENGED -> refused = true
  :: state == NONE && event == EV_DEFAULT -> refused = true
  :: state == NONE && event == EV_ACCEPT -> refused = true
  :: state == NONE && event == EV_REJECT -> refused = true
  :: state == NONE && event == EV_RELEASE -> refused = true
  :: state == NONE && event == EV_REFUND -> refused = true
  :: state == OPEN && event == EV_OPEN -> refused = true
  :: state == OPEN && event == EV_BOND -> assert(worker >= BOND); worker = worker - BOND; bond = bond + BOND; state = LEASED
  :: state == OPEN && event == EV_RENEW -> refused = true
  :: state == OPEN && event == EV_COMMIT -> refused = true
  :: state == OPEN && event == EV_CHALLENGE -> refused = true
  :: state == OPEN && event == EV_DEMAND -> refused = true
  :: state == OPEN && event == EV_ANSWER -> refused = true
  :: state == OPEN && event == EV_UNCHALLENGED -> refused = true
  :: state == OPEN && event == EV_DEFAULT -> refused = true
  :: state == OPEN && event == EV_ACCEPT -> refused = true
  :: state == OPEN && event == EV_REJECT -> refused = true
  :: state == OPEN && event == EV_RELEASE -> refused = true
  :: state == OPEN && event == EV_REFUND -> assert(escrow >= PRICE); escrow = escrow - PRICE; requester = requester + PRICE; refunded++; state = REFUNDED
  :: state == LEASED && event == EV_OPEN -> refused = true
  :: state == LEASED && event == EV_BOND -> refused = true
  :: state == LEASED && event == EV_RENEW -> skip
  :: state == LEASED && event == EV_COMMIT -> state = COMMITTED
  :: state == LEASED && event == EV_CHALLENGE -> refused = true
  :: state == LEASED && event == EV_DEMAND -> refused = true
  :: state == LEASED && event == EV_ANSWER -> refused = true
  :: state == LEASED && event == EV_UNCHALLENGED -> refused = true
  :: state == LEASED && event == EV_DEFAULT -> refused = true
  :: state == LEASED && event == EV_ACCEPT -> refused = true
  :: state == LEASED && event == EV_REJECT -> refused = true
  :: state == LEASED && event == EV_RELEASE -> assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = OPEN
  :: state == LEASED && event == EV_REFUND -> refused = true
  :: state == COMMITTED && event == EV_OPEN -> refused = true
  :: state == COMMITTED && event == EV_BOND -> refused = true
  :: state == COMMITTED && event == EV_RENEW -> refused = true
  :: state == COMMITTED && event == EV_COMMIT -> refused = true
  :: state == COMMITTED && event == EV_CHALLENGE -> assert(challenger >= STAKE); challenger = challenger - STAKE; stake = stake + STAKE; state = CHALLENGED
  :: state == COMMITTED && event == EV_DEMAND -> state = CHALLENGED
  :: state == COMMITTED && event == EV_ANSWER -> refused = true
  :: state == COMMITTED && event == EV_UNCHALLENGED -> assert(escrow >= PRICE); escrow = escrow - PRICE; worker = worker + PRICE; paid++; assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = PAID
  :: state == COMMITTED && event == EV_DEFAULT -> refused = true
  :: state == COMMITTED && event == EV_ACCEPT -> assert(escrow >= PRICE); escrow = escrow - PRICE; worker = worker + PRICE; paid++; assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = PAID
  :: state == COMMITTED && event == EV_REJECT -> assert(bond >= BOND); bond = bond - BOND; requester = requester + BOND; state = OPEN
  :: state == COMMITTED && event == EV_RELEASE -> assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; state = OPEN
  :: state == COMMITTED && event == EV_REFUND -> refused = true
  :: state == CHALLENGED && event == EV_OPEN -> refused = true
  :: state == CHALLENGED && event == EV_BOND -> refused = true
  :: state == CHALLENGED && event == EV_RENEW -> refused = true
  :: state == CHALLENGED && event == EV_COMMIT -> refused = true
  :: state == CHALLENGED && event == EV_CHALLENGE -> refused = true
  :: state == CHALLENGED && event == EV_DEMAND -> refused = true
  :: state == CHALLENGED && event == EV_ANSWER -> state = ANSWERED
  :: state == CHALLENGED && event == EV_UNCHALLENGED -> refused = true
  :: state == CHALLENGED && event == EV_DEFAULT -> assert(bond >= BOND); bond = bond - BOND; requester = requester + BOND; challenger = challenger + stake; stake = 0; state = OPEN
  :: state == CHALLENGED && event == EV_ACCEPT -> refused = true
  :: state == CHALLENGED && event == EV_REJECT -> refused = true
  :: state == CHALLENGED && event == EV_RELEASE -> refused = true
  :: state == CHALLENGED && event == EV_REFUND -> refused = true
  :: state == ANSWERED && event == EV_OPEN -> refused = true
  :: state == ANSWERED && event == EV_BOND -> refused = true
  :: state == ANSWERED && event == EV_RENEW -> refused = true
  :: state == ANSWERED && event == EV_COMMIT -> refused = true
  :: state == ANSWERED && event == EV_CHALLENGE -> refused = true
  :: state == ANSWERED && event == EV_DEMAND -> refused = true
  :: state == ANSWERED && event == EV_ANSWER -> refused = true
  :: state == ANSWERED && event == EV_UNCHALLENGED -> refused = true
  :: state == ANSWERED && event == EV_DEFAULT -> refused = true
  :: state == ANSWERED && event == EV_ACCEPT -> assert(escrow >= PRICE); escrow = escrow - PRICE; worker = worker + PRICE; paid++; assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; worker = worker + stake; stake = 0; state = PAID
  :: state == ANSWERED && event == EV_REJECT -> assert(bond >= BOND); bond = bond - BOND; requester = requester + BOND; challenger = challenger + stake; stake = 0; state = OPEN
  :: state == ANSWERED && event == EV_RELEASE -> assert(bond >= BOND); bond = bond - BOND; worker = worker + BOND; worker = worker + stake; stake = 0; state = OPEN
  :: state == ANSWERED && event == EV_REFUND -> refused = true
  :: state == PAID && event == EV_OPEN -> refused = true
  :: state == PAID && event == EV_BOND -> refused = true
  :: state == PAID && event == EV_RENEW -> refused = true
  :: state == PAID && event == EV_COMMIT -> refused = true
  :: state == PAID && event == EV_CHALLENGE -> refused = true
  :: state == PAID && event == EV_DEMAND -> refused = true
  :: state == PAID && event == EV_ANSWER -> refused = true
  :: state == PAID && event == EV_UNCHALLENGED -> refused = true
  :: state == PAID && event == EV_DEFAULT -> refused = true
  :: state == PAID && event == EV_ACCEPT -> refused = true
  :: state == PAID && event == EV_REJECT -> refused = true
  :: state == PAID && event == EV_RELEASE -> refused = true
  :: state == PAID && event == EV_REFUND -> refused = true
  :: state == REFUNDED && event == EV_OPEN -> refused = true
  :: state == REFUNDED && event == EV_BOND -> refused = true
  :: state == REFUNDED && event == EV_RENEW -> refused = true
  :: state == REFUNDED && event == EV_COMMIT -> refused = true
  :: state == REFUNDED && event == EV_CHALLENGE -> refused = true
  :: state == REFUNDED && event == EV_DEMAND -> refused = true
  :: state == REFUNDED && event == EV_ANSWER -> refused = true
  :: state == REFUNDED && event == EV_UNCHALLENGED -> refused = true
  :: state == REFUNDED && event == EV_DEFAULT -> refused = true
  :: state == REFUNDED && event == EV_ACCEPT -> refused = true
  :: state == REFUNDED && event == EV_REJECT -> refused = true
  :: state == REFUNDED && event == EV_RELEASE -> refused = true
  :: state == REFUNDED && event == EV_REFUND -> refused = true
  fi
}
