"""Domain XML, without I/O: read into facts (`parse`), rebuilt for a new server (`rebuild`), or made plain (`plain`)."""

from __future__ import annotations

from estampe.virt.domain_xml.facts import Disk, Facts, Source, parse
from estampe.virt.domain_xml.live import live_only
from estampe.virt.domain_xml.plain_server import plain
from estampe.virt.domain_xml.processor import most_cpus
from estampe.virt.domain_xml.rebuilding import rebuild
from estampe.virt.domain_xml.terminals import check as check_terminal
from estampe.virt.domain_xml.terminals import screen_index
from estampe.virt.domain_xml.tuned import read_virtio_scsi
from estampe.virt.domain_xml.volumes import free_targets, letters

__all__ = [
    "Disk",
    "Facts",
    "Source",
    "check_terminal",
    "free_targets",
    "letters",
    "live_only",
    "most_cpus",
    "parse",
    "plain",
    "read_virtio_scsi",
    "rebuild",
    "screen_index",
]
