"""The API against its own description, with whatever schemathesis thinks of: every answer is as documented.

Streams of events are left out: they have no end while the operation has none.
"""

from __future__ import annotations

import hypothesis
import schemathesis
from schemathesis.specs.openapi import checks
from tests.unit.api import fakes

from estampe.api import app, peer

# What a shape cannot say is refused too: cursors, addresses, names of one line, `null` sent as a header's text.
_IS_ACCEPTED = checks.positive_data_acceptance
_WORLD = fakes.World()
_WORLD.begin(fakes.operation.Kind.CAPTURE, "web-01")
_API = peer.come_from(app.create(_WORLD.services(), wait_slice_seconds=0.01), 0)
_DESCRIBED = schemathesis.openapi.from_asgi("/v1/openapi.json", _API).exclude(path_regex="/events$")


@_DESCRIBED.parametrize()
@hypothesis.settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_every_answer_is_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate(excluded_checks=[_IS_ACCEPTED])
