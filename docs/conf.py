# SPDX-License-Identifier: Apache-2.0
"""The book: chapters of the specification, guides, API reference. Built by ``make docs``, warnings are errors."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "docs" / "_extensions"), str(ROOT / "tools")]

import docs_api  # noqa: E402
import docs_mathjax  # noqa: E402

project = "vcompute"
author = "The vcompute developers"
copyright = author
release = version = metadata.version("vcompute")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.graphviz",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "book_proofs",
    "book_requirements",
    "book_tables",
]
# The source directory is the repository's root, so that links between chapters, guides and code are the same
# here and in a checkout.
root_doc = "docs/index"
include_patterns = ["docs/**.md", "docs/**.rst", "spec/chapters/*.md"]
exclude_patterns = ["docs/_build", "docs/_extensions", ".*", "build", "native", "tests", "tools", "vcompute"]
suppress_warnings = [
    "misc.highlighting_failure",
    "ref.python",  # common names of fields, such as `bytes`, are targets too
]
nitpicky = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_mock_imports = ["py_arkworks_bls12381", "py_ecc"]  # optional backends
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "undoc-members": False, "ignore-module-all": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

bibtex_bibfiles = ["bibliography.bib"]
bibtex_default_style = "alpha"
graphviz_output_format = "svg"

html_theme = "furo"
html_title = f"vcompute {version}"
html_static_path = ["_static"]
html_extra_path = ["_root"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
mathjax_path = "mathjax/" + docs_mathjax.SCRIPT
copybutton_prompt_text = "$ "

linkcheck_timeout = 15
linkcheck_retries = 2
linkcheck_anchors = False


def _prepare(app: Any) -> None:
    """Fetch MathJax where it is missing and write the pages of the API reference."""
    if app.builder.format == "html":
        try:
            directory = docs_mathjax.ensure()
        except docs_mathjax.MathJaxMissing as error:
            from sphinx.errors import ExtensionError

            raise ExtensionError(str(error)) from error
        app.config.html_static_path.append(str(directory.parent))
    docs_api.write(ROOT / "docs" / "reference" / "api")


PLAIN = re.compile(r"(``.*?``|`[^`]+`(?:_|__)?|:\w+:`[^`]*`|\*\*[^*\s][^*]*\*\*|(?<!\w)\*[A-Za-z][^*]*\*(?!\w))")


def _plain_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Take the marks of reStructuredText in a docstring's prose for what they are there: stars, bars, underscores."""
    for index, line in enumerate(lines):
        parts = PLAIN.split(line)
        parts[::2] = [re.sub(r"(\*|\||(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
        lines[index] = "".join(parts)


def setup(app: Any) -> None:
    app.connect("builder-inited", _prepare, priority=100)
    app.connect("autodoc-process-docstring", _plain_docstring, priority=100)
