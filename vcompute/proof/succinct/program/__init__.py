# SPDX-License-Identifier: Apache-2.0
"""The verifier's checks as a program for the native core.

What a verifier computes depends on the circuit, not on the proof: there is no branch and no loop whose course a proof
could change. So :func:`vcompute.proof.succinct.verify.check` runs once over values that are not yet known, and what it
does is recorded: messages received, challenges drawn, arithmetic, comparisons. The native core carries the record out
for every proof of that instance. There is one verifier, written once; a new circuit needs no new C.

- :mod:`recorder`: operations as words, each distinct value once;
- :mod:`values`: elements, vectors, tensors and bytes that are not yet known;
- :mod:`backend`, :mod:`transcript`: what the verifier calls while it is recorded;
- :mod:`core`: a record in the hands of the native core;
- :mod:`run`: record an instance, carry it out;
- :mod:`claims`: what a prover computes as its verifier does, from a record too.
"""
