"""What is on a server's screen: in the browser, by QEMU's own picture of it, and as text out of the guest's VGA memory."""

from __future__ import annotations

import base64
import re
import tempfile
from pathlib import Path

import pytest
from playwright import sync_api
from tests.browser import console as consoles
from tests.support import shell

HINT = "willReadFrequently"  # the browser's to whoever wrote noVNC, of some milliseconds: no complaint
_ROUNDS, _ROUND_MS = 60, 500
# How many pixels of the picture are lit, and how many of those on the canvas are not as in the picture.
_COMPARE = """async (canvas, picture) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const drawn = document.createElement("canvas");
  [drawn.width, drawn.height] = [image.width, image.height];
  drawn.getContext("2d").drawImage(image, 0, 0);
  if (canvas.width !== drawn.width || canvas.height !== drawn.height) return [0, -1];
  const lit = (from) => {
    const pixels = from.getContext("2d").getImageData(0, 0, from.width, from.height).data;
    return Array.from({ length: pixels.length / 4 }, (_, n) => pixels[4 * n] + pixels[4 * n + 1] + pixels[4 * n + 2] > 200);
  };
  const [wanted, found] = [lit(drawn), lit(canvas)];
  return [wanted.filter(Boolean).length, wanted.filter((each, n) => each !== found[n]).length];
}"""
_VGA_TEXT = 0xB8000  # where a VGA in a colour text mode has its cells, two bytes each: character, attribute
_COLUMNS, _ROWS = 80, 25


def is_told(opened: consoles.Console, text: str | re.Pattern[str]) -> None:
    """The page says of the connection that it is so."""
    sync_api.expect(opened.page.locator("[data-state]")).to_have_text(text, timeout=30_000)


def await_what_qemu_shows(opened: consoles.Console, domain: str) -> None:
    """The canvas becomes what QEMU's own screenshot is, which is not empty."""
    for _ in range(_ROUNDS):
        opened.page.wait_for_timeout(_ROUND_MS)
        if _shows_what_qemu_shows(opened, domain):
            return
    pytest.fail("the canvas is not what QEMU's own screenshot is")


def _shows_what_qemu_shows(opened: consoles.Console, domain: str) -> bool:
    lit, other = opened.page.locator("[data-view] canvas").evaluate(_COMPARE, _picture(domain))
    return lit > 1000 and 0 <= other < 200  # a line of text has that many, and the cursor blinks


def _picture(domain: str) -> str:
    """QEMU's own of the screen: PNG, in base64."""
    with tempfile.NamedTemporaryFile(suffix=".png") as picture:
        shell.virsh("screenshot", domain, picture.name)
        return base64.b64encode(Path(picture.name).read_bytes()).decode()


def text(domain: str) -> str:
    """What a screen in text mode says, line by line: the guest's own characters, where a picture would have to be read."""
    told = shell.virsh("qemu-monitor-command", domain, "--hmp", f"xp /{_COLUMNS * _ROWS}hx {_VGA_TEXT:#x}")
    cells = [int(cell, 16) & 0xFF for line in told.splitlines() for cell in line.partition(":")[2].split()]
    characters = "".join(chr(cell) if 0x20 <= cell < 0x7F else " " for cell in cells)
    return "\n".join(characters[at : at + _COLUMNS].rstrip() for at in range(0, len(characters), _COLUMNS))
