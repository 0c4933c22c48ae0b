"""A volume read through qemu-nbd, for what cannot be read in place."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from estampe.block import nbd
from estampe.virt import base as virt
from estampe.virt import qemu_nbd

CONNECTIONS: Final = 4  # more than one thread reads; each holds one connection for one request


class ExportedReader(nbd.NbdVolume):
    """An NBD volume that brings its own server and ends it on close."""

    def __init__(self, chain: Sequence[virt.Layer], *, socket_directory: Path, is_shared: bool = False) -> None:
        with contextlib.ExitStack() as opening:
            export = opening.enter_context(
                qemu_nbd.export(chain, socket_dir=socket_directory, is_shared=is_shared, connections=CONNECTIONS + 1)
            )
            super().__init__(Path(export.socket_path), connections=CONNECTIONS)
            self._server = opening.pop_all()

    def close(self) -> None:
        """Disconnect, then end the server."""
        super().close()
        self._server.close()
