"""Model objects as JSON-able records and back, for step outcomes and stored requests."""

from __future__ import annotations

from typing import Any, TypeVar

import pydantic

Kind = TypeVar("Kind")


_ADAPTERS: dict[Any, pydantic.TypeAdapter[Any]] = {}  # building one takes milliseconds, using it microseconds


def _adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = pydantic.TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(value: Any) -> Any:
    """The JSON-able record of a frozen dataclass of the model."""
    return _adapter(type(value)).dump_python(value, mode="json")


def load(kind: type[Kind], record: Any) -> Kind:
    """The object that `dump` recorded. Raises: pydantic.ValidationError where the record is not one."""
    loaded: Kind = _adapter(kind).validate_python(record)
    return loaded
