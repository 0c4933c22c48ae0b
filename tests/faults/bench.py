"""Operations driven through the lives of daemons, and judged when they have ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults import evidence, left, lives
from tests.faults import site as sites

Arm = tuple[str, str, str]


class Bench:
    """One site with the daemon that works in it now."""

    def __init__(self, daemons: lives.Lives, here: sites.Site) -> None:
        self._daemons, self.here = daemons, here
        self.life = daemons.begin(here.settings)
        self.before = left.files(here)
        self.last: dict[str, Any] = {}
        self.recovery_seconds = 0.0
        self._restarted_at = time.monotonic()

    def restart(self, *arms: Arm) -> None:
        """A new daemon in the same place. Raises: lives.Killed where an arm goes off at once."""
        self._restarted_at = time.monotonic()
        self.life = self._daemons.begin(self.here.settings, *arms)

    def run(self, do: str, **request: Any) -> dict[str, Any]:
        """The operation from its begin to its end, undisturbed."""
        return self.life.wait(self.life.ask(do, **request))

    def run_killed(self, arms: Sequence[Arm], do: str, **request: Any) -> dict[str, Any]:
        """Begin, die at what is armed, begin again, and see the operation's end."""
        for arm in arms:
            self.life.arm(*arm)
        with contextlib.suppress(lives.Killed):
            self.life.ask(do, **request)
        self.life.await_death()
        self.restart()
        return self.see_end()

    def see_end(self) -> dict[str, Any]:
        """The end of the newest operation, after a restart."""
        self.last = self.life.wait(self.life.ask("operations")[0]["id"])
        self.recovery_seconds = time.monotonic() - self._restarted_at
        return self.last

    def steps(self, operation_id: str) -> list[str]:
        """The steps of the operation that this life ran, in order."""
        seen = [step for of, step, event in self.life.ask("trace") if of == operation_id and event == "begin"]
        return list(dict.fromkeys(seen))

    @contextlib.contextmanager
    def case(self, kills: evidence.Evidence, operation: str, *places: str) -> Iterator[None]:
        """One operation killed at `places`: named in whatever fails in this block, told in `kills` when nothing did."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"case: {operation}, killed at {'; '.join(places)}")
            raise
        for place in places:
            kills.add(operation, place, self.last["state"], self.recovery_seconds)

    # --- what must hold -----------------------------------------------------------------------------------------------

    def nothing_is_left(self) -> None:
        """Files, domains, processes, locks and operations are as before the first operation."""
        left.nothing_runs(self.here)
        changed = left.changed(self.before, left.files(self.here))
        assert not changed, changed
        locks = self.life.ask("locks")
        assert not locks, locks
        # The row ends first, then the engine's record of it; one cancelled while queued waits there for its turn.
        assert sites.eventually(lambda: not self.life.ask("unfinished")), self.life.ask("unfinished")

    def template_is_whole(self, ended: dict[str, Any], source: sites.Server) -> str:
        """The capture succeeded, and its template holds what the server's volumes hold; its id."""
        assert ended["state"] == "succeeded", ended
        template_id: str = ended["result"]["template_id"]
        assert self.life.ask("templates")[template_id] == "active"
        assert left.template_contents(self.here, template_id) == source.contents, "the template's content"
        left.store_is_sound(self.here)
        return template_id

    def forget_template(self, template_id: str) -> None:
        self.life.ask("delete_template", template=template_id)
        self.store_sweeps_clean()

    def store_sweeps_clean(self) -> None:
        """Nothing in the store but what a sweep removes."""
        templates = self.life.ask("templates")
        assert not templates, templates
        swept = self.run("sweep", grace_seconds=0)
        assert swept["state"] == "succeeded", swept
        assert left.chunk_count(self.here) == 0, swept
        assert not list((self.here.store / "manifests").iterdir())

    def server_is_deployed(self, ended: dict[str, Any], name: str, source: sites.Server) -> None:
        """The deploy succeeded: defined, with volumes that hold what the template holds, its own NVRAM and seed."""
        assert ended["state"] == "succeeded", ended
        assert name in self.life.ask("servers")
        paths = [Path(line.split()[-1]) for line in sites.virsh("domblklist", name).splitlines() if line.strip()]
        volumes = [path for path in paths if path.parent == self.here.pool]
        assert tuple(sites.content(path) for path in volumes) == source.contents, "the volumes' content"
        assert {path.name for path in self.here.pool.iterdir()} == {path.name for path in volumes}, volumes
        made = left.files(self.here)
        assert len(made["seeds"]) == 1, made
        assert len(made["NVRAM files"]) == len(self.before["NVRAM files"]) + source.is_uefi, made
        assert not made["work directories"], made
        assert not made["sockets"], made

    def delete_server(self, name: str) -> None:
        self.life.ask("delete_server", server=name)
        assert name not in self.life.ask("servers")
