# SPDX-License-Identifier: Apache-2.0
"""Which suites there are: the built-in ones and those that installed packages add.

A package adds a suite by an entry point of the group ``vcompute.suites`` that names an object with the interface of
:class:`vcompute.proof.suite.Suite`. Its ids are for private use (60,000 and up), and no name or id may occur twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final, cast

from vcompute.errors import Rejected, UsageError
from vcompute.proof.suite import ParameterSet, Policy, Suite
from vcompute.registry import ErrorCode

GROUP: Final = "vcompute.suites"
PRIVATE_USE: Final = 60_000
"""The least id for private use."""
BUILT_IN: Final = (
    "vcompute.proof.replay:SUITE",
    "vcompute.proof.freivalds:SUITE",
    "vcompute.proof.succinct.suite:SUITE",
)


@dataclass(frozen=True, slots=True)
class SuiteTable:
    """Suites by name, in order of id."""

    suites: Mapping[str, Suite]

    def __iter__(self) -> Iterator[Suite]:
        return iter(self.suites.values())

    def named(self, name: str) -> Suite:
        """The suite of a name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.suites:
            raise UsageError("no such suite", expected=", ".join(self.suites), got=name)
        return self.suites[name]

    def numbered(self, suite: int, parameter_set: int) -> tuple[Suite, ParameterSet]:
        """The suite and parameter set that a proof names.

        Raises:
            Rejected: ``suite_not_accepted`` where there is no such suite, or it has no such set.
        """
        for candidate in self:
            for item in candidate.parameter_sets:
                if (candidate.id, item.id) == (suite, parameter_set):
                    return candidate, item
        raise Rejected(
            "no suite here has this id and parameter set",
            code=ErrorCode.SUITE_NOT_ACCEPTED,
            got=f"suite {suite}, parameter set {parameter_set}",
        )

    def policy(self, names: Iterable[str], *, allow_insecure: bool = False) -> Policy:
        """A policy from names: ``SUITE`` admits all secure sets of a suite, ``SUITE/SET`` one of them.

        Without names it is the default policy. An insecure set is admitted only with ``allow_insecure``.

        Raises:
            UsageError: a name is no suite's or set's, or is of an insecure set.
        """
        chosen = [item for name in names for item in self._matching(name, allow_insecure)]
        if chosen:
            return Policy.of(item.id for item in chosen)
        if allow_insecure:
            return Policy.of(Policy().parameter_sets | {item.id for suite in self for item in suite.parameter_sets})
        return Policy()

    def _matching(self, name: str, allow_insecure: bool) -> list[ParameterSet]:
        suite_name, _, set_name = name.partition("/")
        suite = self.named(suite_name)
        if not set_name:
            return [item for item in suite.parameter_sets if item.secure or allow_insecure]
        item = parameter_set_named(suite, set_name)
        if not item.secure and not allow_insecure:
            raise UsageError("this parameter set is for tests and has no security", got=name)
        return [item]


def parameter_set_named(suite: Suite, name: str | None) -> ParameterSet:
    """A suite's parameter set by name; its default for None.

    Raises:
        UsageError: it has no such set.
    """
    if name is None:
        return suite.parameter_sets[0]
    for item in suite.parameter_sets:
        if item.name == name:
            return item
    raise UsageError(
        f"suite {suite.name} has no such parameter set",
        expected=", ".join(item.name for item in suite.parameter_sets),
        got=name,
    )


def build_table(built_in: Iterable[Suite], added: Iterable[tuple[EntryPoint, Suite]]) -> SuiteTable:
    """The table of built-in suites and those of entry points.

    Raises:
        UsageError: a name or id occurs twice, or an added id is not for private use.
    """
    suites = list(built_in)
    for entry, suite in added:
        numbers = [suite.id, *(item.id for item in suite.parameter_sets)]
        if min(numbers) < PRIVATE_USE:
            raise UsageError(f"suite {entry.value}: ids from {PRIVATE_USE} up are for private use", got=min(numbers))
        if entry.name != suite.name:
            raise UsageError(
                f"suite {entry.value}: its entry point has another name", expected=suite.name, got=entry.name
            )
        suites.append(suite)
    sets = [item for suite in suites for item in suite.parameter_sets]
    _refuse_collisions("suite name", [suite.name for suite in suites])
    _refuse_collisions("suite id", [suite.id for suite in suites])
    _refuse_collisions("parameter set name", [item.name for item in sets])
    _refuse_collisions("parameter set id", [item.id for item in sets])
    return SuiteTable(MappingProxyType({suite.name: suite for suite in sorted(suites, key=lambda s: s.id)}))


def _refuse_collisions(what: str, values: list[str] | list[int]) -> None:
    for value in values:
        if values.count(value) > 1:  # type: ignore[arg-type]
            raise UsageError(f"two suites have the same {what}", got=value)


@cache
def suite_table() -> SuiteTable:
    """Every suite that is installed.

    Raises:
        UsageError: two collide.
    """
    built_in = []
    for path in BUILT_IN:
        module, _, attribute = path.partition(":")
        built_in.append(cast("Suite", getattr(import_module(module), attribute)))
    return build_table(built_in, [(entry, entry.load()) for entry in entry_points(group=GROUP)])
