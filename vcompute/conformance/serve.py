# SPDX-License-Identifier: Apache-2.0
"""Answer the testee protocol on a pair of streams: what ``vcompute testee`` does."""

import json
from collections.abc import Callable, Mapping
from typing import IO, Any

from vcompute.conformance.testee import LocalTestee
from vcompute.errors import UsageError

Operation = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def serve(operations: Mapping[str, Operation], lines: IO[str], answers: IO[str]) -> None:
    """Answer request after request until the input ends. A line that is no request ends the service with an error.

    Raises:
        UsageError: a line is not a request.
    """
    testee = LocalTestee(operations)
    for line in lines:
        try:
            request = json.loads(line)
            number, op, content = request["id"], request["op"], request["in"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError('a request is {"id", "op", "in"} on one line', got=line[:200]) from error
        answer = testee.ask(op, content)
        document: dict[str, Any] = {"id": number, **answer.as_json()}
        if answer.error is not None:
            document["error"] = {"code": answer.error, "message": answer.message}
        answers.write(json.dumps(document, separators=(",", ":")) + "\n")
        answers.flush()
