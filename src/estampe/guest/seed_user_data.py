"""A seed's user data: what the person gave, and what the rest of a wish adds to it as cloud-config."""

from __future__ import annotations

import email.mime.multipart
import email.mime.text
from typing import Any, Final

import yaml

from estampe.guest import seed_readers
from estampe.model import final

HEADER: Final = "#cloud-config\n"
# So that users and commands of both parts count: by default a later part's list would take the place of the earlier one's.
# https://docs.cloud-init.io/en/22.4/topics/merging.html
_MERGED: Final = "list(append)+dict(no_replace,recurse_list)+str()"
_BOUNDARY: Final = "estampe-user-data"  # fixed, so that equal wishes give equal seeds
_SUBTYPES: Final = (
    ("#cloud-config-archive", "cloud-config-archive"), ("#cloud-config", "cloud-config"), ("#!", "x-shellscript"),
    ("#include-once", "x-include-once-url"), ("#include", "x-include-url"), ("#cloud-boothook", "cloud-boothook"),
    ("#part-handler", "part-handler"), ("## template: jinja", "jinja2"), ("#ps1", "x-shellscript"), ("rem cmd", "x-shellscript"),
    ("<powershell>", "x-shellscript"), ("<script>", "x-shellscript"),
)  # fmt: skip


def added(wish: final.FinalConfiguration, reader: seed_readers.Reader) -> dict[str, Any]:
    """Cloud-config for what metadata has no place for: users, password, time zone, commands."""
    config: dict[str, Any] = {}
    if wish.users:
        config["users"] = ["default", *(reader.account(user) for user in wish.users)]
    if wish.password_hash and reader.is_vendor_data_read:
        config |= {"password": wish.password_hash, "chpasswd": {"expire": False}}
    if wish.timezone:
        config["timezone"] = wish.timezone
    if wish.commands:
        config["runcmd"] = list(wish.commands)
    return config


def document(wish: final.FinalConfiguration, reader: seed_readers.Reader) -> str | None:
    """The user data of the seed: as it was given where nothing is to be added. None where there is none."""
    config = added(wish, reader)
    if not config:
        return wish.user_data
    text = HEADER + yaml.safe_dump(config, sort_keys=False, default_flow_style=False)
    if wish.user_data is None:
        return text
    whole = email.mime.multipart.MIMEMultipart(boundary=_BOUNDARY)
    whole.attach(_part(wish.user_data))
    ours = _part(text)
    ours["X-Merge-Type"] = _MERGED
    whole.attach(ours)
    return whole.as_string()


def _part(text: str) -> email.mime.text.MIMEText:
    """One part; MIME within MIME is for the reader to take apart."""
    subtype = next((subtype for head, subtype in _SUBTYPES if text.startswith(head)), "plain")
    part = email.mime.text.MIMEText(text, subtype, "utf-8")
    del part["MIME-Version"]
    return part
