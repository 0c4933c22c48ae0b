"""Final configuration written into a guest's own files, in the guest's own way: for guests that read no seed.

whole ─┬─ names         host name, /etc/hosts
       ├─ network       one module for each way in which guests configure it (ways.py); all match by MAC address
       ├─ accounts      users, passwords, authorized keys
       ├─ clock         time zone
       ├─ commands      run once, by the first boot
       ├─ windows       the answer file of a generalised image
       └─ rc_conf       BSD
All work on `base.Appliance`, know nothing of libguestfs, and are idempotent: a step that was cut off runs again.
"""

from __future__ import annotations

from estampe.guest.configuring import whole

configure = whole.configure
