"""Volumes in files with partition tables that fdisk makes and judges."""

import os
import re
import subprocess

MIB = 1024 * 1024


class FileDevice:
    """A sparse file as a device."""

    def __init__(self, path, size_mib, *, sector_bytes=512):
        self.path, self.sector_bytes = path, sector_bytes
        with path.open("wb") as stream:
            stream.truncate(size_mib * MIB)

    @property
    def size_bytes(self):
        return self.path.stat().st_size

    def grow(self, size_mib):
        os.truncate(self.path, size_mib * MIB)

    def read(self, offset, length):
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)

    def write(self, offset, data):
        assert offset + len(data) <= self.size_bytes
        with self.path.open("r+b") as stream:
            stream.seek(offset)
            stream.write(data)

    def make(self, script):
        file = self.path.with_suffix(".script")
        file.write_text(script)
        self._fdisk(f"I\n{file}\nw\n")

    def _fdisk(self, commands):
        """fdisk, since sfdisk counts in sectors of 512 bytes wherever it is told no device (util-linux 2.38)."""
        ran = subprocess.run(
            ["/sbin/fdisk", "-b", str(self.sector_bytes), self.path],
            input=commands, text=True, capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def partitions(self):
        """By number, as fdisk has them: all that a table says of each."""
        file = self.path.with_suffix(".dump")
        file.unlink(missing_ok=True)
        self._fdisk(f"O\n{file}\nq\n")
        headers, _, lines = file.read_text().partition("\n\n")
        found = {}
        for line in lines.splitlines():
            node, _, facts = line.partition(" : ")
            fields = dict(each.partition("=")[::2] for each in facts.replace(" ", "").split(","))
            number = int(node.removeprefix(str(self.path)))
            found[number] = fields | {key: int(fields[key]) for key in ("start", "size")}
        return dict(line.split(": ") for line in headers.splitlines() if ": " in line), found

    def verify(self):
        """What fdisk has to say against it, but for gaps, which are no fault."""
        said = self._fdisk("v\nq\n").partition("Command (m for help): ")[2].partition("Command (m for help):")[0]
        return [
            line
            for line in said.splitlines()
            if line and not re.search(r"No errors|unallocated|GPT, |Header v|Using |largest|total of", line)
        ]
