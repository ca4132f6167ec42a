# SPDX-License-Identifier: Apache-2.0
"""JUnit XML, as continuous integration reads it: one suite for each level."""

import json
from xml.etree import ElementTree as ET

from vcompute.conformance.case import Level, Outcome
from vcompute.conformance.runner import Summary


def junit(summary: Summary) -> str:
    """The document."""
    root = ET.Element("testsuites", name="vcompute conformance", tests=str(len(summary.verdicts)))
    root.set("failures", str(summary.count(Outcome.FAILED)))
    root.set("skipped", str(summary.count(Outcome.SKIPPED)))
    for level in Level:
        verdicts = [verdict for verdict in summary.verdicts if verdict.case.level is level]
        suite = ET.SubElement(root, "testsuite", name=level.name, tests=str(len(verdicts)))
        suite.set("failures", str(summary.count(Outcome.FAILED, level)))
        suite.set("skipped", str(summary.count(Outcome.SKIPPED, level)))
        for verdict in verdicts:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=f"conformance.{level.name}",
                name=verdict.case.id,
                time=f"{verdict.seconds:.6f}",
            )
            if verdict.outcome is Outcome.SKIPPED:
                ET.SubElement(case, "skipped", message=verdict.message)
            elif verdict.outcome is Outcome.FAILED:
                failure = ET.SubElement(case, "failure", message=verdict.message)
                failure.text = (
                    f"requirements: {', '.join(verdict.case.requirements)}\n"
                    f"expected: {json.dumps(verdict.expected)}\ngot: {json.dumps(verdict.got)}\n"
                )
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
