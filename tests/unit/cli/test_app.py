# SPDX-License-Identifier: Apache-2.0
"""The command line's frame: start-up, exit status, one JSON line, typed failures."""

import json
import os
import subprocess
import sys
from importlib import import_module

import click
import pytest

from vcompute import cli
from vcompute.cli.app import COMMANDS
from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Reporter
from vcompute.errors import Rejected, UsageError
from vcompute.registry import ErrorCode

SERVICES = {"testee"}
"""Commands that speak a line protocol on standard output and so have no ``--json``."""


def test_help_imports_no_command_and_no_heavy_module() -> None:
    program = (
        "import sys; from vcompute.cli import main; status = main(['--help']); "
        "heavy = {'numpy', 'rich', 'cffi', 'cryptography', 'httpx'} & set(sys.modules); "
        "print(heavy, file=sys.stderr); raise SystemExit(status or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_has_json_and_the_help_it_is_listed_with(name: str) -> None:
    entry = COMMANDS[name]
    command = getattr(import_module(entry.module), entry.attribute)
    assert command.name == name
    assert (command.help or "").splitlines()[0] == entry.help
    if name in SERVICES:
        return
    leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        assert isinstance(leaf, Command)
        assert any("--json" in parameter.opts for parameter in leaf.params)


def test_version_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version", "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert err == ""
    record = json.loads(out)
    assert record["version"]
    assert record["protocol"] == [1]
    assert {"task_format", "proof_format", "instruction_set"} <= record.keys()
    assert record["core"] in {"native", "fallback"}


@pytest.mark.parametrize("argv", [["no-such-command"], ["version", "--no-such-option"], ["version", "extra"]])
def test_wrong_usage_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage" in err
    assert cli.main([*argv, "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "usage"
    assert err == ""


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (Rejected("no"), 1, "proof_rejected"),
        (UsageError("no"), 2, "usage"),
        (UsageError("no", code=ErrorCode.UNREADABLE_FILE), 1, "unreadable_file"),
        (FileNotFoundError(2, "gone"), 1, "unreadable_file"),
        (MemoryError(), 1, "limit_exceeded"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures_have_a_status_and_a_code(
    raised: BaseException, status: int, code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command("fail", cls=Command)
    @pass_reporter
    def fail(_reporter: Reporter) -> None:
        raise raised

    monkeypatch.setattr("vcompute.cli.app.LazyGroup.get_command", lambda *_: fail)
    monkeypatch.setitem(COMMANDS, "fail", COMMANDS["version"])
    assert cli.main(["fail", "--json"]) == status
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == code
    assert err == "" or isinstance(raised, KeyboardInterrupt)
    assert cli.main(["fail"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert code in err


def test_a_closed_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "vcompute", "version"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_no_arguments_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage:")
    assert "version" in err
