"""CPU and memory of a rebuilt server."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Final

from estampe import errors, units
from estampe.virt import base
from estampe.virt.domain_xml import changes, facts, shape

_MOST_IOTHREADS: Final = 64
# Of an x86 domain without an IOMMU in extended interrupt mode: more APIC ids need it. libvirt's capabilities do not say so
# (9.0, qemu_domain.h: QEMU_MAX_VCPUS_WITHOUT_EIM).
_MOST_WITHOUT_EIM: Final = 255
_TOPOLOGY: Final = ("sockets", "dies", "clusters", "cores", "threads")
_EMULATED_WHY: Final = "this host emulates CPUs: it cannot give its own"
_KVM_TIMERS: Final = {"kvmclock", "hypervclock"}


def memory(recorded: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """`<memory>`: all of it from the start."""
    element = ET.Element("memory", unit="KiB")
    element.text = str(-(-new.memory_bytes // units.KIB))
    current = recorded.find("currentMemory")
    most = facts.memory_bytes(recorded)
    if current is not None and facts.bytes_of(current) < most:
        was = f"{units.format_bytes(facts.bytes_of(current))} of {units.format_bytes(most)}"
        noted.add("memory balloon", was=was, now="all of it", why="a new server starts with all its memory")
    if recorded.find("maxMemory") is not None:
        noted.leave_out("memory that could be added", why="memory slots are tuned to the recorded size")
    return [element]


def cpus(recorded: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """`<vcpu>` and `<iothreads>`."""
    vcpu = ET.Element("vcpu")
    vcpu.text = str(new.cpus)
    made = [vcpu]
    before = recorded.find("vcpu")
    if before is not None and before.get("current") not in {None, before.text}:
        noted.leave_out(
            "CPUs that could be added", was=f"up to {before.text}", why="a new server has the CPUs asked for"
        )
    if before is not None and before.get("cpuset"):
        noted.leave_out("CPU pinning", was=before.get("cpuset", ""))
    if iothreads(recorded):
        element = ET.Element("iothreads")
        element.text = str(iothreads(recorded))
        made.append(element)
    return made


def most_cpus(root: ET.Element, capabilities: base.Capabilities) -> int | None:
    """How many CPUs the domain can have on the host, or None where that is not known."""
    most = capabilities.most_cpus.get(facts.machine(root))
    has_eim = root.find("devices/iommu/driver[@eim='on']") is not None
    if most is None or capabilities.architecture != "x86_64" or has_eim:
        return most
    return min(most, _MOST_WITHOUT_EIM)


def check_cpus(root: ET.Element, capabilities: base.Capabilities) -> None:
    """Raises: errors.HostLacks where the host defines no domain of so many CPUs."""
    asked, most = int(facts.text_of(root, "vcpu")), most_cpus(root, capabilities)
    if most is not None and asked > most:
        detail = f"{asked} CPUs asked, its machine type {facts.machine(root)} takes up to {most}"
        raise errors.HostLacks(what="CPUs", detail=detail)


def iothreads(recorded: ET.Element) -> int:
    """How many I/O threads the recorded server has."""
    text = facts.text_of(recorded, "iothreads")
    return min(int(text), _MOST_IOTHREADS) if text.isdecimal() else 0


def iothread_problem(recorded: ET.Element, thread: str) -> str | None:
    """Why a device cannot keep its I/O thread, or None. A new server's threads are numbered from 1 (`iothreadids` is the host's)."""
    is_there = thread.isdecimal() and 0 < int(thread) <= iothreads(recorded)
    return None if is_there else "the record names no such thread"


def model(
    recorded: ET.Element, new: base.NewDomain, capabilities: base.Capabilities, noted: changes.Changes
) -> list[ET.Element]:
    """`<cpu>`, as near to the recorded one as this host has it."""
    before = recorded.find("cpu")
    if before is None:
        return []
    kept = shape.CPU.copy(before)[0]
    replaced = _replacement(kept, capabilities)
    if replaced is not None:
        mode, why = replaced
        noted.add("CPU", was=_name(kept), now=mode, why=why)
        kept = ET.Element("cpu", mode=mode)
    kept.extend(_topology(before, new, noted))
    kept.extend(_numa(recorded, before, new, noted))
    return [kept] if kept.attrib or len(kept) else []


def _replacement(cpu: ET.Element, capabilities: base.Capabilities) -> tuple[str, str] | None:
    """(mode to use, why), or None where the recorded CPU can be given."""
    mode = cpu.get("mode") or ("custom" if cpu.find("model") is not None else "")
    if capabilities.domain_type == "kvm":
        why = _why_not_given(cpu, mode, capabilities)
        return None if why is None else ("host-model", why)
    if mode in {"host-passthrough", "host-model"}:
        return "maximum", _EMULATED_WHY
    if mode == "custom":
        name = (cpu.findtext("model") or "").strip()
        requires = any(each.get("policy", "require") in {"require", "force"} for each in cpu.iterfind("feature"))
        if name not in capabilities.cpu_models or requires:
            return "maximum", "this host emulates CPUs, and not every feature of this one"
    return None


def _why_not_given(cpu: ET.Element, mode: str, capabilities: base.Capabilities) -> str | None:
    """Why libvirt would refuse to start a server with this CPU under KVM. Passed through, a feature that is lacking is only warned of."""
    name = (cpu.findtext("model") or "").strip()
    if mode == "custom" and name not in capabilities.cpu_models:
        return f"this host cannot give its CPU model {name}"
    if mode == "custom" and cpu.get("match") == "strict":
        return "it was to be exactly the recorded host's"
    vendor = (cpu.findtext("vendor") or "").strip()
    if mode == "custom" and vendor and capabilities.cpu_vendor not in {None, vendor}:
        return f"this host's CPU is from {capabilities.cpu_vendor}, not from {vendor}"
    if mode not in {"custom", "host-model"} or not capabilities.cpu_features:
        return None
    given = capabilities.cpu_features
    features = [(each.get("policy", "require"), each.get("name", "")) for each in cpu.iterfind("feature")]
    lacking = [feature for policy, feature in features if policy == "require" and feature not in given]
    forbidden = [feature for policy, feature in features if policy == "forbid" and feature in given]
    if lacking:
        return f"this host's CPU lacks {', '.join(lacking)}"
    return f"this host's CPU has {', '.join(forbidden)}, which it forbids" if forbidden else None


def _name(cpu: ET.Element) -> str:
    return " ".join(filter(None, (cpu.get("mode", "custom"), (cpu.findtext("model") or "").strip())))


def _topology(cpu: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    """The recorded topology where it fits; else one socket, since some systems use no more than one or two of them."""
    before = cpu.find("topology")
    if before is None:
        return []
    kept = shape.shape(" ".join(_TOPOLOGY)).copy(before)[0]
    if math.prod(int(value) for value in kept.attrib.values()) == new.cpus:
        return [kept]
    was = ", ".join(f"{kept.get(name)} {name}" for name in _TOPOLOGY if kept.get(name))
    why = f"it does not make {new.cpus} CPUs"
    noted.add("CPU topology", was=was, now=f"1 sockets, {new.cpus} cores, 1 threads", why=why)
    return [ET.Element("topology", sockets="1", cores=str(new.cpus), threads="1")]


def _numa(recorded: ET.Element, cpu: ET.Element, new: base.NewDomain, noted: changes.Changes) -> list[ET.Element]:
    before = cpu.find("numa")
    if before is None:
        return []
    most = facts.text_of(recorded, "vcpu") or "1"
    if most == str(new.cpus) and facts.memory_bytes(recorded) == new.memory_bytes:
        return [shape.NUMA.copy(before)[0]]
    cells = len(before.findall("cell"))
    noted.leave_out(
        "NUMA layout", was=f"{cells} nodes", why="it was made for another number of CPUs or amount of memory"
    )
    return []


def features(recorded: ET.Element, capabilities: base.Capabilities, noted: changes.Changes) -> ET.Element:
    """`<features>`; those that only KVM has are left out elsewhere."""
    before = recorded.find("features")
    made, dropped = shape.FEATURES.copy(before if before is not None else ET.Element("features"))
    for name in dropped:
        noted.leave_out(f"feature {name}", why="Estampe does not carry it over")
    for name in ("hyperv", "kvm", "pvspinlock") if capabilities.domain_type != "kvm" else ():
        element = made.find(name)
        if element is not None:
            made.remove(element)
            noted.leave_out(f"feature {name}", why="it needs KVM")
    return made


def clock(recorded: ET.Element, capabilities: base.Capabilities, noted: changes.Changes) -> list[ET.Element]:
    """`<clock>`; timers that only KVM has are left out elsewhere."""
    before = recorded.find("clock")
    if before is None:
        return []
    made = shape.CLOCK.copy(before)[0]
    for timer in made.findall("timer") if capabilities.domain_type != "kvm" else ():
        if timer.get("name") in _KVM_TIMERS:
            made.remove(timer)
            if timer.get("present", "yes") == "yes":
                noted.leave_out(f"timer {timer.get('name')}", why="it needs KVM")
    return [made]
