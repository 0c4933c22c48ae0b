"""One libvirt host: domains, pools, networks, QEMU's tools."""
