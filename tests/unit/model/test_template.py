"""References and moves of templates."""

import uuid

import pytest

from estampe import errors
from estampe.model import template

State = template.State


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [("web", "web", None), ("web@latest", "web", None), ("web@3", "web", 3), ("latest", "latest", None)],
)
def test_a_reference_is_a_name_with_or_without_a_version(text, name, version):
    assert template.parse_reference(text) == template.Reference(None, name, version)


@pytest.mark.parametrize("text", ["web@", "web@Latest", "web@-1", "web@3x", "@latest", "Web", "web@latest@3", ""])
def test_what_can_name_nothing_is_not_found(text):
    with pytest.raises(errors.TemplateNotFound):
        template.parse_reference(text)


def test_an_id_is_a_reference():
    found = uuid.uuid4()
    assert template.parse_reference(str(found)) == template.Reference(found, None, None)


def test_every_state_has_its_moves_and_only_a_purge_has_no_way_back():
    assert set(template.MOVES) == set(State)
    assert [state for state, following in template.MOVES.items() if not following] == [State.DELETING]
    for state in template.COMPLETE:
        assert State.DELETING in template.MOVES[state]
    assert State.CAPTURING not in set().union(*template.MOVES.values())


@pytest.mark.parametrize(
    ("text", "publisher", "name", "version"),
    [
        ("acme/web", "acme", "web", None),
        ("acme/web@latest", "acme", "web", None),
        ("cloud/debian-12@4", "cloud", "debian-12", 4),
    ],
)
def test_a_reference_may_name_its_publisher(text, publisher, name, version):
    assert template.parse_reference(text) == template.Reference(None, name, version, publisher)


@pytest.mark.parametrize(
    "text", ["/web", "acme/", "acme//web", "a/b/web", "Acme/web", "acme /web", "acme.x/web", "acme@1/web", "-/web"]
)
def test_what_cannot_name_a_publisher_names_nothing(text):
    with pytest.raises(errors.TemplateNotFound):
        template.parse_reference(text)


def test_an_id_of_another_account_stands_alone():
    """Behind a publisher it is a name like any other."""
    found = uuid.uuid4()
    assert template.parse_reference(f"acme/{found}").id is None
