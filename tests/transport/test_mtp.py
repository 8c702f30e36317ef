"""A phone mounted by MTP: what it lacks is made good, or known. A real mount is tried in tests/usb."""

from __future__ import annotations

import errno
import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from jmtpfs import Jmtpfs
from transport.conformance import Place, TransportSuite

from usbsync.errors import PhoneFailed, PhoneGone
from usbsync.transport.base import Remove, Rename
from usbsync.transport.folder import FolderTransport
from usbsync.transport.mtp import MOVES, MtpTransport, is_mtp
from usbsync.transport.ways import open_folder

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW, STALE = b"old " * 5_000, b"new " * 6_000, b"the old one's -wal"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


class Dated(MtpTransport):
    """The suite asks for times, which MTP has not: this mount sets them."""

    _dated = FolderTransport._dated


class TestMtp(TransportSuite):
    @pytest.fixture
    def place(self, root: Path, tmp_path: Path) -> Place:
        (tmp_path / "local").mkdir()
        return Place(Dated(root), "/", tmp_path / "local")

    def test_a_stamp_changes_with_each_of_its_files(self, place: Place):
        """Its clock is too coarse for that, and it says so."""
        place.push({"f": b"x"})
        assert place.transport.stamp([place.path("f")]) is None


def flip(root: Path) -> list[Rename | Remove]:
    (root / "old").write_bytes(OLD)
    (root / "old-wal").write_bytes(STALE)
    (root / "new").write_bytes(NEW)
    (root / "media").mkdir()
    (root / "staged é").write_bytes(b"picture")
    return [Rename("/staged é", "/media/p é.png"), Remove("/old-wal"), Rename("/new", "/old")]


def held(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ops", range(1, 9))
def test_a_cut_rename_is_finished_before_anything_is_read(root: Path, ops: int):
    steps = flip(root)
    first = Jmtpfs(root)
    first.ops = ops
    with suppress(PhoneGone):
        first.apply(steps)
    again = Jmtpfs(root)
    seen = {path: again.stat(path) for path in ("/old", "/media/p é.png")}
    again.mend()
    found = held(root)
    assert found["old"] in {OLD, NEW}
    assert found.get("media/p é.png", b"picture") == b"picture"
    assert "new" in found or found["old"] == NEW
    assert "staged é" in found or "media/p é.png" in found
    assert MOVES[1:] not in found
    assert seen["/old"], "a phone whose collection is between two names still has one"
    assert not again.unfinished()


def test_a_whole_batch_leaves_what_was_meant(root: Path):
    Jmtpfs(root).apply(flip(root))
    assert held(root) == {"old": NEW, "media/p é.png": b"picture"}


def test_what_was_made_meanwhile_is_left_alone(root: Path):
    """AnkiDroid was opened while its collection was between two names, and began a new one."""
    steps = flip(root)
    cut = Jmtpfs(root)
    cut.ops = 5  # the picture is there, the old collection gone
    with pytest.raises(PhoneGone):
        cut.apply(steps)
    assert not (root / "old").exists()
    (root / "old").write_bytes(b"a collection that was begun meanwhile")
    Jmtpfs(root).mend()
    assert held(root)["old"] == b"a collection that was begun meanwhile"
    assert held(root)["new"] == NEW


@pytest.mark.parametrize(
    "text", ["", "{", "[[1, 2]]", '[["/a"]]', '[["../x", "/y"]]', '{"a": 1}', "[" * 9999]
)
def test_a_hostile_list_of_moves_moves_nothing(root: Path, text: str):
    (root / MOVES[1:]).write_text(text)
    (root / "a").write_bytes(b"a")
    transport = MtpTransport(root)
    assert transport.stat("/y") is None
    assert not transport.unfinished()
    transport.mend()
    assert held(root) == {"a": b"a"}


def test_a_list_of_moves_never_leads_outside(root: Path, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"s")
    (root / "link").symlink_to(tmp_path)
    (root / MOVES[1:]).write_text(json.dumps([["/link/secret", "/stolen"]]))
    with pytest.raises(PhoneFailed):
        MtpTransport(root).mend()
    assert (tmp_path / "secret").read_bytes() == b"s"


def test_where_the_mount_cannot_rename_the_file_is_carried(root: Path, monkeypatch: pytest.MonkeyPatch):
    def cannot(*_):
        raise OSError(errno.ENOTSUP, "no such operation")

    steps = flip(root)
    monkeypatch.setattr("pathlib.Path.rename", cannot)
    MtpTransport(root).apply(steps)
    assert held(root) == {"old": NEW, "media/p é.png": b"picture"}


def test_a_stale_listing_is_waited_for_then_told(root: Path):
    """jmtpfs lists for five seconds what was there before; that would look like a deletion."""

    class Stale(MtpTransport):
        late = 3

        def _names(self, folder):
            self.late -= 1
            return super()._names(folder) if self.late < 0 else set()

    slept = []
    transport = Stale(root, sleep=slept.append)
    transport.apply(flip(root)[:1])
    assert slept
    times = itertools.count()
    stuck = Stale(root, sleep=slept.append, clock=lambda: float(next(times)))
    stuck.late = 1000
    (root / "b").touch()
    with pytest.raises(PhoneFailed, match="does not show"):
        stuck.apply([Rename("/b", "/c")])


def test_a_mount_whose_phone_went_is_gone(root: Path, monkeypatch: pytest.MonkeyPatch):
    def dead(*_, **__):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    transport = MtpTransport(root)
    monkeypatch.setattr("os.scandir", dead)
    with pytest.raises(PhoneGone):
        transport.list("/")


GVFS = "51 30 0:44 / /run/user/1000/gvfs rw,nosuid - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=1000"


@pytest.mark.parametrize(
    ("folder", "mountinfo", "answer"),
    [
        ("{root}", "36 1 0:31 / {root} rw - fuse.jmtpfs jmtpfs rw", True),
        ("{root}/a", "36 1 0:31 / {root} rw shared:7 - fuse.jmtpfs jmtpfs rw", True),
        ("{root}/two words", r"36 1 0:31 / {root}/two\040words rw - fuse.jmtpfs jmtpfs rw", True),
        ("{root}", "36 1 0:31 / {root} rw - ext4 /dev/sda rw", False),
        (
            "{root}/card",
            "36 1 0:31 / {root} rw - fuse.jmtpfs j rw\n37 36 8:1 / {root}/card rw - vfat /dev/sdb rw",
            False,
        ),
        ("{root}x", "36 1 0:31 / {root} rw - fuse.jmtpfs jmtpfs rw", False),
        ("/run/user/1000/gvfs/mtp:host=Google_Pixel_7/Internal", GVFS, True),
        ("/run/user/1000/gvfs/smb-share:server=nas/mtp:host=x", GVFS, False),
        ("/run/user/1000/gvfs", GVFS, False),
        ("{root}", "nonsense\n\n1 2 3 - \n", False),
        ("{root}", "", False),
    ],
)
def test_a_mount_is_known_by_its_file_system(root: Path, folder: str, mountinfo: str, answer: bool):  # noqa: FBT001
    place = type(root)(folder.format(root=root))
    assert is_mtp(place, mountinfo.format(root=root)) is answer


def test_a_plain_folder_is_no_mtp(root: Path):
    assert not isinstance(open_folder(root), MtpTransport)
