# SPDX-License-Identifier: Apache-2.0
"""Numbered requirements: ``:::{requirement} VC-ENC-003``, the role ``{req}``, the indices of both."""

import re
from collections import defaultdict
from typing import Any

import docs_requirements as scan
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective

Cells = list[list[nodes.Node]]


def simple_table(header: list[str], rows: list[Cells], classes: str, widths: list[int] | None = None) -> nodes.Node:
    """A table in a box of its own that scrolls where the page is narrow."""
    table = nodes.table(classes=["book-table", classes])
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=width) for width in widths or [1] * len(header)]
    head, body = nodes.thead(), nodes.tbody()
    head += _row([[nodes.paragraph("", title)] for title in header])
    body += [_row(cells) for cells in rows]
    group += [head, body]
    table += group
    return table


def _row(cells: Cells) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += cell
        row += entry
    return row


def local_reference(text: str, label: str, role: str, docname: str) -> nodes.Node:
    """A reference that Sphinx resolves, and complains of where it cannot."""
    from sphinx.addnodes import pending_xref

    reference = pending_xref(
        "", refdomain="std", reftype=role, reftarget=label, refdoc=docname, refexplicit=True, refwarn=True
    )
    reference += nodes.literal("", text)
    return reference


class Requirement(SphinxDirective):
    """One normative statement with a stable id."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        anchor = name.lower()
        box = nodes.container(classes=["requirement"], ids=[anchor])
        title = nodes.paragraph(classes=["requirement-title"])
        link = nodes.reference("", "", refid=anchor, internal=True)
        link += nodes.strong("", name)
        title += [link, nodes.Text(" ")]
        title += self._cases(name)
        box += title
        body = nodes.container(classes=["requirement-body"])
        self.state.nested_parse(self.content, self.content_offset, body)
        box += body
        self.env.get_domain("std").note_object("requirement", name, anchor, location=box)  # type: ignore[attr-defined]
        return [box]

    def _cases(self, name: str) -> list[nodes.Node]:
        count = sum(name in case.requirements for case in _scan().cases)
        label = f"{count} case{'' if count == 1 else 's'}" if count else "no case yet"
        cell = local_reference(label, f"cases-{name}", "req", self.env.docname)
        return [nodes.inline("", "", cell, classes=["requirement-cases"])]


class RequirementIndex(SphinxDirective):
    """Every requirement with its chapter and the cases that check it."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it depends on every chapter and case
        found = _scan()
        by_requirement: dict[str, list[scan.Case]] = defaultdict(list)
        for case in found.cases:
            for name in case.requirements:
                by_requirement[name].append(case)
        rows = []
        domain: Any = self.env.get_domain("std")
        targets: list[nodes.Node] = []
        for requirement in found.requirements:
            anchor = f"cases-{requirement.id.lower()}"
            domain.note_object("requirement", f"cases-{requirement.id}", anchor)
            link = nodes.paragraph(ids=[anchor])
            link += local_reference(requirement.id, requirement.id, "req", self.env.docname)
            text = nodes.paragraph("", "", *_inline(requirement.text))
            rows.append([[link], [text], [self._list(by_requirement[requirement.id])]])
        return [*targets, simple_table(["Requirement", "Text", "Cases"], rows, "requirements", [15, 45, 40])]

    def _list(self, cases: list[scan.Case]) -> nodes.Node:
        if not cases:
            return nodes.paragraph("", "none yet")
        shown = nodes.bullet_list(classes=["cases"])
        for case in cases[:12]:
            item = nodes.list_item()
            paragraph = nodes.paragraph()
            paragraph += local_reference(case.name, case.anchor, "vcase", self.env.docname)
            item += paragraph
            shown += item
        if len(cases) > 12:
            item = nodes.list_item()
            item += nodes.paragraph("", f"and {len(cases) - 12} more")
            shown += item
        return shown


class CaseIndex(SphinxDirective):
    """Every vector, scenario and test that names a requirement, by file."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        by_file: dict[str, list[scan.Case]] = defaultdict(list)
        for case in _scan().cases:
            by_file[case.file].append(case)
        result: list[nodes.Node] = []
        domain: Any = self.env.get_domain("std")
        for file, cases in by_file.items():
            section = nodes.section(ids=[nodes.make_id(file)])
            section += nodes.title("", f"{file} ({len(cases)})")
            rows = []
            for case in cases:
                domain.note_object("vcase", case.anchor, case.anchor)
                name = nodes.paragraph(ids=[case.anchor])
                name += nodes.literal("", case.name)
                links = nodes.paragraph()
                for item in case.requirements:
                    links += [local_reference(item, item, "req", self.env.docname), nodes.Text(" ")]
                rows.append([[name], [nodes.paragraph("", case.kind)], [links]])
            section += simple_table(["Case", "Kind", "Requirements"], rows, "cases", [50, 12, 38])
            result.append(section)
        return result or [nodes.paragraph("", "There are no cases yet.")]


MARKS = re.compile(r"(?:\{(?P<role>\w+)\})?`(?P<code>[^`]+)`|\$(?P<math>[^$]+)\$|\[(?P<link>[^\]]+)\]\([^)]+\)")


def _inline(text: str) -> list[nodes.Node]:
    """A requirement's text with its code and mathematics; links and citations as their words."""
    result: list[nodes.Node] = []
    position = 0
    for found in MARKS.finditer(text):
        result.append(nodes.Text(text[position : found.start()].replace("**", "")))
        if found["math"]:
            result.append(nodes.math(found["math"], found["math"]))
        elif found["code"] and not found["role"]:
            result.append(nodes.literal("", found["code"]))
        else:
            result.append(nodes.Text(found["link"] or found["code"]))
        position = found.end()
    return [*result, nodes.Text(text[position:].replace("**", ""))]


class _Scan:
    def __init__(self) -> None:
        self.requirements = scan.requirements()
        self.cases = scan.cases()


_CACHE: list[_Scan] = []


def _scan() -> _Scan:
    if not _CACHE:
        _CACHE.append(_Scan())
    return _CACHE[0]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_object_type("requirement", "req", objname="requirement")
    app.add_object_type("vcase", "vcase", objname="case")
    app.add_directive_to_domain("std", "requirement", Requirement, override=True)
    app.add_role_to_domain("std", "req", XRefRole(), override=True)
    app.add_directive("requirement-index", RequirementIndex)
    app.add_directive("case-index", CaseIndex)
    return {"version": "1", "parallel_read_safe": False}
