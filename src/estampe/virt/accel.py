"""Whether KVM works here: by booting a tiny guest, since the device node and libvirt's capabilities can lie.

Where hardware virtualisation is missing underneath (some nested machines), /dev/kvm opens, virtual machines can be made,
libvirt advertises kvm - and no system boots. Measured on such a machine with QEMU 7.2: the guest's instructions do run, but each is
emulated, about 650 thousand loops a second where TCG does 180 million and hardware thousands of millions. So it is not
enough that a boot sector reports back (it does, after 6 s). It must get work done: enter long mode, as every
system does, and count down from 2**28, which takes hardware 0.1 s, TCG 1.4 s, and such a machine seven minutes.
"""

from __future__ import annotations

import contextlib
import json
import platform
import struct
import tempfile
from pathlib import Path
from typing import Final, Literal

from estampe import errors, process

_LOOPS: Final = 1 << 28
_DEADLINE_SECONDS: Final = 10.0
_QEMU: Final = "qemu-system-x86_64"
_REPORT: Final = 0x2A
_REPORT_STATUS: Final = (_REPORT << 1) | 1  # isa-debug-exit's exit status for a byte written to its port
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_KVM_DEVICE: Final = Path("/dev/kvm")


def probe_kvm(*, answer_path: Path, deadline_seconds: float = _DEADLINE_SECONDS) -> bool:
    """Whether guests boot under KVM. Remembered in `answer_path` for this boot, kernel and QEMU.

    Raises: errors.ProgramMissing.
    """
    if platform.machine() != "x86_64" or not _KVM_DEVICE.exists():
        return False
    key = _key()
    answer = _remembered(answer_path, key)
    if answer is None:
        answer = boots("kvm", deadline_seconds=deadline_seconds)
        _remember(answer_path, key, is_working=answer)
    return answer


def boots(accelerator: Literal["kvm", "tcg"], *, deadline_seconds: float = _DEADLINE_SECONDS) -> bool:
    """Whether the probe reports back in time. Raises: errors.ProgramMissing."""
    program = process.find_program(_QEMU, package="qemu-system-x86")
    with tempfile.NamedTemporaryFile(prefix="estampe-probe-") as volume:
        volume.write(boot_sector())
        volume.flush()
        argv = [
            program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "pc", "-accel", accelerator, "-m", "16",
            "-drive", f"file={volume.name},format=raw,if=ide,snapshot=on",
            "-device", "isa-debug-exit,iobase=0x501,iosize=1",
        ]  # fmt: skip
        try:
            process.run(argv, deadline_seconds=deadline_seconds)
        except errors.ProcessFailed as error:
            return bool(error.facts["status"] == _REPORT_STATUS)
        except errors.DeadlineExceeded:
            return False
    return False  # it ended by itself: that is not the report


def boot_sector(*, loops: int = _LOOPS) -> bytes:
    """512 bytes that enter long mode, count `loops` down and write the report to port 0x501.

    Loaded at 0x7c00. Page tables at 0x1000, 0x2000 and 0x3000 map the first 2 MiB onto themselves.
    """
    origin = 0x7C00
    code = bytearray()
    code += b"\xfa\xfc"  # cli; cld
    code += b"\x31\xc0\x8e\xd8\x8e\xc0\x8e\xd0"  # xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax
    code += b"\xbc\x00\x7c"  # mov sp,0x7c00
    code += b"\xe4\x92\x0c\x02\x24\xfe\xe6\x92"  # in al,0x92; or al,2; and al,0xfe; out 0x92,al: address line 20 on
    code += b"\xbf\x00\x10\xb9\x00\x0c"  # mov di,0x1000; mov cx,0xc00
    code += b"\x66\x31\xc0\xf3\x66\xab"  # xor eax,eax; rep stosd: clear the page tables
    code += b"\xc7\x06\x00\x10\x03\x20"  # mov word [0x1000],0x2003: the next table, present, writable
    code += b"\xc7\x06\x00\x20\x03\x30"  # mov word [0x2000],0x3003
    code += b"\xc7\x06\x00\x30\x83\x00"  # mov word [0x3000],0x0083: one page of 2 MiB at 0
    code += b"\x66\xb8\x20\x00\x00\x00\x0f\x22\xe0"  # mov eax,0x20; mov cr4,eax: PAE
    code += b"\x66\xb8\x00\x10\x00\x00\x0f\x22\xd8"  # mov eax,0x1000; mov cr3,eax
    code += b"\x66\xb9\x80\x00\x00\xc0\x0f\x32"  # mov ecx,0xc0000080; rdmsr: EFER
    code += b"\x66\x0d\x00\x01\x00\x00\x0f\x30"  # or eax,0x100; wrmsr: long mode enable
    load_gdt = len(code)
    code += b"\x0f\x01\x16\x00\x00"  # lgdt [gdt register]
    code += b"\x0f\x20\xc0\x66\x0d\x01\x00\x00\x80\x0f\x22\xc0"  # cr0 |= 0x80000001: paging, protection
    far_jump = len(code)
    code += b"\xea\x00\x00\x08\x00"  # jmp 0x08:long mode
    code += b"\x90" * (-len(code) % 8)
    long_mode = len(code)
    code += b"\x48\xb8" + struct.pack("<Q", loops)  # mov rax,loops: eight bytes, legal in long mode only
    code += b"\x48\xff\xc8\x75\xfb"  # 1: dec rax; jnz 1b
    code += b"\x66\xba\x01\x05"  # mov dx,0x501
    code += bytes((0xB0, _REPORT, 0xEE))  # mov al,report; out dx,al
    code += b"\xf4\xeb\xfd"  # 1: hlt; jmp 1b
    code += b"\0" * (-len(code) % 8)
    gdt = len(code)
    code += struct.pack("<QQQ", 0, 0x00209A0000000000, 0x0000920000000000)  # none, 64-bit code, data
    gdt_register = len(code)
    code += struct.pack("<HI", 23, origin + gdt)
    struct.pack_into("<H", code, load_gdt + 3, origin + gdt_register)
    struct.pack_into("<H", code, far_jump + 1, origin + long_mode)
    return bytes(code).ljust(510, b"\0") + b"\x55\xaa"


def _key() -> str:
    """What an answer is good for: this boot of this kernel with this QEMU."""
    program = process.find_program(_QEMU, package="qemu-system-x86")
    version = process.run([program, "--version"], deadline_seconds=_DEADLINE_SECONDS).decode().splitlines()[0]
    return f"{_BOOT_ID.read_text().strip()} {platform.release()} {version}"


def _remembered(path: Path, key: str) -> bool | None:
    try:
        answer = json.loads(path.read_text())
        return bool(answer["is_working"]) if answer["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, key: str, *, is_working: bool) -> None:
    """Best effort: a place that cannot be written to costs another probe, no more."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"key": key, "is_working": is_working}))
        partial.replace(path)
