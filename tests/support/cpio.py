"""An initramfs as tests need it."""


def archive(files):
    """A cpio archive (newc) of these files; see cpio(5)."""
    made = b""
    for inode, (name, content) in enumerate([*files.items(), ("TRAILER!!!", b"")], start=1):
        path = name.encode() + b"\0"
        fields = [inode, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
        made += b"070701" + b"".join(b"%08x" % field for field in fields) + path
        made += bytes(-len(made) % 4)
        made += content
        made += bytes(-len(made) % 4)
    return made
