# SPDX-License-Identifier: Apache-2.0
"""Tables of the chapters on proofs, drawn from the code."""

import importlib
from typing import Any

from book_requirements import simple_table
from book_tables import Cells, code_cell, text_cell
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class MappingTable(SphinxDirective):
    """``{mapping-table} vcompute.proof.succinct.dump.MEANING``: a constant that maps names to sentences."""

    required_arguments = 1
    option_spec = {"header": str.split}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        mapping = getattr(importlib.import_module(module), name)
        rows: list[Cells] = [[code_cell(key), text_cell(text)] for key, text in mapping.items()]
        header = [word.capitalize() for word in self.options.get("header", ["name", "meaning"])]
        return [simple_table(header, rows, "mapping", [30, 70])]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("mapping-table", MappingTable)
    return {"version": "1", "parallel_read_safe": False}
