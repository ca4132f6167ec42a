# SPDX-License-Identifier: Apache-2.0
"""Write ``spec/model/escrow_table.pml`` from the table the ledger runs: ``generate_model.py [--check]``."""

import sys
from pathlib import Path
from typing import Any

from vcompute.settlement.rules import ESCROW_TABLE, EscrowEvent, Movement

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "spec" / "model" / "escrow_table.pml"

HEADER = """/* SPDX-License-Identifier: Apache-2.0 */
/* The transitions and movements of the escrow, from vcompute/settlement/rules.py by 'make generate'; do not edit. */
"""
AMOUNTS = {"escrow": "PRICE", "bond": "BOND", "stake": "STAKE"}
"""What is held in an account; every movement is into or out of one of them."""


def movement(item: Movement) -> list[str]:
    """Promela of one movement; its accounts are those its name says, its amount that of what is held."""
    if item is Movement.REFUSE:
        return ["refused = true"]
    source, target = item.value.split(" -> ")
    if source == "stake":  # what is there: nothing where a draw asked for the proof
        return [f"{target} = {target} + stake", "stake = 0"]
    amount = AMOUNTS[source if source in AMOUNTS else target]
    lines = [f"assert({source} >= {amount})", f"{source} = {source} - {amount}", f"{target} = {target} + {amount}"]
    if item is Movement.PAY:
        lines.append("paid++")
    if item is Movement.GIVE_BACK:
        lines.append("refunded++")
    return lines


def table_text(table: Any) -> str:
    """The Promela of an escrow table: constants, and ``apply(event)`` for the settlement."""
    lines = [HEADER]
    lines += [f"#define {state.name} {state.value}" for state in table.states]
    lines += [f"#define EV_{event.name} {number}" for number, event in enumerate(EscrowEvent)]
    finals = [state.name for state in table.states if table.final(state)]
    lines += ["#define FINAL (" + " || ".join(f"state == {name}" for name in finals) + ")", ""]
    lines += ["inline apply(event) {", "  refused = false;", "  if"]
    for state, event, rule in table:
        steps = [step for effect in rule.effects for step in movement(effect)]
        if rule.to is not state:
            steps.append(f"state = {rule.to.name}")
        body = "; ".join(steps) or "skip"
        lines.append(f"  :: state == {state.name} && event == EV_{event.name} -> {body}")
    lines += ["  fi", "}", ""]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    text = table_text(ESCROW_TABLE)
    if "--check" in argv:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print(f"{TARGET.relative_to(ROOT)} is stale: run 'make generate'", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
