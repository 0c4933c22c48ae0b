"""The authorisation matrix of what others may see: every route of templates, every role, by whom and how the template is seen.

seen        shared, public                                   to be deployed, shown, recalled and hidden; never to be changed
not seen    private, expired, unshared, hidden by a limit,   answers as what does not exist, in status, body and headers
            in the trash, of a suspended account
"""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any, Final

import pytest
from starlette import testclient
from tests.unit.api import test_access as matrix

from estampe.api import access_table, gate, peer
from estampe.model import account, listing, visibility

world = matrix.world
_ROLES: Final = ("viewer", "operator", "owner", "cloud operator")
_NAMING: Final = sorted(
    name
    for name, (_method, path, _route) in matrix._ROUTES.items()
    if path.startswith("/v1/templates/{reference}") or name in {"plan_deployment", "start_deployment"}
)
# What whoever sees a template may do; all else is its owner's.
_USES: Final = {
    "get_template", "get_inventory", "compare_templates", "list_servers_of_template", "plan_deployment", "start_deployment", "hide_template", "unhide_template",
}  # fmt: skip
_SEEN: Final = ("shared", "public", "shared and public")
_UNSEEN: Final = ("private", "expired", "unshared", "trashed", "limited", "suspended")


@pytest.fixture(scope="module")
def seen(world: matrix.World) -> dict[str, str]:
    """A template of globex' or of initech's for each way."""
    services = world.services
    made = {way: world._template(world.globex, f"v-{way.replace(' ', '-')}") for way in (*_SEEN, *_UNSEEN)}
    for way in ("shared", "shared and public", "unshared", "trashed"):
        world.share(world.globex, made[way], "acme")
    world.share(world.globex, made["expired"], "acme", expires_at=world.site.today + datetime.timedelta(hours=1))
    world.site.today += datetime.timedelta(hours=1)
    services.sharing.unshare(world.owner(world.globex), made["unshared"], "acme")
    services.life.delete(world.globex.id, made["trashed"], by="x")
    operator = dataclasses.replace(world.owner(world.globex), is_cloud_operator=True)
    for way in ("public", "shared and public"):
        services.sharing.publish(operator, made[way], visibility.Terms(), is_unsealed_accepted=True)
    for way in ("limited", "suspended"):
        of = services.accounts.create(f"account-{way}")
        made[way] = world.share(of, world._template(of, f"w-{way}"), "acme")
    services.accounts.suspend(services.accounts.resolve("account-suspended").id)
    services.sharing.limit_publishers(world.acme.id, is_limited=True, publishers=["globex", "account-suspended"])
    return made


def _things(world: matrix.World, template: str) -> matrix.Things:
    return world.foreign.but(template=template)


@pytest.mark.parametrize("role", _ROLES)
@pytest.mark.parametrize("way", _SEEN)
@pytest.mark.parametrize("name", _NAMING)
def test_who_sees_a_template_may_use_it_and_change_nothing(
    world: matrix.World, seen: dict[str, str], name: str, way: str, role: str
) -> None:
    answer = world.ask(role, name, _things(world, seen[way]))
    refused = matrix._gate_answer(name, role)
    code = answer.json()["code"] if answer.status_code >= 400 else None
    if refused is not None:
        assert (answer.status_code, code) == refused
    elif name in _USES:
        assert answer.status_code < 400, answer.text
    else:
        assert (answer.status_code, code) == (403, "template-not-owned")


@pytest.mark.parametrize("role", _ROLES)
@pytest.mark.parametrize("way", _UNSEEN)
@pytest.mark.parametrize("name", _NAMING)
def test_what_is_not_seen_answers_as_what_is_missing(
    world: matrix.World, seen: dict[str, str], name: str, way: str, role: str
) -> None:
    unseen, missing = seen[way], str(uuid.uuid4())
    answers = [world.ask(role, name, _things(world, template)) for template in (unseen, missing)]
    refused = matrix._gate_answer(name, role)
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (refused or (404, "template-not-found"))
    assert answers[0].text.replace(unseen, "") == answers[1].text.replace(missing, "")
    assert answers[0].headers == answers[1].headers


@pytest.mark.parametrize("way", _UNSEEN)
def test_a_comparison_with_what_is_not_seen_answers_as_one_with_what_is_missing(
    world: matrix.World, seen: dict[str, str], way: str
) -> None:
    unseen, missing = seen[way], str(uuid.uuid4())
    own = _things(world, world._template(world.acme, f"own-{way}"))
    answers = [world.ask("owner", "compare_templates", own, query={"to": to}) for to in (unseen, missing)]
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(404, "template-not-found")] * 2
    assert answers[0].text.replace(unseen, "") == answers[1].text.replace(missing, "")


@pytest.mark.parametrize("role", _ROLES)
@pytest.mark.parametrize("way", _UNSEEN)
def test_a_name_that_is_not_seen_answers_as_one_that_is_missing(
    world: matrix.World, seen: dict[str, str], way: str, role: str
) -> None:
    whose = f"account-{way}" if way in {"limited", "suspended"} else "globex"
    name = f"w-{way}-x"[:-2] if way in {"limited", "suspended"} else f"v-{way}"
    answers = []
    for reference in (f"{whose}%2F{name}@1", f"{whose}%2F{name[::-1]}@1", f"{whose[::-1]}%2F{name}@1"):
        answer = world.ask(role, "get_template", _things(world, reference))
        assert answer.status_code == 404
        answers.append(answer.text.replace(reference.replace("%2F", "/"), ""))
    assert len(set(answers)) == 1


@pytest.mark.parametrize("way", _SEEN)
def test_a_name_with_its_publisher_is_one_segment_of_a_path(
    world: matrix.World, seen: dict[str, str], way: str
) -> None:
    name = f"v-{way.replace(' ', '-')}"
    shown = world.ask("viewer", "get_template", _things(world, f"globex%2F{name}@1")).json()["template"]
    assert (shown["id"], shown["publisher"], shown["note"] in {"seen", ""}) == (seen[way], "globex", True)
    recalled = world.ask("viewer", "list_servers_of_template", _things(world, f"globex%2f{name}"))
    assert recalled.status_code == 200
    assert recalled.json()["elsewhere"] == []


def test_a_template_that_is_called_like_a_route_is_no_route(world: matrix.World) -> None:
    template = world._template(world.globex, "servers")
    world.share(world.globex, template, "acme")
    shown = world.ask("viewer", "get_template", _things(world, "globex%2Fservers"))
    assert shown.json()["template"]["id"] == template


def test_what_others_are_told_in_json_names_nothing_of_the_owners(world: matrix.World, seen: dict[str, str]) -> None:
    own = world.services.templates.get(world.globex.id, seen["shared"])
    shown = world.ask("viewer", "get_template", _things(world, seen["shared"]))
    assert "etag" not in shown.headers
    text = shown.text.replace("globex", "")
    for secret in (str(own.template.server_id), "v-shared-volume", own.manifest.configuration.domain_uuid):
        assert secret not in text
    template = shown.json()["template"]
    assert (template["server_name"], template["tags"], template["new_bytes"], template["revision"]) == ("", [], None, 0)


@pytest.mark.parametrize("scope", list(visibility.Scope))
def test_lists_hold_what_is_seen_and_nothing_else(
    world: matrix.World, seen: dict[str, str], scope: visibility.Scope
) -> None:
    expected = {
        visibility.Scope.MINE: set(),
        visibility.Scope.SHARED: {seen["shared"], seen["shared and public"]},
        visibility.Scope.PUBLIC: {seen["public"], seen["shared and public"]},
    }[scope]
    for is_hidden in (True, False):  # what an earlier test has hidden is there as well
        listed = world.ask(
            "viewer",
            "list_templates",
            world.foreign,
            query={"scope": scope.value, "is_hidden": is_hidden, "limit": 500},
        )
        found = {each["id"] for each in listed.json()["templates"]} & set(seen.values())
        assert found <= expected
        expected = expected - found
    assert expected == set()


# --- the audit log --------------------------------------------------------------------------------------------------------


def test_giving_and_taking_are_in_the_audit_log_with_what_and_with_whom(world: matrix.World) -> None:
    template = world._template(world.acme, "audited")
    with testclient.TestClient(peer.come_from(world.api, 0)) as http:
        headers = {gate.ACCOUNT_HEADER: "acme"}
        body: Any = {"expires_at": "2127-01-01T00:00:00Z", "right": "deploy-and-export"}
        assert http.put("/v1/templates/audited/shares/globex", json=body, headers=headers).status_code == 200
        assert http.delete("/v1/templates/audited/shares/globex", headers=headers).status_code == 204
        public = {"is_unsealed_accepted": True}
        assert http.post(f"/v1/templates/{template}/publish", json=public, headers=headers).status_code == 200
        allowed = http.put("/v1/accounts/globex/publishing", json={"may_publish": True})
        assert allowed.json()["may_publish"]
    entries = world.services.audit.list(listing.AuditQuery(account_id=world.acme.id, limit=3)).items
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("publish_template", f"{template}: deploy, unsealed"),
        ("unshare_template", "audited with globex"),
        ("share_template", "audited with globex: deploy-and-export until 2127-01-01T00:00:00+00:00"),
    ]
    told = world.services.audit.list(listing.AuditQuery(account_id=world.globex.id, limit=1)).items
    assert [(entry.action, entry.subject) for entry in told] == [("allow_publishing", "globex may publish")]


def test_what_gives_away_takes_an_owner() -> None:
    giving = {"share_template", "unshare_template", "publish_template", "unpublish_template", "limit_publishers"}
    assert {access_table.RULES[name].least for name in giving} == {account.Role.OWNER}
    assert access_table.RULES["allow_publishing"].is_operator_only
