from __future__ import annotations

import gzip

import pytest
from tars import make_tar

from bundler.collect import accounts
from bundler.collect.accounts import LayerAccounts, Tap, resolve, scan
from bundler.errors import SourceError

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:,,,:/home/app:/bin/sh\nbad\n7up:x:77:78::/:\n"
GROUP = b"root:x:0:\nstaff:x:50:app\n"
BOTTOM = make_tar({"bin/sh": b"#!" * 4000, "./etc/passwd": PASSWD, "etc/group": GROUP})


def layers(*tars: bytes) -> list[LayerAccounts]:
    return [scan([tar], "test") for tar in tars]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", "0:0"),
        ("0", "0:0"),
        ("root", "0:0"),
        ("app", "1000:1001"),
        ("1000", "1000:1001"),
        ("77", "77:78"),
        ("4242", "4242:0"),
        ("10001:10001", "10001:10001"),
        ("app:staff", "1000:50"),
        ("app:7", "1000:7"),
        ("1000:staff", "1000:50"),
        (":staff", "0:50"),
        ("0:5", "0:5"),
    ],
)
def test_users_are_numbered_as_the_engine_numbers_them(user: str, expected: str) -> None:
    assert resolve(user, layers(BOTTOM), "user of x") == expected


@pytest.mark.parametrize("user", ["", "root", "0:0", "10001:10001", "0:5"])
def test_some_users_need_no_look_into_the_image(user: str) -> None:
    assert not accounts.needs_files(user)
    assert resolve(user, [], "user of x")


@pytest.mark.parametrize("user", ["app", "1000", "app:staff", "1000:staff", ":staff"])
def test_others_do(user: str) -> None:
    assert accounts.needs_files(user)


@pytest.mark.parametrize(
    ("user", "expected"), [("nobody", "no user"), ("app:nogroup", "no group"), ("9999999999:1", "not the n")]
)
def test_who_is_not_there_is_refused(user: str, expected: str) -> None:
    with pytest.raises(SourceError, match=expected):
        resolve(user, layers(BOTTOM), "user of x")


@pytest.mark.parametrize("user", ["²", "١", "1" * 11, "1" * 5000, "app:²"])
def test_other_digits_and_endless_ones_are_no_numbers(user: str) -> None:
    with pytest.raises(SourceError, match=r"no user|no group"):
        resolve(user, layers(BOTTOM), "user of x")


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "0x1", ""])
def test_an_entry_without_a_number_is_none(number: str) -> None:
    passwd = f"app:x:{number}:0::/:\napp:x:7:8::/:\n".encode()
    assert resolve("app", layers(make_tar({"etc/passwd": passwd})), "x") == "7:8"


def test_an_upper_layer_wins() -> None:
    upper = make_tar({"etc/passwd": b"app:x:5:6::/:\n"})
    assert resolve("app", layers(BOTTOM, upper, make_tar({"x": b""})), "x") == "5:6"


@pytest.mark.parametrize("whiteout", ["etc/.wh.passwd", "etc/.wh..wh..opq", ".wh.etc"])
def test_a_file_that_an_upper_layer_removes_is_gone(whiteout: str) -> None:
    assert resolve("1000", layers(BOTTOM, make_tar({whiteout: b""})), "x") == "1000:0"


def test_a_file_that_is_replaced_in_an_opaque_directory_counts() -> None:
    upper = make_tar({"etc/.wh..wh..opq": b"", "etc/passwd": b"app:x:5:6::/:\n"})
    assert resolve("app", layers(BOTTOM, upper), "x") == "5:6"


def test_a_link_in_place_of_the_file_is_refused() -> None:
    with pytest.raises(SourceError, match="not a plain file"):
        resolve("app", layers(BOTTOM, make_tar({"etc/passwd": "/run/passwd"})), "x")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_tap_changes_nothing_of_what_passes(compress) -> None:  # type: ignore[no-untyped-def]
    data = compress(BOTTOM)
    tap = Tap("test")
    seen = b"".join(tap.watch([data[:100], data[100:5000], data[5000:]]))
    assert seen == data
    assert resolve("app", [tap.result()], "x") == "1000:1001"


def test_a_tap_on_something_else_says_so() -> None:
    tap = Tap("layer 1")
    assert b"".join(tap.watch([b"no tar " * 1000])) == b"no tar " * 1000
    with pytest.raises(SourceError, match="layer 1"):
        tap.result()


def test_a_tap_ends_when_the_stream_breaks() -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield BOTTOM[:600]
        raise SourceError("broken")

    tap = Tap("test")
    with pytest.raises(SourceError, match="broken"):
        list(tap.watch(broken()))


@pytest.mark.timeout(20)
def test_a_tap_that_breaks_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(pieces: object, what: str) -> LayerAccounts:
        raise MemoryError

    monkeypatch.setattr(accounts, "scan", broken)
    tap = Tap("test")
    assert sum(map(len, tap.watch(bytes(1000) for _ in range(100)))) == 100_000
    with pytest.raises(MemoryError):
        tap.result()
