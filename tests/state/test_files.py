from __future__ import annotations

import errno
import os
import stat

import pytest

from usbsync.errors import NoSpace, UsageError
from usbsync.state.files import durable_copy, durable_write, private_folder, sha256_of, sweep_temporaries


def test_a_file_is_written_whole_and_for_its_owner_only(tmp_path):
    with durable_write(tmp_path / "x") as file:
        file.write(b"new")
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    (tmp_path / "x").write_bytes(b"old")

    def write():
        with durable_write(tmp_path / "x") as file:
            file.write(b"half")
            raise failure

    with pytest.raises(failure):
        write()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"old")]


def test_a_fault_anywhere_leaves_the_old_file_or_the_new_one(disturbed):
    def scenario(pair, inject):
        private_folder(pair.home)
        path = pair.home / "x"
        path.write_bytes(b"old")

        def write():
            with durable_write(path) as file:
                file.write(b"new" * 1000)

        done = inject(write)
        assert path.read_bytes() in {b"old", b"new" * 1000}
        if done:
            assert path.read_bytes() == b"new" * 1000
        sweep_temporaries(pair.home)
        assert [left.name for left in pair.home.iterdir()] == ["x"]
        return done

    disturbed(scenario)


def test_content_reaches_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    kinds = {True: "fsync folder", False: "fsync file"}

    def see_fsync(handle):
        order.append(kinds[stat.S_ISDIR(os.fstat(handle).st_mode)])
        fsync(handle)

    def see_replace(*paths):
        order.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", see_fsync)
    monkeypatch.setattr(os, "replace", see_replace)
    with durable_write(tmp_path / "x") as file:
        file.write(b"new")
    assert order == ["fsync file", "rename", "fsync folder"]


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EROFS, UsageError), (errno.EACCES, UsageError)]
)  # fmt: skip
def test_what_the_disk_refuses_is_told_in_words(tmp_path, monkeypatch, number, told):
    def refuse(_handle):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(told, match=r"could not be written|may not be written"), durable_write(tmp_path / "x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_the_same_and_its_hash_is_returned(tmp_path):
    (tmp_path / "x").write_bytes(os.urandom(3_000_000))
    digest = durable_copy(tmp_path / "x", tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == (tmp_path / "x").read_bytes()
    assert digest == sha256_of(tmp_path / "x") == sha256_of(tmp_path / "y")


def test_private_folders_are_private_all_the_way(tmp_path):
    private_folder(tmp_path / "a" / "b")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "a").chmod(0o755)
    private_folder(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
