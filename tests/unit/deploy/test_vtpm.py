"""The TPM of new servers: fresh, and the choice said."""

import types

import pytest

from estampe import errors
from estampe.deploy import request as requests
from estampe.deploy import vtpm
from estampe.model import configuration, final


def template(*left_out):
    found = tuple(configuration.LeftOut(what=what, why="its secrets belong to this one server") for what in left_out)
    return types.SimpleNamespace(configuration=types.SimpleNamespace(left_out=found))


def request(choice=None):
    return requests.DeployRequest(template="web", name="web-02", vtpm=choice)


def test_a_tpm_is_fresh_and_where_nobody_chose_it_is_said_that_its_keys_cannot_be_kept():
    vtpm.check(request(), template("TPM (emulator)"), "web@1")
    [change] = vtpm.told(request(), template("TPM (emulator)"))
    assert (change.outcome, change.detail) == (final.Outcome.LEFT, "a fresh, empty one")
    assert "cannot be kept" in change.why


def test_a_fresh_one_that_was_chosen_is_nothing_left():
    vtpm.check(request("fresh"), template("TPM (emulator)"), "web@1")
    [change] = vtpm.told(request("fresh"), template("TPM (emulator)"))
    assert (change.outcome, change.why) == (final.Outcome.DONE, None)


@pytest.mark.parametrize("found", [template(), template("CD-ROM sda"), template("TPM (passthrough)")])
def test_nothing_is_told_where_there_is_none(found):
    vtpm.check(request(), found, "web@1")
    assert vtpm.told(request(), found) == ()


@pytest.mark.parametrize(
    ("found", "choice", "why"),
    [
        (template(), "fresh", "web@1 has no TPM"),
        (template("CD-ROM sda"), "keep", "web@1 has no TPM"),
        (template("TPM (passthrough)"), "fresh", "a host's own"),
        (template("TPM (emulator)"), "keep", "are not captured.*fresh is what web@1"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_reason(found, choice, why):
    with pytest.raises(errors.InvalidRequest, match=why) as raised:
        vtpm.check(request(choice), found, "web@1")
    assert raised.value.facts["field"] == "vtpm"
