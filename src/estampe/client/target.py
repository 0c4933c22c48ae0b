"""Which daemon is meant, as whom, and for which account: options, environment, the chosen context, defaults - in this order.

Contexts are kept in `config.toml` below ~/.config/estampe (or $XDG_CONFIG_HOME/estampe), readable by its owner only, since it
holds keys:

    current = "acme"

    [contexts.acme]
    socket = "/run/estampe/estampe.sock"
    account = "acme"
    key = "est_..."
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from estampe import errors

SOCKET_VARIABLE: Final = "ESTAMPE_SOCKET"
ACCOUNT_VARIABLE: Final = "ESTAMPE_ACCOUNT"
KEY_VARIABLE: Final = "ESTAMPE_KEY"
CONTEXT_VARIABLE: Final = "ESTAMPE_CONTEXT"
DEFAULT_SOCKET: Final = Path("/run/estampe/estampe.sock")
DEFAULT_CONTEXT: Final = "default"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where to go, and as whom; what is None is the default's."""

    socket: str | None = None
    account: str | None = None
    key: str | None = field(default=None, repr=False)
    user: str | None = None  # who signed in, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """The file's content."""

    current: str = DEFAULT_CONTEXT
    by_name: Mapping[str, Context] = field(default_factory=dict)

    def get(self, name: str, file: Path) -> Context:
        """Raises: errors.ContextNotFound."""
        if name == DEFAULT_CONTEXT:
            return self.by_name.get(name, Context())
        if name not in self.by_name:
            raise errors.ContextNotFound(context=name, file=str(file))
        return self.by_name[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A daemon, a key (None: the socket's own rights), and an account (None: the key's own, or the default one)."""

    socket: Path
    account: str | None = None
    key: str | None = field(default=None, repr=False)


_chosen: contextvars.ContextVar[Context] = contextvars.ContextVar("estampe.chosen", default=Context())  # noqa: B039 - frozen
_chosen_name: contextvars.ContextVar[str | None] = contextvars.ContextVar("estampe.context", default=None)


@contextlib.contextmanager
def using(*, account: str | None = None, context: str | None = None) -> Iterator[None]:
    """What was said on the command line wins over everything, while this lasts."""
    account_token, name_token = _chosen.set(Context(account=account)), _chosen_name.set(context)
    try:
        yield
    finally:
        _chosen.reset(account_token)
        _chosen_name.reset(name_token)


def current() -> Target:
    """The target of a command. Raises: errors.ContextNotFound, errors.InvalidSetting (the file)."""
    _name, context = current_context()
    environ = os.environ
    return Target(
        socket=Path(environ.get(SOCKET_VARIABLE) or context.socket or DEFAULT_SOCKET),
        account=_chosen.get().account or environ.get(ACCOUNT_VARIABLE) or context.account,
        key=environ.get(KEY_VARIABLE) or context.key,
    )


def current_context() -> tuple[str, Context]:
    """The context's name and content. Raises: errors.ContextNotFound, errors.InvalidSetting."""
    contexts = load()
    name = _chosen_name.get() or os.environ.get(CONTEXT_VARIABLE) or contexts.current
    return name, contexts.get(name, path())


def path() -> Path:
    """Where contexts are kept."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "estampe" / "config.toml"


def load() -> Contexts:
    """All contexts; none where there is no file, or it is another user's (sudo keeps HOME). Raises: errors.InvalidSetting."""
    file = path()
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = tomllib.load(stream)
    except (FileNotFoundError, PermissionError):
        return Contexts()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidSetting(setting=str(file), problem=str(error)) from error
    contexts = _parse(content, file)
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and any(each.key for each in contexts.by_name.values()):
        raise errors.InvalidSetting(setting=str(file), problem="holds keys, and others may open it: chmod 600 it")
    return contexts


def use(name: str) -> None:
    """Make a context the current one. Raises: errors.ContextNotFound, errors.InvalidSetting."""
    contexts = load()
    contexts.get(name, path())
    _save(replace(contexts, current=name))


def keep(name: str, context: Context) -> None:
    """Keep a context and make it the current one. Raises: errors.InvalidName, errors.InvalidSetting."""
    if not _NAME.fullmatch(name):
        rule = "1 to 63 of letters, digits, '.', '_' and '-', beginning with a letter or digit"
        raise errors.InvalidName(name=name, what="context", rule=rule)
    _save(Contexts(current=name, by_name={**load().by_name, name: context}))


def forget_key(name: str) -> None:
    """The context stays, its key goes. Raises: errors.InvalidSetting."""
    contexts = load()
    if name in contexts.by_name:
        changed = replace(contexts.by_name[name], key=None, user=None)
        _save(replace(contexts, by_name={**contexts.by_name, name: changed}))


def _parse(content: dict[str, Any], file: Path) -> Contexts:
    known = set(Context.__dataclass_fields__)
    by_name = {}
    contexts = content.get("contexts", {})
    if not isinstance(contexts, dict):
        raise errors.InvalidSetting(setting=str(file), problem="contexts must be tables, as [contexts.acme]")
    for name, told in contexts.items():
        if (
            not isinstance(told, dict)
            or set(told) - known
            or not all(isinstance(value, str) for value in told.values())
        ):
            problem = f"context {name!r} may only hold texts named {', '.join(sorted(known))}"
            raise errors.InvalidSetting(setting=str(file), problem=problem)
        by_name[name] = Context(**told)
    return Contexts(current=str(content.get("current", DEFAULT_CONTEXT)), by_name=by_name)


def _save(contexts: Contexts) -> None:
    """By rename, and never readable by others: not even for a moment."""
    file = path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(dir=file.parent, prefix=".config-")  # 0600
        with os.fdopen(descriptor, "w") as stream:
            stream.write(_render(contexts))
        Path(fresh).replace(file)
    except OSError as error:
        raise errors.InvalidSetting(setting=str(file), problem=error.strerror or str(error)) from error


def _render(contexts: Contexts) -> str:
    """TOML; a basic string of TOML is one of JSON in ASCII."""
    lines = [f"current = {json.dumps(contexts.current)}"]
    for name, context in contexts.by_name.items():
        lines += ["", f"[contexts.{json.dumps(name)}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in asdict(context).items() if value is not None]
    return "\n".join(lines) + "\n"
