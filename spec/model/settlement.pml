/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The money of one task, against an adversary that holds every signed message.
 *
 * The offer's policy is one of three: a verdict judges the result as it is; anyone may challenge it within a window, and
 * what nobody challenged is paid; or a draw asks for the proof. Who is asked for a proof and does not answer loses its bond.
 *
 * Whatever anyone may sign, the network has: it delivers any message to the settlement at any time, any number of
 * times, in any order, or never. Workers may send wrong results or nothing. Of three verifiers two are honest and sign
 * the truth about a recorded result, one signs anything; two that agree are a quorum. Two parties of a draw may put up
 * stakes and reveal, or not; a draw may spare the result. Nobody has to act but a clock and a keeper: anyone who asks for
 * what is due. Under weak fairness that is enough for the money to find its owner.
 *
 * What differs by a name alone is looked at once: leases are taken in order, of two honest verifiers the first one's verdict
 * is counted first, and so of the two parties of a draw. Every run of the adversary is one of these with names exchanged.
 *
 * Transitions and movements are those of the table the ledger runs (escrow_table.pml). The operations around it
 * mirror vcompute/settlement/ledger.py: the stored answer first, then the evidence, then the table.
 *
 * FAULT seeds one mistake of an implementation, to show that the properties find it (tests/session/test_model.py):
 * 1 the new state is not stored, 2 a verdict on an earlier lease counts, 3 one verifier counts twice, 4 nobody asks for
 * the end of a verdict's window, 5 a refund does not look at the state, 6 answers of bonds are not stored, 7 stakes are
 * forgotten where a verdict's window ends, 8 what nobody challenged is paid before the window is over, 9 silence
 * convicts before the time for an answer is over.
 */
#ifndef FAULT
#define FAULT 0
#endif
#ifndef LEASES
#define LEASES 3        /* leases before the deadline: a later one meets everything left over from those before */
#endif
#define VERIFIERS 3
#define DISHONEST 2
#define QUORUM 2
#define PRICE 2
#define BOND 1
#define NOBODY LEASES   /* no lease is active */
#define PARTIES 2        /* of a draw */
#define STAKE 1
#define TOTAL (PRICE + LEASES * BOND + PARTIES * STAKE + STAKE)

/* Policies. */
#define AT_ONCE 0        /* always, or sampled with a result that has its proof */
#define ON_CHALLENGE 1
#define WHEN_DRAWN 2     /* sampled, the proof on demand */

byte state = 0;
byte requester = PRICE, escrow = 0, bond = 0, worker = LEASES * BOND;
byte drawers = PARTIES * STAKE, stakes = 0;
byte challenger = STAKE, stake = 0;
byte policy = AT_ONCE;
byte paid = 0, refunded = 0;
bool refused = false;

byte lease = NOBODY;
bool due = false;       /* the lease, or the verdict's window, is over */
bool over = false;      /* so is the time in which a fallback may judge */
bool fallback = false;  /* the offer names one; it is honest */
bool deadline = false;  /* the task's deadline has passed */
bool wrong[LEASES];     /* whether the result recorded under a lease is wrong */

/* Stored answers: what the first message did is not done again. Those of operations that a lease which is over refuses
   anyway are kept for the active lease alone; a verdict is an operation of its own: bit v is verifier v's. */
bool done_open = false, done_refund = false;
bool done_bond[LEASES], done_commit[LEASES];
bool done_challenge = false, done_demand = false, done_answer = false;
byte done_good = 0, done_bad = 0;

/* The draw on the recorded result. */
bool staked[PARTIES], revealed[PARTIES];
bool spared = false;    /* all revealed, and the result need not be checked */

/* Verdicts counted under the active lease. */
byte counted = 0, votes_good = 0, votes_bad = 0;

#include "escrow_table.pml"

#define COUNT(bits) (((bits) & 1) + (((bits) >> 1) & 1) + (((bits) >> 2) & 1))
#define BONDED (state == LEASED || state == COMMITTED || state == CHALLENGED || state == ANSWERED)
#define DRAWN_ON (state == COMMITTED || state == CHALLENGED || state == ANSWERED)
/* Where a verdict counts: with the proof, where it is asked for. */
#define JUDGED(isgood) (state == (policy == AT_ONCE -> COMMITTED : ANSWERED) || (policy == WHEN_DRAWN && state == COMMITTED && isgood && spared))

inline check() {
  assert(requester + escrow + bond + worker + drawers + stakes + challenger + stake == TOTAL); /* money is conserved */
  assert(paid + refunded <= 1);                         /* nothing is paid twice */
  assert(!FINAL || (escrow == 0 && bond == 0 && stake == 0)); /* nothing stays behind */
  assert(BONDED || bond == 0);
  assert(DRAWN_ON || stakes == 0);                      /* no stake outlives its lease */
  assert(state == CHALLENGED || state == ANSWERED || stake == 0)
}

/* A party's stake comes back. That of one that did not reveal in time goes to whom it harmed. */
inline end_stake(p, silent, harmed) {
  if
  :: staked[p] ->
    stakes = stakes - STAKE;
    if
    :: silent && !revealed[p] -> harmed = harmed + STAKE
    :: else -> drawers = drawers + STAKE
    fi
  :: else -> skip
  fi;
  staked[p] = false; revealed[p] = false
}

/* Whether the time to reveal is over is for the clock: either may be. */
inline end_draw(harmed) {
  if
  :: true -> end_stake(0, true, harmed); end_stake(1, true, harmed)
  :: true -> end_stake(0, false, harmed); end_stake(1, false, harmed)
  fi;
  spared = false
}

inline forget_lease() {
  lease = NOBODY; due = false; over = false; counted = 0; votes_good = 0; votes_bad = 0;
  done_challenge = false; done_demand = false; done_answer = false; done_good = 0; done_bad = 0
}

inline operation_open() {
  if
  :: done_open -> skip
  :: else ->
    apply(EV_OPEN); done_open = true;
    if
    :: fallback = true
    :: fallback = false
    fi;
    if
    :: policy = AT_ONCE
    :: policy = ON_CHALLENGE
    :: policy = WHEN_DRAWN
    fi
  fi;
  check()
}

/* One lease is like another: they are taken in order. */
#define NEXT(l) (l == 0 || done_bond[l - 1])

inline operation_bond(l) {
  if
#if FAULT != 6
  :: done_bond[l] -> skip
#endif
  :: !done_bond[l] && (state != OPEN || deadline || !NEXT(l)) -> skip
#if FAULT == 6
  :: done_bond[l] && (state != OPEN || deadline) -> skip
#endif
  :: else -> apply(EV_BOND); lease = l; due = false; done_bond[l] = true
  fi;
  check()
}

inline operation_renew(l) {
  if
  :: lease != l || state != LEASED || due || deadline -> skip
  :: else -> apply(EV_RENEW)
  fi;
  check()
}

inline operation_commit(l) {
  if
  :: done_commit[l] || lease != l || state != LEASED || due -> skip
  :: else ->
    apply(EV_COMMIT); due = false; over = false; done_commit[l] = true;
    if
    :: wrong[l] = true
    :: wrong[l] = false
    fi
  fi;
  check()
}

/* A quorum decides about the active lease. What it rests on is counted from what was delivered, not from the votes. */
inline decide(event, delivered, truth, harmed) {
  assert(lease != NOBODY && COUNT(delivered) >= QUORUM); /* no movement without a quorum of verdicts */
  assert(truth);                                                  /* one dishonest verifier cannot bring it about */
  apply(event);
  end_draw(harmed);
#if FAULT == 1
  state = COMMITTED
#else
  forget_lease()
#endif
}

/* An honest verifier refuses what is wrong, and accepts what is right or was spared. */
#define SIGNED(l, v, isgood) (done_commit[l] && (v != 1 || counted & 1) && (v == DISHONEST || isgood != wrong[l] || (isgood && spared)))
#define VOTED(l, v) (lease == l && ((done_good | done_bad) >> v) & 1)

inline operation_settle(l, v, isgood) {
  if
  :: !SIGNED(l, v, isgood) -> skip
#if FAULT == 2
  :: SIGNED(l, v, isgood) && (VOTED(l, v) || !JUDGED(isgood)) -> skip
#elif FAULT == 3
  :: SIGNED(l, v, isgood) && (lease != l || !JUDGED(isgood)) -> skip
#else
  :: SIGNED(l, v, isgood) && (VOTED(l, v) || lease != l || !JUDGED(isgood) || (counted >> v) & 1) -> skip
#endif
  :: else ->
    counted = counted | (1 << v);
    if
    :: isgood -> votes_good++; done_good = done_good | (lease == l -> 1 << v : 0)
    :: else -> votes_bad++; done_bad = done_bad | (lease == l -> 1 << v : 0)
    fi;
    if
    :: isgood && votes_good >= QUORUM -> decide(EV_ACCEPT, done_good, !wrong[lease] || spared, worker)
    :: !isgood && votes_bad >= QUORUM -> decide(EV_REJECT, done_bad, wrong[lease], requester)
    :: else -> skip
    fi
  fi;
  check()
}

inline operation_stake(p) {
  if
  :: policy == ON_CHALLENGE || state != COMMITTED || staked[p] || (p == 1 && !staked[0]) || drawers < STAKE -> skip
  :: else -> drawers = drawers - STAKE; stakes = stakes + STAKE; staked[p] = true
  fi;
  check()
}

inline operation_reveal(p) {
  if
  :: state != COMMITTED || !staked[0] || !staked[1] || revealed[p] || (p == 1 && !revealed[0]) -> skip
  :: else ->
    revealed[p] = true;
    if
    :: revealed[0] && revealed[1] ->
      if
      :: spared = true
      :: spared = false
      fi
    :: else -> skip
    fi
  fi;
  check()
}

/* One verdict of the fallback decides, once the verifiers' time is over. */
inline operation_appeal(l, isgood) {
  if
  :: !fallback || lease != l || !due || !JUDGED(isgood) || !(isgood != wrong[l] || (isgood && spared)) -> skip
  :: else ->
    if
    :: isgood -> apply(EV_ACCEPT); end_draw(worker)
    :: else -> apply(EV_REJECT); end_draw(requester)
    fi;
    forget_lease()
  fi;
  check()
}

/* Anyone with a stake asks for the proof, before the window is over. */
inline operation_challenge(l) {
  if
  :: done_challenge || lease != l || state != COMMITTED || policy != ON_CHALLENGE || due || challenger < STAKE -> skip
  :: else -> apply(EV_CHALLENGE); due = false; over = false; done_challenge = true
  fi;
  check()
}

/* The draw asks for the proof, unless it spares the result. */
inline operation_demand(l) {
  if
  :: done_demand || lease != l || state != COMMITTED || policy != WHEN_DRAWN || spared -> skip
  :: else -> apply(EV_DEMAND); due = false; over = false; done_demand = true
  fi;
  check()
}

inline operation_answer(l) {
  if
  :: done_answer || lease != l || state != CHALLENGED || due -> skip
  :: else -> apply(EV_ANSWER); due = false; over = false; done_answer = true
  fi;
  check()
}

/* The end of a lease without fault: when it is due, or before a result by the worker's Yield. What nobody challenged is
   paid then, and who did not answer is convicted. */
#define APPEALABLE (fallback && (state == ANSWERED || (state == COMMITTED && policy != ON_CHALLENGE)))
#if FAULT == 8
#define EARLY (state == LEASED || (state == COMMITTED && policy == ON_CHALLENGE))
#elif FAULT == 9
#define EARLY (state == LEASED || state == CHALLENGED)
#else
#define EARLY (state == LEASED)
#endif
inline operation_release(l) {
  if
  :: lease != l || !BONDED || (!due && !EARLY) || (APPEALABLE && !over) -> skip
#if FAULT == 4
  :: state == COMMITTED && lease == l -> skip
#endif
  :: else ->
    if
    :: state == COMMITTED && policy == ON_CHALLENGE ->
      assert(due && stake == 0); /* nobody challenged, and nobody can any more */
      apply(EV_UNCHALLENGED)
    :: state == CHALLENGED ->
      assert(due && (done_challenge || done_demand)); /* the worker was asked and the time is over */
      apply(EV_DEFAULT); end_draw(requester)
    :: else ->
      apply(EV_RELEASE);
#if FAULT != 7
      end_draw(worker)
#endif
    fi;
    forget_lease()
  fi;
  check()
}

/* The end of the task: after the deadline, or before by the requester's Cancel. */
inline operation_refund() {
  if
  :: done_refund || (FAULT != 5 && state != OPEN) -> skip
  :: else ->
#if FAULT == 5
    if
    :: state == COMMITTED -> escrow = escrow - PRICE; requester = requester + PRICE; refunded++
    :: else -> apply(EV_REFUND)
    fi;
    done_refund = true
#else
    apply(EV_REFUND); done_refund = true
#endif
  fi;
  check()
}

active proctype network() {
  byte l, v;
  bool isgood;
  do
  :: atomic {
    select(l : 0 .. LEASES - 1);
    if
    :: true -> operation_open()
    :: true -> operation_bond(l)
    :: true -> operation_renew(l)
    :: true -> operation_commit(l)
    :: true -> select(v : 0 .. VERIFIERS - 1);
       if
       :: isgood = true
       :: isgood = false
       fi;
       operation_settle(l, v, isgood)
    :: true -> operation_stake(0)
    :: true -> operation_stake(1)
    :: true -> operation_reveal(0)
    :: true -> operation_reveal(1)
    :: true ->
       if
       :: isgood = true
       :: isgood = false
       fi;
       operation_appeal(l, isgood)
    :: true -> operation_challenge(l)
    :: true -> operation_demand(l)
    :: true -> operation_answer(l)
    :: true -> operation_release(l)
    :: true -> operation_refund()
    fi;
    l = 0; v = 0; isgood = false
  }
  od
}

active proctype clock() {
  do
  :: atomic { !deadline -> deadline = true }
  :: atomic { BONDED && !due -> due = true }
  :: atomic { BONDED && due && APPEALABLE && !over -> over = true }
  od
}

active proctype keeper() {
  do
  :: atomic { BONDED && due && (over || !APPEALABLE) -> operation_release(lease) }
  :: atomic { state == OPEN && deadline -> operation_refund() }
  od
}

/* No stuck money: what was opened ends, paid or refunded, whatever the others do or leave. */
ltl progress { [] ((state == OPEN) -> <> FINAL) }
