"""What a Linux guest's first boot will do, by its files: the same for every distribution, sealed or not."""

from __future__ import annotations

from estampe.guest import base, cloud_init, linux, linux_buses


def read(appliance: base.Appliance, *, root_kind: str) -> base.Facts:
    """See base.GuestKind.facts."""
    cloud = cloud_init.read(appliance)
    return base.Facts(
        has_cloud_init=cloud.reads_seeds,
        seed_formats=cloud.seed_formats,
        is_network_left_alone=cloud.reads_seeds and cloud.is_network_disabled,
        has_guest_agent=linux.has_program(appliance, "qemu-ga"),
        can_grow_root=cloud.grows_root and linux.can_grow(appliance, root_kind=root_kind),
        volume_buses=linux_buses.known(appliance),
    )
