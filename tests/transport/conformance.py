"""What every transport must do. A new one tests itself: subclass TransportSuite, give it the fixture `place`."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from usbsync.errors import PhoneFailed, PhoneRefused
from usbsync.transport.base import FileInfo, Kind, Pull, Push, Remove, Rename, Transport

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "plain": "a.jpg",
    "spaces": " two  spaces .mp3",
    "quotes": """it's "quoted" `here` $HOME $(id) \\ back""",
    "newline": "two\nlines",
    "ends in newline": "end\n",
    "leading dash": "-rf",
    "two dashes": "--help",
    "comma": "a,33188,b",
    "glob": "*?[a-z]{1,2}~!#;&|<>",
    "nfc": "caf\u00e9.png",
    "nfd": "cafe\u0301.png",
    "emoji": "\N{PILE OF POO}\N{FAMILY}.jpg",
    "japanese": "\u65e5\u672c\u8a9e.ogg",
    "not utf-8": "latin\udce9",
    "tab": "tab\tescape\x1b[31m",
    "255 bytes": "\u00e9" * 127 + "x",
    "looks hashed": f"{'0' * 40}  x",
    "percent": "%s%n%d",
}
MTIME = 1_600_000_001
BAD_PATHS = ["", "relative", "/a/../b", "/..", "/a//b", "/a/", "/./a", "/nul\0", f"/{'x/' * 600}x", "/\ud800"]


@dataclass(frozen=True, slots=True)
class Place:
    """A transport and an empty folder of the replica's, `base`, to work in."""

    transport: Transport
    base: str
    local: Path

    def path(self, name: str) -> str:
        return f"{self.base.rstrip('/')}/{name}"

    def push(self, files: dict[str, bytes], mtime: int = MTIME) -> int:
        """Push files by name; return what on_bytes added up to."""
        pushes, moved = [], []
        for number, (name, data) in enumerate(files.items()):
            source = self.local / f"push{number}"
            source.write_bytes(data)
            pushes.append(Push(source, self.path(name), mtime))
        self.transport.push(pushes, moved.append)
        return sum(moved)

    def pull(self, *names: str) -> list[bytes]:
        targets = [self.local / f"pull{number}" for number in range(len(names))]
        moved = []
        wanted = (Pull(self.path(name), target) for name, target in zip(names, targets, strict=True))
        self.transport.pull(wanted, moved.append)
        assert sum(moved) == sum(target.stat().st_size for target in targets)
        return [target.read_bytes() for target in targets]

    def names(self, folder: str = "") -> set[str]:
        return {info.name for info in self.transport.list(self.path(folder) if folder else self.base)}


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


class TransportSuite:
    """Subclasses provide the fixture `place`."""

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    def test_every_name_goes_the_whole_way(self, place: Place, name: str):
        data = content(100, len(name))
        place.push({name: data})
        assert place.transport.list(place.base) == [FileInfo(name, Kind.FILE, 100, MTIME)]
        assert place.transport.stat(place.path(name)) == FileInfo(name, Kind.FILE, 100, MTIME)
        assert place.pull(name) == [data]
        assert place.transport.hash([place.path(name)], "sha1") == {
            place.path(name): hashlib.sha1(data).hexdigest()
        }
        place.transport.apply(
            [Rename(place.path(name), place.path("x")), Rename(place.path("x"), place.path(name))]
        )
        assert place.names() == {name}
        place.transport.apply([Remove(place.path(name))])
        assert place.names() == set()

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    def test_a_folder_may_have_any_name(self, place: Place, name: str):
        place.transport.make_folder(place.path(name))
        place.push({f"{name}/inside": b"1"})
        assert place.names(name) == {"inside"}
        place.transport.remove_folder(place.path(name))
        assert place.transport.stat(place.path(name)) is None

    def test_nfc_and_nfd_are_two_names(self, place: Place):
        place.push({NAMES["nfc"]: b"c", NAMES["nfd"]: b"d"})
        assert place.pull(NAMES["nfd"], NAMES["nfc"]) == [b"d", b"c"]

    @pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, (1 << 20) - 24, 1 << 20, 5_000_001])
    def test_every_size_arrives_whole(self, place: Place, size: int):
        data = content(size, size)
        assert place.push({"f": data}) == size
        assert place.pull("f") == [data]
        assert place.transport.stat(place.path("f")).size == size

    def test_many_files_at_once(self, place: Place):
        files = {f"{number}.bin": content(number * 37 % 5000, number) for number in range(600)}
        assert place.push(files) == sum(map(len, files.values()))
        assert place.names() == set(files)
        assert place.pull(*files) == list(files.values())

    def test_nothing_at_all_is_no_error(self, place: Place):
        assert place.push({}) == 0
        assert place.pull() == []
        assert place.transport.hash([], "sha1") == {}
        place.transport.apply([])

    @pytest.mark.parametrize("mtime", [0, 1, 1_600_000_000, 2**31 - 1])
    def test_mtimes_are_kept(self, place: Place, mtime: int):
        place.push({"f": b"x"}, mtime)
        assert place.transport.stat(place.path("f")).mtime == mtime

    def test_push_overwrites(self, place: Place):
        place.push({"f": b"a longer content"})
        place.push({"f": b"short"}, MTIME + 1)
        assert place.pull("f") == [b"short"]
        assert place.transport.stat(place.path("f")).mtime == MTIME + 1

    def test_push_needs_the_folder(self, place: Place):
        with pytest.raises(PhoneRefused):
            place.push({"absent/f": b"x"})
        assert place.names() == set()

    def test_push_onto_a_folder_is_refused(self, place: Place):
        place.transport.make_folder(place.path("d"))
        with pytest.raises(PhoneRefused, match="d"):
            place.push({"d": b"x"})
        assert place.transport.stat(place.path("d")).kind is Kind.FOLDER

    def test_it_works_on_after_a_refused_push(self, place: Place):
        place.transport.make_folder(place.path("d"))
        with pytest.raises(PhoneRefused):
            place.push({"d": b"x", **{f"{n}": content(200_000) for n in range(20)}})
        assert place.push({"f": b"x"}) == 1
        assert place.pull("f") == [b"x"]

    def test_pull_of_an_absent_file_is_refused_by_name(self, place: Place):
        place.push({"there": b"x"})
        with pytest.raises(PhoneRefused, match="absent"):
            place.pull("there", "absent", "there")

    def test_it_works_on_after_a_refused_pull(self, place: Place):
        with pytest.raises(PhoneRefused):
            place.pull(*["absent"] * 300)
        place.push({"f": b"x"})
        assert place.pull("f") == [b"x"]

    def test_pull_of_a_folder_is_refused(self, place: Place):
        place.transport.make_folder(place.path("d"))
        with pytest.raises(PhoneRefused):
            place.pull("d")

    def test_stat_of_nothing_is_none(self, place: Place):
        place.push({"file": b"x"})
        assert place.transport.stat(place.path("absent")) is None
        assert place.transport.stat(place.path("absent/deeper")) is None
        assert place.transport.stat(place.path("file/deeper")) is None

    def test_a_stamp_changes_with_each_of_its_files(self, place: Place):
        place.push({"f": b"x", "new": b"yy"})
        paths = [place.path("f"), place.path("g")]
        stamps = [place.transport.stamp(paths)]
        assert stamps[0]
        place.push({"bystander": b"x"})
        assert place.transport.stamp(paths) == stamps[0]
        for change in (
            lambda: place.push({"g": b""}),
            lambda: place.push({"f": b"z"}),
            lambda: place.transport.apply([Rename(place.path("new"), place.path("f"))]),
            lambda: place.transport.apply([Remove(place.path("f"))]),
            lambda: place.transport.apply([Rename(place.path("g"), place.path("f"))]),
        ):
            change()
            stamps.append(place.transport.stamp(paths))
        assert None not in stamps
        assert len({*stamps}) == len(stamps)

    def test_stat_of_a_folder(self, place: Place):
        place.transport.make_folder(place.path("d"))
        found = place.transport.stat(place.path("d"))
        assert (found.name, found.kind) == ("d", Kind.FOLDER)

    @pytest.mark.parametrize("what", ["absent", "file"])
    def test_listing_what_is_no_folder_is_refused(self, place: Place, what: str):
        place.push({"file": b"x"})
        with pytest.raises(PhoneRefused, match=what):
            place.transport.list(place.path(what))

    def test_an_empty_folder_lists_empty(self, place: Place):
        assert place.transport.list(place.base) == []

    def test_hash_leaves_out_what_is_no_file(self, place: Place):
        place.push({"f": b"x", "g": b""})
        place.transport.make_folder(place.path("d"))
        paths = [place.path(name) for name in ("absent", "f", "d", "g", "f/deeper")]
        assert place.transport.hash(paths, "sha256") == {
            place.path("f"): hashlib.sha256(b"x").hexdigest(),
            place.path("g"): hashlib.sha256(b"").hexdigest(),
        }

    def test_hash_of_many_files(self, place: Place):
        files = {f"{number}" + "\n" * (number % 7 == 0): content(50, number) for number in range(300)}
        place.push(files)
        assert place.transport.hash([place.path(name) for name in files], "sha1") == {
            place.path(name): hashlib.sha1(data).hexdigest() for name, data in files.items()
        }

    def test_apply_keeps_the_order(self, place: Place):
        place.push({"a": b"a", "b": b"b"})
        a, b, c = place.path("a"), place.path("b"), place.path("c")
        place.transport.apply([Rename(a, c), Rename(b, a), Rename(c, b), Remove(c), Rename(b, c), Remove(b)])
        assert place.names() == {"a", "c"}
        assert place.pull("a", "c") == [b"b", b"a"]

    def test_rename_replaces(self, place: Place):
        place.push({"new": b"new", "old": b"old"})
        place.transport.apply([Rename(place.path("new"), place.path("old"))])
        assert place.names() == {"old"}
        assert place.pull("old") == [b"new"]
        assert place.transport.stat(place.path("old")).mtime == MTIME

    def test_apply_stops_at_the_first_failure(self, place: Place):
        place.push({"a": b"a", "b": b"b", "c": b"c"})
        steps = [
            Rename(place.path("a"), place.path("a2")),
            Rename(place.path("absent"), place.path("x")),
            Remove(place.path("b")),
            Rename(place.path("c"), place.path("c2")),
        ]
        with pytest.raises(PhoneRefused, match="absent"):
            place.transport.apply(steps)
        assert place.names() == {"a2", "b", "c"}

    def test_a_rename_onto_a_folder_fails_and_does_not_go_inside(self, place: Place):
        place.push({"f": b"x"})
        place.transport.make_folder(place.path("d"))
        with pytest.raises(PhoneRefused):
            place.transport.apply([Rename(place.path("f"), place.path("d")), Remove(place.path("f"))])
        assert place.names() == {"f", "d"}
        assert place.names("d") == set()

    def test_removing_what_is_absent_is_no_error(self, place: Place):
        place.push({"f": b"x"})
        place.transport.apply([Remove(place.path("absent")), Remove(place.path("f"))])
        assert place.names() == set()

    def test_removing_a_folder_as_a_file_is_refused(self, place: Place):
        place.transport.make_folder(place.path("d"))
        with pytest.raises(PhoneRefused):
            place.transport.apply([Remove(place.path("d"))])
        assert place.names() == {"d"}

    def test_thousands_of_steps_are_one_batch(self, place: Place):
        place.push({f"{number}": b"" for number in range(400)})
        steps = []
        for number in range(400):
            steps += [Rename(place.path(f"{number}"), place.path(f"{number}{'x' * 200}"))]
            steps += [Rename(place.path(f"{number}{'x' * 200}"), place.path(f"{number}"))]
        steps += [Rename(place.path(f"{number}"), place.path(f"done{number}")) for number in range(400)]
        place.transport.apply(steps)
        assert place.names() == {f"done{number}" for number in range(400)}

    def test_thousands_of_removals_are_one_batch(self, place: Place):
        names = [*NAMES.values(), *(f"{number}{'y' * 200}" for number in range(900))]
        place.push({"kept": b"1", **dict.fromkeys(names, b"")})
        place.transport.apply([Remove(place.path(name)) for name in [*names, "absent", *names]])
        assert place.names() == {"kept"}

    def test_a_folder_among_removals_is_named_and_what_came_before_is_gone(self, place: Place):
        place.push({f"{number}": b"" for number in range(20)})
        place.transport.make_folder(place.path("odd one"))
        steps = [Remove(place.path(name)) for name in [*map(str, range(20)), "odd one"]]
        with pytest.raises(PhoneRefused, match="odd one"):
            place.transport.apply([*steps, Rename(place.path("0"), place.path("moved"))])
        assert place.names() == {"odd one"}

    def test_making_a_folder_twice_is_no_error(self, place: Place):
        place.transport.make_folder(place.path("d"))
        place.push({"d/f": b"x"})
        place.transport.make_folder(place.path("d"))
        assert place.names("d") == {"f"}

    def test_making_a_folder_needs_its_parent(self, place: Place):
        with pytest.raises(PhoneRefused):
            place.transport.make_folder(place.path("absent/d"))

    def test_making_a_folder_where_a_file_is_is_refused(self, place: Place):
        place.push({"f": b"x"})
        with pytest.raises(PhoneRefused):
            place.transport.make_folder(place.path("f"))

    def test_removing_a_folder_takes_all_in_it(self, place: Place):
        place.transport.make_folder(place.path("d"))
        place.transport.make_folder(place.path("d/e"))
        place.push({"d/e/f": b"x", "d/g": b"y", "dd": b"z"})
        place.transport.remove_folder(place.path("d"))
        place.transport.remove_folder(place.path("d"))
        assert place.names() == {"dd"}

    @pytest.mark.parametrize("bad", BAD_PATHS)
    def test_impossible_paths_are_refused_everywhere(self, place: Place, bad: str):
        transport = place.transport
        (place.local / "f").write_bytes(b"x")
        for call in (
            lambda: transport.stat(bad),
            lambda: transport.stamp([bad]),
            lambda: transport.list(bad),
            lambda: transport.pull([Pull(bad, place.local / "out")], lambda _: None),
            lambda: transport.push([Push(place.local / "f", bad, 0)], lambda _: None),
            lambda: transport.hash([bad], "sha1"),
            lambda: transport.apply([Remove(bad)]),
            lambda: transport.apply([Rename(place.path("f"), bad)]),
            lambda: transport.make_folder(bad),
            lambda: transport.remove_folder(bad),
            lambda: transport.free_space(bad),
        ):
            with pytest.raises(PhoneFailed):
                call()

    def test_the_root_is_never_removed(self, place: Place):
        with pytest.raises(PhoneRefused):
            place.transport.remove_folder("/")

    def test_free_space_is_a_number_of_bytes(self, place: Place):
        assert 1 << 20 < place.transport.free_space(place.base) < 1 << 60

    def test_identity_stays(self, place: Place):
        assert place.transport.identity == place.transport.identity
        assert place.transport.identity.isprintable()

    def test_close_twice(self, place: Place):
        place.transport.close()
        place.transport.close()
