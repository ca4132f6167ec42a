# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` of parties at random moments, with real processes over loopback HTTP: nothing is lost or paid twice.

``python -m tests.session.kills [--seconds S] [--seed N]`` repeats it: every party in turn, and all of them at once.
"""

import argparse
import random
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.session.processes import COMMAND, Deployment, run
from vcompute.data import digits_model, digits_samples

VICTIMS = ("coordinator", "worker", "requester", "verifier")
TASKS, PRICE, BOND = 24, 7, 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_and_check(victims: tuple[str, ...], kills: int, moments: random.Random, directory: Path) -> None:
    """Run tasks to their end while parties are killed, then hold the ledger against what everybody was told."""
    images, labels = digits_samples()
    model, inputs, out = directory / "digits.tflite", directory / "images.npy", directory / "out.npy"
    model.write_bytes(digits_model())
    np.save(inputs, images[:TASKS])
    deployment = Deployment(directory, free_port())
    try:
        state, requester = deployment.requester()
        workers = [deployment.worker(f"w{index}", "--capacity", 2) for index in range(2)]
        submit = ["submit", model, inputs, "-o", out, "--url", deployment.url, "--state", state, "--json"]
        submit += ["--batch", 1, "--price", PRICE, "--bond", BOND, "--lease", 3, "--within", 240]
        if "verifier" in victims:
            verifier = deployment.add("verifier", "--url", deployment.url, "--state", directory / "v")
            submit += ["--verifier", verifier.record["verifier"]]
        said = directory / "submit.json"

        def start() -> subprocess.Popen[bytes]:
            with said.open("wb") as output:
                return subprocess.Popen([*COMMAND, *map(str, submit)], stdout=output)

        under_way = start()
        for _ in range(kills):
            time.sleep(moments.uniform(1.0, 4.0))
            victim = moments.choice(victims)
            if victim == "requester":
                under_way.kill()
                under_way.wait(20)
                under_way = start()
                continue
            chosen = {"coordinator": deployment.coordinator, "worker": moments.choice(workers)}.get(victim)
            party = verifier if chosen is None else chosen
            party.kill()
            time.sleep(moments.uniform(0.0, 0.5))
            party.start()
        assert under_way.wait(280) == 0, said.read_text(encoding="utf-8")
        done = run(*submit)
        assert done["accepted"] == done["tasks"] == TASKS
        assert done["rejected"] == 0
        classes = np.load(out).reshape(TASKS, -1).argmax(1)
        assert (classes == labels[:TASKS]).sum() >= TASKS - 2
        report = deployment.ledger("verify")
        assert report["conserved"], report["problems"]
        assert (report["paid"], report["held"], report["slashed"]) == (TASKS * PRICE, 0, 0)
        balances = deployment.ledger("show")["balances"]
        assert balances[requester] == 1000 - TASKS * PRICE
        assert sum(balances.values()) == 3000
        totals = run("status", "--url", deployment.url, "--json")["totals"]
        assert (totals["tasks_paid"], totals["inferences"]) == (TASKS, TASKS), "each task is counted once"
    finally:
        deployment.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.session.kills", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    moments, end, rounds, kills = random.Random(seed), time.monotonic() + options.seconds, 0, 0
    print(f"seed {seed}", flush=True)
    while time.monotonic() < end:
        victims = VICTIMS if rounds % 2 else (VICTIMS[rounds // 2 % len(VICTIMS)],)
        number = moments.randrange(2, 6)
        with tempfile.TemporaryDirectory() as directory:
            kill_and_check(victims, number, moments, Path(directory))
        rounds, kills = rounds + 1, kills + number
        print(f"round {rounds}: {number} kills of {', '.join(victims)}", flush=True)
    print(f"{rounds} rounds, {rounds * TASKS} tasks, {kills} kills: nothing lost, nothing paid twice", flush=True)


if __name__ == "__main__":
    main()
