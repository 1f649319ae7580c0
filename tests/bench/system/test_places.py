"""Untrusted names stay within their folder, and folders made by other users are refused."""

import os
import unicodedata

import pytest

from liquidbench import predictions
from liquidbench.engine.machine import occupied
from liquidbench.system.places import file_name, private_folder, within

HOSTILE = (
    "../../../up", "..", ".", "", "/etc/cron.d/x", "a/../../b", "C:\\Windows\\x", "..\\..\\x", "~root", "-rf", ".ssh",
    "nul", "COM1.txt", "a\0b", "a\nb", "x" * 400, "ä" * 200, "a.", "a ", "\u202egpj.exe", "\ud800", "$(touch x)", "a|b",
)  # fmt: skip


def test_no_name_is_a_path(tmp_path):
    names = [file_name(name) for name in HOSTILE]
    assert len(set(names)) == len(HOSTILE), "different names stay different"
    for name in names:
        assert name.isascii() and 0 < len(name) <= 110 and name[0] not in ".-~ " and name[-1] not in ". "
        assert not set(name) & set("/\\:\0\n|$<>\"'*?")
        assert all(unicodedata.category(character)[0] != "C" for character in name)
        assert within(tmp_path, name).parent == tmp_path
        within(tmp_path, name).write_bytes(b"")
    assert len(list(tmp_path.iterdir())) == len(HOSTILE)


def test_harmless_names_stay_as_they_are():
    for name in ("occupancy-excerpt", "room 7", "a.b_c", "CfC-mm", "seed-3-split-1-0123456789abcdef", "x (2), y=1"):
        assert file_name(name) == name


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside" / "task").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="must be in .*inside, but a link there leads to .*outside; remove the link"):
        within(tmp_path / "inside", "task", "run")
    assert within(tmp_path / "inside", "other", "run") == tmp_path / "inside" / "other" / "run"


def test_predictions_are_asked_for_below_their_folder(tmp_path):
    for name in HOSTILE:
        assert predictions.path(tmp_path, name).resolve().parent == tmp_path / "predictions"


@pytest.mark.skipif(os.name != "posix", reason="needs owners and modes")
class TestPrivateFolder:
    @pytest.fixture(autouse=True)
    def temporary(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        self.path = tmp_path / f"liquidbench-{os.getuid()}"

    def refused(self, words):
        before = sorted(self.path.parent.rglob("*"))
        with pytest.raises(PermissionError, match=words) as caught, occupied(exclusive=False):
            pass
        assert str(self.path) in str(caught.value) and "set TMPDIR to a folder of your own" in str(caught.value)
        assert sorted(self.path.parent.rglob("*")) == before, "nothing is written"

    def test_it_is_made_for_this_user_alone(self):
        before = os.umask(0)
        try:
            assert private_folder() == self.path == private_folder()
        finally:
            os.umask(before)
        assert self.path.stat().st_mode & 0o777 == 0o700
        with occupied(exclusive=True):
            pass

    def test_a_link_is_refused(self, tmp_path):
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        self.path.symlink_to(tmp_path / "elsewhere")
        self.refused("it is a link to .*elsewhere")

    def test_a_link_to_nothing_is_refused(self, tmp_path):
        self.path.symlink_to(tmp_path / "nothing")
        self.refused("it is a link to .*nothing")

    @pytest.mark.parametrize("mode", [0o777, 0o750, 0o1777])
    def test_one_that_is_open_to_others_is_refused(self, mode):
        self.path.mkdir()
        self.path.chmod(mode)
        self.refused("is open to others")

    def test_that_of_another_user_is_refused(self, monkeypatch):
        self.path.mkdir(mode=0o700)
        if os.getuid() == 0:
            os.chown(self.path, 12345, 12345)
        else:
            another = os.getuid() + 1
            monkeypatch.setattr(os, "getuid", lambda: another)
            self.path = self.path.rename(self.path.with_name(f"liquidbench-{os.getuid()}"))
        self.refused("it belongs to user")
