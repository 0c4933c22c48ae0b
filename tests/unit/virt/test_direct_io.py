import errno
import os

import pytest

from estampe.virt import base, direct_io


def refuse(code):
    def open_file(_path, _flags):
        raise OSError(code, "a test")

    return open_file


def pool(kind="dir", path="/nowhere"):
    return base.Pool(name="p", kind=kind, path=path, capacity_bytes=1, available_bytes=1)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_refuses_is_found_out(tmp_path, code):
    assert not direct_io.takes(str(tmp_path), open_file=refuse(code))
    assert list(tmp_path.iterdir()) == []


def test_any_other_trouble_is_not_taken_for_a_refusal(tmp_path):
    with pytest.raises(OSError, match="a test"):
        direct_io.takes(str(tmp_path), open_file=refuse(errno.EIO))
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_takes_it_is_left_as_it_was(tmp_path):
    assert direct_io.takes(str(tmp_path), open_file=lambda path, _flags: os.open(path, os.O_RDONLY))
    assert list(tmp_path.iterdir()) == []


def test_block_devices_take_it_and_a_pool_that_cannot_be_asked_does_not():
    assert direct_io.is_taken_by(pool(kind="logical", path=None))
    assert not direct_io.is_taken_by(pool(path=None))
    assert not direct_io.is_taken_by(pool())
