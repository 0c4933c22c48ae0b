import errno
import os

import pytest

from estampe import errors
from estampe.store import allocator, durable


@pytest.mark.parametrize("release", ["5.8.0", "5.10.0-21-amd64", "6.1.0-13-cloud-amd64", "10.0", "6.18.44-fc-v445"])
def test_a_kernel_whose_syncfs_tells_errors_will_do(release):
    durable.require_syncfs(release)


@pytest.mark.parametrize("release", ["4.18.0-553.el8.x86_64", "5.7.19", "3.10.0"])
def test_an_older_kernel_is_refused(release):
    with pytest.raises(errors.KernelTooOld, match=rf"{release}.*5\.8"):
        durable.require_syncfs(release)


def test_syncfs_of_no_file_is_an_error():
    with pytest.raises(OSError, match="Bad file descriptor"):
        durable.syncfs(-1)


def test_a_file_that_is_there_is_not_written(tmp_path):
    file = tmp_path / "file"
    durable.write_file(str(file), b"data", is_synced=True)
    with pytest.raises(FileExistsError):
        durable.write_file(str(file), b"other", is_synced=False)
    assert file.read_bytes() == b"data"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_or_quota_is_no_space(tmp_path, number):
    with (
        pytest.raises(errors.NoSpace, match=r"2 KiB more needed, .* available"),
        durable.store_errors(str(tmp_path), "store a chunk", needed_bytes=2048),
    ):
        raise OSError(number, os.strerror(number))


def test_any_other_error_makes_the_store_unavailable(tmp_path):
    with (
        pytest.raises(errors.StoreUnavailable, match="cannot store a chunk: Input/output error"),
        durable.store_errors(str(tmp_path), "store a chunk"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_the_allocator_of_glibc_takes_the_settings():
    assert allocator.keep_freed_memory()
