"""Each shape of the API's description has an example, and the example is one."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from tests.docs import generate

from estampe.api import examples
from estampe.schemas import problem, wire

_DESCRIBED = generate.openapi()["components"]["schemas"]


def _kinds(base: type[pydantic.BaseModel]) -> dict[str, type[pydantic.BaseModel]]:
    found: dict[str, type[pydantic.BaseModel]] = {}
    for kind in base.__subclasses__():
        found |= {kind.__name__: kind, **_kinds(kind)}
    return found


_KINDS = {**_kinds(wire.Request), **_kinds(wire.Answer), "Problem": problem.Problem}
_OBJECTS = [name for name, shape in _DESCRIBED.items() if "properties" in shape]


@pytest.mark.parametrize("name", _OBJECTS)
def test_an_example_is_of_its_shape(name: str) -> None:
    (example,) = _DESCRIBED[name]["examples"]
    _KINDS[name.rsplit("__", 1)[-1]].model_validate_json(pydantic.TypeAdapter(Any).dump_json(example))


def test_every_text_has_a_good_word() -> None:
    """A text without an example of its own is shown as its field's name, which tells nobody anything."""
    lacking = [
        f"{name}.{field}"
        for name in _OBJECTS
        for field, value in _DESCRIBED[name]["examples"][0].items()
        if value in (field, [field])
    ]
    assert lacking == []


def test_no_example_is_left_of_a_field_that_went() -> None:
    fields = {field for name in _OBJECTS for field in _DESCRIBED[name]["properties"]}
    paths = {f"{name}.{field}" for name in _OBJECTS for field in _DESCRIBED[name]["properties"]}
    assert set(examples.FIELDS) <= fields | paths
