"""Real guests, a daemon of one's own and a corner of libvirt: for the demo and the end-to-end tests.

Nothing here imports Estampe: what the product says of itself is checked from outside, through virsh, QEMU's tools and the
guest's own agent.
"""
