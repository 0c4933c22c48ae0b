"""The TPM of new servers: a fresh one, or one with the keys that the capture took; and the choice said."""

import dataclasses
import types

import pytest
from site_under_test import CLEAN, OWNER

from estampe import errors
from estampe.deploy import request as requests
from estampe.deploy import vtpm
from estampe.model import configuration, final, manifest
from estampe.store import chunks as store_chunks
from estampe.store import manifests
from estampe.virt import fake

KEYS = manifest.Vtpm(version="2.0", state=manifest.Blob(size_bytes=1, chunk_ids=("00" * 32,)))
STATE = b"what only this TPM knows" * 100


def template(*left_out, keys=None):
    found = tuple(configuration.LeftOut(what=what, why="its secrets belong to this one server") for what in left_out)
    return types.SimpleNamespace(configuration=types.SimpleNamespace(left_out=found), vtpm=keys)


def request(choice=None, **asked):
    return requests.DeployRequest(template="web", name="web-02", vtpm=choice, **asked)


def check(asked, found, *, is_own=True, capabilities=fake.CAPABILITIES):
    vtpm.check(asked, found, "web@1", capabilities=capabilities, is_own=is_own)


@pytest.mark.parametrize(
    ("found", "is_own", "why"),
    [
        (template("TPM (emulator)"), True, "were not captured"),
        (template(keys=KEYS), True, "were not asked for"),
        (template(keys=KEYS), False, "not for other accounts"),
    ],
)
def test_a_tpm_is_fresh_and_where_nobody_chose_it_is_said_what_is_left(found, is_own, why):
    check(request(), found, is_own=is_own)
    [change] = vtpm.told(request(), found, is_own=is_own)
    assert (change.outcome, change.detail) == (final.Outcome.LEFT, "a fresh, empty one")
    assert why in change.why


@pytest.mark.parametrize("found", [template("TPM (emulator)"), template(keys=KEYS)])
def test_a_fresh_one_that_was_chosen_is_nothing_left(found):
    check(request("fresh"), found)
    [change] = vtpm.told(request("fresh"), found, is_own=True)
    assert (change.outcome, change.why, change.detail) == (final.Outcome.DONE, None, "a fresh, empty one")


def test_keys_that_were_captured_are_kept_when_that_is_chosen():
    check(request("keep"), template(keys=KEYS))
    [change] = vtpm.told(request("keep"), template(keys=KEYS), is_own=True)
    assert (change.outcome, change.why) == (final.Outcome.DONE, None)
    assert "with its keys" in change.detail


@pytest.mark.parametrize("found", [template(), template("CD-ROM sda"), template("TPM (passthrough)")])
def test_nothing_is_told_where_there_is_none(found):
    check(request(), found)
    assert vtpm.told(request(), found, is_own=True) == ()


@pytest.mark.parametrize(
    ("found", "asked", "is_own", "why"),
    [
        (template(), request("fresh"), True, "web@1 has no TPM"),
        (template("CD-ROM sda"), request("keep"), True, "web@1 has no TPM"),
        (template("TPM (passthrough)"), request("fresh"), True, "a host's own"),
        (template("TPM (emulator)"), request("keep"), True, "were not captured.*fresh is what web@1"),
        (template(keys=KEYS), request("keep"), False, "of the account alone"),
        (template(keys=KEYS), request("keep", count=2), True, "2 servers with one TPM would be one machine"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_reason(found, asked, is_own, why):
    with pytest.raises(errors.InvalidRequest, match=why) as raised:
        check(asked, found, is_own=is_own)
    assert raised.value.facts["field"] == "vtpm"


def test_a_host_that_emulates_no_tpm_cannot_keep_one():
    with pytest.raises(errors.HostLacks, match="swtpm"):
        check(
            request("keep"),
            template(keys=KEYS),
            capabilities=dataclasses.replace(fake.CAPABILITIES, has_tpm_emulator=False),
        )


# --- from capture to server ---


def add_tpm(site, *, backend='<backend type="emulator" version="2.0"/>', state=STATE):
    """Give the server web a TPM, which has been started with; the server's UUID."""
    uuid = site.add_server()
    xml = site.host.get_domain(uuid).configuration.domain_xml
    site.host.define(xml.replace("</devices>", f'<tpm model="tpm-crb">{backend}</tpm></devices>'))
    if state is not None:
        site.host.write_tpm_state(uuid, "2.0", state)
    return uuid


def captured(site):
    (template_id,) = site.store.list_manifests()
    return manifests.get(site.store, template_id)


def test_keys_go_from_the_server_into_the_template_and_to_the_server_that_is_to_keep_them(site):
    source = add_tpm(site)
    site.succeed(site.capture(is_vtpm_kept=True))
    found = captured(site)
    assert store_chunks.get_blob(store_chunks.Chunks(site.store), found.vtpm.state) == STATE
    assert set(map(bytes.fromhex, found.vtpm.state.chunk_ids)) <= set(found.chunk_ids())
    assert configuration.EMULATED_TPM not in {each.what for each in found.configuration.left_out}
    assert site.services.templates.get(OWNER, "web").manifest.has_vtpm
    site.succeed(site.deploy(vtpm="keep"))
    new = site.host.get_domain("new")
    assert new.summary.uuid != source
    assert site.host.read_tpm_state(new.summary.uuid, "2.0") == STATE
    assert site.host.read_tpm_state(source, "2.0") == STATE
    assert site.leftovers() == CLEAN


def test_a_new_server_has_none_of_the_keys_where_nobody_asked(site):
    add_tpm(site)
    site.succeed(site.capture(is_vtpm_kept=True))
    site.succeed(site.deploy())
    assert site.host.read_tpm_state(site.host.find_domain("new").uuid, "2.0") not in {None, STATE}


def test_a_capture_takes_no_keys_by_itself(site):
    add_tpm(site)
    site.succeed(site.capture())
    assert captured(site).vtpm is None
    assert configuration.EMULATED_TPM in {each.what for each in captured(site).configuration.left_out}


@pytest.mark.parametrize("step", ["define", "start"])
def test_a_deploy_that_fails_leaves_no_keys_behind(site, step):
    add_tpm(site)
    site.succeed(site.capture(is_vtpm_kept=True))
    site.host.fail_next(step, errors.HypervisorFailed(action=step, detail="no"))
    started = site.deploy(vtpm="keep")
    site.run()
    assert site.outcome(started).error["code"] == "hypervisor-failed"
    written = [uuid for call, uuid in site.host.calls if call == "write_tpm_state"]
    assert len(written) == 2  # the test's own for the source, and the deploy's
    assert site.host.read_tpm_state(written[1], "2.0") is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"backend": '<backend type="passthrough"/>'}, "not emulated by libvirt"),
        ({"backend": '<backend type="emulator"><encryption secret="x"/></backend>'}, "encrypted with a secret"),
        ({"backend": '<backend type="emulator"><source type="dir" path="/x"/></backend>'}, "lies elsewhere"),
        ({"backend": '<backend type="emulator" version="3.0"/>'}, "version 3.0"),
        ({"state": None}, "never started"),
    ],
)
def test_keys_that_cannot_be_taken_are_refused_before_anything_is_done(site, given, why):
    add_tpm(site, **given)
    with pytest.raises(errors.InvalidRequest, match=why) as raised:
        site.capture(is_vtpm_kept=True)
    assert raised.value.facts["field"] == "is_vtpm_kept"


def test_a_server_without_a_tpm_has_no_keys_to_keep(site):
    site.add_server()
    with pytest.raises(errors.InvalidRequest, match="has no TPM"):
        site.capture(is_vtpm_kept=True)


def test_a_tpm_that_was_emptied_meanwhile_ends_the_capture(site):
    server = add_tpm(site)
    started = site.capture(is_vtpm_kept=True)
    site.kill_at("copy", "begin")
    assert site.engine.run_pending() is False
    site.host.delete_tpm_state(server)
    site.restart()
    site.run()
    assert site.outcome(started).error["code"] == "server-changed"
