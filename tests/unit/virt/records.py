"""Recorded domain XML of several kinds of servers, and new servers to rebuild from them."""

from pathlib import Path

from estampe.model import configuration
from estampe.virt import base, domain_xml

DIRECTORY = Path(__file__).parent / "recorded"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.xml"))
NEW_UUID = "11111111-2222-4333-8444-555555555555"

CAPABILITIES = base.Capabilities(
    architecture="x86_64",
    domain_type="kvm",
    machines=frozenset({"pc-q35-7.2", "pc-q35-6.2", "pc-i440fx-7.2"}),
    machine_aliases={"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"},
    cpu_models=frozenset({"qemu64", "Skylake-Client"}),
    uefi=(
        base.FirmwareImage(
            path="/usr/share/OVMF/OVMF_CODE_4M.ms.fd", has_secure_boot=True,
            nvram_template="/usr/share/OVMF/OVMF_VARS_4M.ms.fd", nvram_size_bytes=540672,
        ),
        base.FirmwareImage(
            path="/usr/share/OVMF/OVMF_CODE_4M.fd", has_secure_boot=False,
            nvram_template="/usr/share/OVMF/OVMF_VARS_4M.fd", nvram_size_bytes=540672,
        ),
        base.FirmwareImage(
            path="/usr/share/OVMF/OVMF_CODE.fd", has_secure_boot=False,
            nvram_template="/usr/share/OVMF/OVMF_VARS.fd", nvram_size_bytes=131072,
        ),
    ),
    cpus=8,
    memory_bytes=32 << 30,
    video_models=frozenset({"vga", "virtio", "cirrus", "qxl"}),
    has_tpm_emulator=True,
    most_cpus={"pc-q35-7.2": 288, "pc-q35-6.2": 288, "pc-i440fx-7.2": 255},
)  # fmt: skip


def read(name: str) -> str:
    return (DIRECTORY / f"{name}.xml").read_text()


def new_domain(facts: domain_xml.Facts, **given) -> base.NewDomain:
    """A new server as a deploy makes it, without changes of its own."""
    asked = {
        "name": "new-server",
        "uuid": NEW_UUID,
        "cpus": facts.cpus,
        "memory_bytes": facts.memory_bytes,
        "volumes": tuple(
            base.NewVolume(
                target=disk.target,
                bus=disk.bus,
                path=f"/pool/new-{disk.target}.qcow2",
                format=configuration.VolumeFormat.QCOW2,
                is_block_device=False,
                serial=disk.serial,
                boot_order=disk.boot_order,
            )
            for disk in facts.disks
        ),
        "seed_path": "/pool/new-seed.iso",
        "interfaces": tuple(
            base.NewInterface(
                mac=f"52:54:00:99:00:{number:02x}", network="default", bridge=None, model=each.model or "virtio"
            )
            for number, each in enumerate(facts.interfaces)
        ),
        "nvram_path": "/nvram/new_VARS.fd" if facts.firmware is configuration.Firmware.UEFI else None,
        "template_id": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        "template_name": "web@3",
    }
    return base.NewDomain(**(asked | given))
