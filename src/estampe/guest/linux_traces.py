"""What people and programs on a Linux guest left behind: logs, mail, histories."""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base, linux

# Directories of queues whose own tree must stay: a clone would send the source's mail once more.
_MAIL_QUEUES: Final = (
    "/var/spool/postfix/incoming", "/var/spool/postfix/active", "/var/spool/postfix/deferred", "/var/spool/postfix/hold",
    "/var/spool/postfix/maildrop", "/var/spool/postfix/bounce", "/var/spool/postfix/defer", "/var/spool/exim4/input",
    "/var/spool/exim4/msglog", "/var/spool/mqueue", "/var/spool/clientmqueue",
)  # fmt: skip

_ROTATED: Final = re.compile(r"\.(\d+|gz|bz2|xz|zst|old)$|-\d{8}$")


def empty_logs(appliance: base.Appliance) -> list[str]:
    """Old logs go; current ones are emptied and stay, as programs may not be allowed to make them again."""
    removed = emptied = 0
    for path in appliance.files("/var/log"):
        if _ROTATED.search(path):
            appliance.remove(path)
            removed += 1
        else:
            appliance.truncate(path)
            emptied += 1
    lines = [f"emptied the logs in /var/log ({emptied} files)"] if emptied else []
    return [*lines, f"removed old logs in /var/log ({removed} files)"] if removed else lines


def empty_mail_queues(appliance: base.Appliance) -> list[str]:
    """Mail that the source had not sent yet."""
    queued = [path for queue in _MAIL_QUEUES if appliance.is_dir(queue) for path in appliance.files(queue)]
    for path in queued:
        appliance.remove(path)
    return [f"removed queued mail: {linux.listed(queued)}"] if queued else []


_HISTORIES: Final = (
    ".bash_history", ".zsh_history", ".sh_history", ".ash_history", ".history", ".python_history", ".lesshst", ".viminfo",
    ".local/share/fish/fish_history", ".mysql_history", ".psql_history", ".sqlite_history", ".rediscli_history", ".node_repl_history", ".wget-hsts",
)  # fmt: skip


def remove_histories(appliance: base.Appliance) -> list[str]:
    """What people typed: it often holds passwords."""
    patterns = tuple(f"{home}/{name}" for home in homes(appliance) for name in _HISTORIES)
    return linux.Removal("command histories", patterns).strip(appliance) if patterns else []


def homes(appliance: base.Appliance) -> list[str]:
    """Home directories of root and of people, as /etc/passwd has them; those no pattern can hold are left out."""
    if not appliance.is_file("/etc/passwd"):
        return []
    fields = (line.split(":") for line in appliance.read("/etc/passwd").splitlines())
    accounts = (each for each in fields if len(each) >= 7 and each[2].isdigit())
    people = {each[5].rstrip("/") for each in accounts if each[2] == "0" or 1000 <= int(each[2]) < 65534}
    return sorted(home for home in people if re.fullmatch(r"(/[\w.@+-]+)+", home))
