# SPDX-License-Identifier: Apache-2.0
"""One static page without scripts or outside references: a matrix, then each failure with what is needed to mend it."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from vcompute.conformance.case import Level, Outcome, Verdict
from vcompute.conformance.report.annotate import annotate, first_difference, rows_around
from vcompute.conformance.report.exchange import exchanges
from vcompute.conformance.runner import Summary
from vcompute.conformance.vectors import requirement_texts
from vcompute.conformance.wire import to_bytes
from vcompute.errors import UsageError

STYLE: Final = """
:root { color-scheme: light dark; --pass: #1a7f37; --fail: #c62828; --skip: #8a8a8a; --line: #8884; --mark: #ffd54f88; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: 0.2rem 0.6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
td.passed { color: var(--pass); }
td.failed { color: var(--fail); font-weight: bold; } td.skipped { color: var(--skip); }
td.zero { color: var(--skip); font-weight: normal; }
td.dots { line-height: 1; text-align: left; word-break: break-all; min-width: 12rem; }
th:last-child { text-align: left; }
.dots a, .dots span { display: inline-block; width: 0.7rem; height: 0.7rem; margin: 1px; border-radius: 2px; }
.passed-dot { background: var(--pass); } .failed-dot { background: var(--fail); }
.skipped-dot { background: var(--skip); }
section.failure { border-left: 3px solid var(--fail); padding: 0 1rem; margin: 1.5rem 0; }
pre { overflow-x: auto; padding: 0.6rem; background: #8881; font-size: 13px; }
.wrong { background: var(--mark); }
blockquote { margin: 0.5rem 0; padding-left: 1rem; border-left: 3px solid var(--line); }
code { overflow-wrap: anywhere; }
summary { cursor: pointer; }
.sides { display: flex; flex-wrap: wrap; gap: 0 1rem; } .sides > div { flex: 1 1 20rem; min-width: 0; }
"""
SHOWN_JSON: Final = 4000


def page(summary: Summary) -> str:
    """The page."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Conformance of {escape(summary.testee)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Conformance of {escape(summary.testee)}</h1>",
        f"<p>{summary.count(Outcome.PASSED)} passed, {summary.count(Outcome.FAILED)} failed, "
        f"{summary.count(Outcome.SKIPPED)} skipped in {summary.seconds:.1f} s.</p>",
        *_levels(summary),
        *_groups(summary),
        *_failures(summary),
        *_skips(summary),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _cell(outcome: Outcome, count: int) -> str:
    return f"<td class='{outcome.value if count else 'zero'}'>{count}</td>"


def _levels(summary: Summary) -> Iterator[str]:
    yield "<h2>Levels</h2><div class='scroll'><table><tr><th>Level</th>"
    yield "".join(f"<th>{outcome.value}</th>" for outcome in Outcome) + "</tr>"
    for level in Level:
        yield f"<tr><td>{level.name}</td>" + "".join(_cell(o, summary.count(o, level)) for o in Outcome) + "</tr>"
    yield "</table></div>"


def _groups(summary: Summary) -> Iterator[str]:
    groups: dict[tuple[Level, str], list[Verdict]] = defaultdict(list)
    for verdict in summary.verdicts:
        groups[verdict.case.level, verdict.case.id.split("/")[0]].append(verdict)
    yield "<h2>Matrix</h2><p>One square a case; a red one leads to its failure.</p><div class='scroll'><table>"
    yield "<tr><th>Group</th><th>Level</th>" + "".join(f"<th>{o.value}</th>" for o in Outcome) + "<th>cases</th></tr>"
    for (level, name), verdicts in sorted(groups.items()):
        counts = "".join(_cell(o, sum(v.outcome is o for v in verdicts)) for o in Outcome)
        dots = "".join(_dot(verdict) for verdict in verdicts)
        yield f"<tr><td>{escape(name)}</td><td>{level.name}</td>{counts}<td class='dots'>{dots}</td></tr>"
    yield "</table></div>"


def _dot(verdict: Verdict) -> str:
    name = escape(verdict.case.id, quote=True)
    if verdict.outcome is Outcome.FAILED:
        return f"<a class='failed-dot' title='{name}' href='#{name}'></a>"
    return f"<span class='{verdict.outcome.value}-dot' title='{name}'></span>"


def _failures(summary: Summary) -> Iterator[str]:
    failures = [verdict for verdict in summary.verdicts if verdict.outcome is Outcome.FAILED]
    if not failures:
        return
    texts = requirement_texts()
    yield "<h2>Failures</h2>"
    for verdict in failures:
        case = verdict.case
        yield f"<section class='failure' id='{escape(case.id, quote=True)}'><h3><code>{escape(case.id)}</code></h3>"
        yield f"<p>{escape(verdict.message)}</p>"
        if case.text:
            yield f"<p>{escape(case.text)}</p>"
        for name in case.requirements:
            yield f"<blockquote><b>{escape(name)}</b> {_marked_up(texts.get(name, ''))}</blockquote>"
        if case.op:
            yield f"<p>Operation <code>{escape(case.op)}</code></p>"
        for key, value in case.input.items():
            yield from _input(key, value)
        yield from _difference(verdict)
        yield from exchanges(verdict.exchanges)
        yield "</section>"


def _marked_up(text: str) -> str:
    """A requirement's text with its code marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _input(key: str, value: Any) -> Iterator[str]:
    data = _as_bytes(value) if key in ("bytes", "chunk", "proof", "message") else None
    if data is None:
        yield f"<p>{escape(key)}</p><pre>{escape(_short(value))}</pre>"
        return
    yield f"<p>{escape(key)}, {len(data)} bytes</p><pre>"
    for line in annotate(data):
        mark = " class='wrong'" if line.wrong else ""
        shown = line.data[:12].hex(" ") + (" ..." if len(line.data) > 12 else "")
        yield f"<span{mark}>{line.offset:5d}  {'  ' * line.depth}{shown}  <i>{escape(line.text)}</i></span>"
    yield "</pre>"


def _difference(verdict: Verdict) -> Iterator[str]:
    expected, got = _leaves(verdict.expected), _leaves(verdict.got)
    yield f"<div class='sides'><div><p>expected</p><pre>{escape(_short(verdict.expected))}</pre></div>"
    yield f"<div><p>got</p><pre>{escape(_short(verdict.got))}</pre></div></div>"
    for path, left in expected.items():
        right = got.get(path)
        a, b = _as_bytes(left), _as_bytes(right)
        if left == right or a is None or b is None or len(a) < 8:
            continue
        offset = first_difference(a, b) or 0
        yield f"<p>{escape(path)}: first difference at byte {offset}; {len(a)} bytes expected, {len(b)} got</p><pre>"
        for name, data in (("expected", a), ("got", b)):
            for start, row in rows_around(data, offset):
                yield f"{name:>8} {start:6d}  {_marked(row, offset - start)}"
        yield "</pre>"


def _marked(row: bytes, offset: int) -> str:
    cells = [f"{byte:02x}" for byte in row]
    if 0 <= offset < len(cells):
        cells[offset] = f"<span class='wrong'>{cells[offset]}</span>"
    return " ".join(cells)


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= _leaves(item, f"{path}.{key}" if path else str(key))
        return found
    return {path: value}


def _as_bytes(value: Any) -> bytes | None:
    try:
        return to_bytes(value)
    except UsageError:
        return None


def _short(value: Any) -> str:
    line = json.dumps(value)
    text = line if len(line) <= 60 else json.dumps(value, indent=1)
    return text if len(text) <= SHOWN_JSON else f"{text[:SHOWN_JSON]} ... ({len(text)} characters)"


def _skips(summary: Summary) -> Iterator[str]:
    skips: dict[str, int] = defaultdict(int)
    for verdict in summary.verdicts:
        if verdict.outcome is Outcome.SKIPPED:
            skips[verdict.message] += 1
    if skips:
        yield "<h2>Skipped</h2><ul>"
        yield from (f"<li>{count} cases: {escape(message)}</li>" for message, count in sorted(skips.items()))
        yield "</ul>"
