# SPDX-License-Identifier: Apache-2.0
"""Tables made from the sources of truth: registries, record schemas, CDDL, constants, decisions."""

import importlib
import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

from book_requirements import Cells, local_reference, simple_table
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree
from sphinx.ext.graphviz import graphviz
from sphinx.util.docutils import SphinxDirective

from vcompute.codec import cddl, fields_of

ROOT = Path(__file__).resolve().parent.parent.parent


def load(name: str) -> Any:
    """The object a dotted name stands for: ``vcompute.task.tensor.ValueType``."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def text_cell(text: str) -> list[nodes.Node]:
    """Plain text."""
    return [nodes.paragraph("", text)]


def code_cell(text: str) -> list[nodes.Node]:
    """Code."""
    return [nodes.paragraph("", "", nodes.literal("", text))]


class RegistryTable(SphinxDirective):
    """``{registry-table} errors`` shows ``spec/registry/errors.toml``; ``:columns:`` picks and orders the columns."""

    required_arguments = 1
    option_spec = {"columns": directives.unchanged, "where": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        path = ROOT / "spec" / "registry" / f"{self.arguments[0]}.toml"
        self.env.note_dependency(str(path))
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = [value for value in document.values() if isinstance(value, list)]
        if len(tables) != 1:
            raise self.error(f"{path.name} has {len(tables)} tables, one is expected")
        rows = sorted(tables[0], key=lambda row: row["id"])
        columns = self.options.get("columns", "").split() or list(dict.fromkeys(key for row in rows for key in row))
        cells: list[Cells] = [
            [(code_cell if column in ("id", "name") else text_cell)(_shown(row.get(column))) for column in columns]
            for row in rows
        ]
        widths = [60 if column == "text" else 12 for column in columns]
        return [simple_table(columns, cells, "registry", widths)]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


class RecordTable(SphinxDirective):
    """``{record-table} vcompute.task.tensor.ValueType``: a record's keys, names, types and meanings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows: list[Cells] = [
            [
                code_cell(str(spec.key)),
                code_cell(spec.name + (" ?" if spec.optional else "")),
                code_cell(spec.kind.cddl()),
                text_cell(spec.doc),
            ]
            for spec in fields_of(load(self.arguments[0]))
        ]
        return [simple_table(["Key", "Field", "Type (CDDL)", "Meaning"], rows, "record", [7, 20, 33, 40])]


class CddlBlock(SphinxDirective):
    """``{cddl} vcompute.task.graph.Graph ...``: the CDDL of the records reachable from these."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        text = cddl(*(load(name) for name in self.arguments[0].split()))
        return [nodes.literal_block(text, text, language="text")]


class EnumTable(SphinxDirective):
    """``{enum-table} vcompute.task.tensor.DType``: names and values of an enumeration."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        members = list(load(self.arguments[0]))
        docs = _member_docs(load(self.arguments[0]))
        rows: list[Cells] = [
            [code_cell(str(int(member))), code_cell(member.name.lower()), text_cell(docs.get(member.name, ""))]
            for member in members
        ]
        if not docs:
            return [simple_table(["Value", "Name"], [row[:2] for row in rows], "enum", [30, 70])]
        return [simple_table(["Value", "Name", "Meaning"], rows, "enum", [10, 25, 65])]


def _member_docs(cls: type) -> dict[str, str]:
    """The strings that stand under the members of a class."""
    import ast
    import inspect
    import textwrap

    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    found: dict[str, str] = {}
    last = ""
    for statement in getattr(body, "body", []):
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            last = getattr(target, "id", "")
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and last:
            found[last] = str(statement.value.value)
            last = ""
    return found


class ConstantTable(SphinxDirective):
    """``{constant-table} vcompute.task.limits``: the public integer constants of a module, with their strings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        import ast
        import inspect

        module = importlib.import_module(self.arguments[0])
        rows: list[Cells] = []
        last = ""
        for statement in ast.parse(inspect.getsource(module)).body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                last = statement.target.id
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and last:
                value = getattr(module, last)
                if not last.startswith("_") and isinstance(value, (int, float)):
                    rows.append([code_cell(last), code_cell(_power(value)), text_cell(str(statement.value.value))])
                last = ""
        return [simple_table(["Name", "Value", "Meaning"], rows, "constants", [25, 20, 55])]


def _power(value: int | float) -> str:
    """2**n where it is one and large."""
    if isinstance(value, int) and value > 1 << 12 and value & (value - 1) == 0:
        return f"2**{value.bit_length() - 1}"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Machine(SphinxDirective):
    """``{machine} module.TABLE``: a transition table as states, a diagram where graphviz is there, and rows."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        table = load(self.arguments[0])
        states: list[Cells] = [
            [code_cell(_member(state)), text_cell(info.doc), text_cell(info.timeout), text_cell(info.owner.value)]
            for state, info in table.states.items()
        ]
        rules: list[Cells] = [
            [code_cell(_member(state)), text_cell(event.value), code_cell(_member(rule.to)), text_cell(_effects(rule))]
            for (state, event), rule in table.explicit.items()
        ]
        result: list[nodes.Node] = [
            simple_table(["State", "Meaning", "Bounded by", "Owner of the money"], states, "states", [16, 40, 20, 24])
        ]
        if shutil.which("dot"):
            result.append(self.diagram(table))
        result.append(simple_table(["In", "Event", "To", "Effects"], rules, "transitions", [16, 34, 16, 34]))
        others: list[Cells] = [
            [text_cell(event.value), text_cell("; ".join(effect.value for effect in effects))]
            for event, effects in table.otherwise.items()
            if any(effect.name not in ("IGNORE", "REFUSE") for effect in effects)
        ]
        if others:
            result.append(simple_table(["Otherwise", "Effects"], others, "otherwise", [50, 50]))
        return result

    def diagram(self, table: Any) -> nodes.Node:
        """The states and what leads from one to another."""
        edges: dict[tuple[str, str], list[str]] = {}
        for (state, event), rule in table.explicit.items():
            if rule.to is not state:
                edges.setdefault((_member(state), _member(rule.to)), []).append(event.name.lower())
        lines = ["digraph {", 'graph [rankdir=TB, bgcolor="transparent"]', 'node [shape=box, style="rounded,filled",']
        lines += ['fillcolor="#f4f4f8", fontname="Helvetica", fontsize=11]', 'edge [fontname="Helvetica", fontsize=9]']
        lines += [_edge(a, b, names) for (a, b), names in edges.items()]
        node = graphviz()
        node["code"] = "\n".join([*lines, "}"])
        node["options"] = {"docname": self.env.docname}
        node["alt"] = f"states of {table.name}"
        return node


def _edge(source: str, target: str, names: list[str]) -> str:
    label = "\\n".join(names)
    return f'"{source}" -> "{target}" [label="{label}"]'


def _effects(rule: Any) -> str:
    return "; ".join(effect.value for effect in rule.effects) or "none"


def _member(value: object) -> str:
    name = getattr(value, "name", None)
    if isinstance(name, str):
        return name.lower()
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(_member(item) for item in value)
    return "" if value is None else str(value)


class ChapterTree(TocTree):
    """``{chapter-tree}``: a table of contents in the order given; documents of the folder not named come last."""

    def run(self) -> list[nodes.Node]:
        folder = self.env.docname.rpartition("/")[0]
        there = {name.rpartition("/")[2] for name in self.env.found_docs if name.rpartition("/")[0] == folder}
        there -= {self.env.docname.rpartition("/")[2]}
        ordered = [name for name in self.content if name in there]
        ordered += sorted(there - set(ordered))
        self.content = StringList(ordered, source=self.env.docname)
        return super().run()


class Mutants(SphinxDirective):
    """The seeded bugs and the cases that caught them, as ``make mutants`` wrote them."""

    def run(self) -> list[nodes.Node]:
        path = ROOT / "docs" / "reference" / "mutants.json"
        self.env.note_dependency(str(path))
        results = json.loads(path.read_text(encoding="utf-8"))
        rows: list[Cells] = [
            [text_cell(item["name"]), code_cell(item["file"]), code_cell(item["caught_by"] or "nothing")]
            for item in results
        ]
        caught = sum(item["caught_by"] is not None for item in results)
        count = nodes.paragraph("", f"{caught} of {len(results)} are caught.")
        return [count, simple_table(["Seeded bug", "File", "Caught first by"], rows, "mutants", [45, 27, 28])]


class FaultList(SphinxDirective):
    """``{fault-list}``: the named faults of the hostile peer, from the cases of level L5."""

    def run(self) -> list[nodes.Node]:
        from vcompute.conformance import Level, all_cases

        self.env.note_reread()
        rows: list[Cells] = []
        for case in all_cases():
            if case.level is Level.L5:
                requirements = nodes.paragraph()
                for name in case.requirements:
                    requirements += [local_reference(name, name, "req", self.env.docname), nodes.Text(" ")]
                _, against, fault = case.id.split("/", 2)
                rows.append([code_cell(fault), text_cell(against), text_cell(case.text), [requirements]])
        count = nodes.paragraph("", f"{len(rows)} faults:")
        return [
            count,
            simple_table(["Fault", "Against", "What it is", "Requirements"], rows, "faults", [24, 14, 44, 18]),
        ]


class DecisionList(SphinxDirective):
    """The decisions, by number, with their titles."""

    def run(self) -> list[nodes.Node]:
        rows: list[Cells] = []
        for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
            self.env.note_dependency(str(path))
            title = re.search(r"^#\s+(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            link = nodes.paragraph()
            link += _document(f"docs/decisions/{path.stem}", title.group(1) if title else path.stem, self.env.docname)
            rows.append([code_cell(path.stem[:4]), [link]])
        if not rows:
            return [nodes.paragraph("", "None is recorded yet.")]
        return [simple_table(["Number", "Decision"], rows, "decisions", [12, 88])]


def _document(target: str, text: str, docname: str) -> nodes.Node:
    from sphinx.addnodes import pending_xref

    reference = pending_xref(
        "", refdomain="std", reftype="doc", reftarget=f"/{target}", refdoc=docname, refexplicit=True, refwarn=True
    )
    reference += nodes.inline("", text)
    return reference


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("registry-table", RegistryTable)
    app.add_directive("record-table", RecordTable)
    app.add_directive("cddl", CddlBlock)
    app.add_directive("enum-table", EnumTable)
    app.add_directive("constant-table", ConstantTable)
    app.add_directive("machine", Machine)
    app.add_directive("chapter-tree", ChapterTree)
    app.add_directive("mutants", Mutants)
    app.add_directive("fault-list", FaultList)
    app.add_directive("decision-list", DecisionList)
    return {"version": "1", "parallel_read_safe": False}
