"""Files into the corpus folder: only there, only what can be read, never over another one, whole or not at all."""

import os
import stat
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pincite import upload
from pincite.errors import OutputError, UploadRefused
from pincite.reading import READERS
from pincite.settings import Settings, Sync
from pincite.sync import preview
from pincite.ui.serve import most_megabytes


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(settings: Settings, folder: str, name: str, data: bytes = b"words") -> str:
    before = files(settings.corpus.parent)
    with pytest.raises(UploadRefused) as caught:
        upload.put(settings, folder, name, data)
    assert files(settings.corpus.parent) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_written_whole_and_found_by_the_next_look(settings: Settings) -> None:
    (settings.corpus / "reports").mkdir()
    assert upload.put(settings, "", "tides.md", b"# Tides\n") == "added"
    assert upload.put(settings, "reports", "may 2024.txt", b"May.") == "added"
    assert files(settings.corpus) == {"tides.md": b"# Tides\n", "reports/may 2024.txt": b"May."}
    assert preview(settings).added == ["reports/may 2024.txt", "tides.md"]
    assert list(preview(settings).skipped) == []


def test_another_file_stays_until_it_is_to_be_replaced(settings: Settings) -> None:
    upload.put(settings, "", "tides.md", b"old")
    (settings.corpus / "tides.md").chmod(0o640)
    assert upload.put(settings, "", "tides.md", b"old") == "same"
    assert upload.put(settings, "", "tides.md", b"old", replace=True) == "same"
    assert upload.put(settings, "", "tides.md", b"new") == "taken"
    assert files(settings.corpus) == {"tides.md": b"old"}
    assert upload.put(settings, "", "tides.md", b"new", replace=True) == "replaced"
    assert files(settings.corpus) == {"tides.md": b"new"}
    assert stat.S_IMODE((settings.corpus / "tides.md").stat().st_mode) == 0o640


def test_replacing_what_is_gone_adds_it(settings: Settings) -> None:
    assert upload.put(settings, "", "tides.md", b"new", replace=True) == "added"


def test_the_same_name_composed_and_decomposed_is_one(settings: Settings) -> None:
    decomposed = unicodedata.normalize("NFD", "café.md")
    (settings.corpus / decomposed).write_bytes(b"old")
    assert upload.put(settings, "", "café.md", b"new") == "taken"
    assert upload.put(settings, "", decomposed, b"new", replace=True) == "replaced"
    assert files(settings.corpus) == {decomposed: b"new"}
    (settings.corpus / decomposed).unlink()
    assert upload.put(settings, "", decomposed, b"new") == "added"
    assert files(settings.corpus) == {"café.md": b"new"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "a file without a name: not the name of a file"),
        ("../tides.md", "not the name of a file"),
        ("/etc/tides.md", "not the name of a file"),
        ("..", "not the name of a file"),
        ("a\\b.md", "not the name of a file"),
        ("a\0.md", "not the name of a file"),
        (".hidden.md", "hidden files are not indexed"),
        (".pinciteignore", "hidden files are not indexed"),
        ("line\nbreak.md", "line\N{REPLACEMENT CHARACTER}break.md: its name holds characters that cannot be seen"),
        ("\u202efdp.md", "its name holds characters that cannot be seen"),
        (" tides.md", "begins or ends with a space"),
        ("tides.md.", "ends with a dot"),
        ("CON.md", "a name that Windows keeps for itself"),
        ("lpt1.txt", "a name that Windows keeps for itself"),
        ("a" * 198 + ".md", "its name is longer than 200 bytes"),
        ("é" * 99 + ".md", "its name is longer than 200 bytes"),
        ("photo.jpg", "no reader for .jpg: save it in a format that can be read"),
        ("README", "no reader for files without an ending"),
        ("\ud800.md", "its name is not valid Unicode"),
    ],
)
def test_a_name_that_no_file_should_have_is_refused(settings: Settings, name: str, why: str) -> None:
    assert why in refusal(settings, "", name)


ENDINGS = st.sampled_from([*READERS, "", ".exe", ".MD"])
NAMES = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="./\\\0\n \u202eaé\u0301\U0001f600CON:*?~$", max_size=20),
    st.sampled_from(["..", "../..", "~", "CON", "nul", "%2e%2e%2f", "a/../../b", "\uff0e\uff0e\uff0fa", "\u2215etc"]),
)


@given(NAMES, ENDINGS, st.sampled_from(["", "below", "..", "/", "below/..", "nowhere", ".git", "link"]))
@example("e\u0301", ".md", "")
@example("\u2024\u2024/x", ".md", "")
def test_whatever_the_name_one_file_is_in_the_chosen_folder_or_nothing_happened(
    name: str, ending: str, folder: str
) -> None:
    with tempfile.TemporaryDirectory() as root:
        corpus, outside = Path(root) / "corpus", Path(root) / "outside"
        for made in (corpus / "below", corpus / ".git", outside):
            made.mkdir(parents=True)
        (corpus / "link").symlink_to(outside)
        settings = Settings(corpus=corpus, index=Path(root) / "index")
        try:
            outcome = upload.put(settings, folder, name + ending, b"words")
        except UploadRefused:
            assert files(Path(root)) == {}
            return
        assert outcome == "added"
        assert folder in ("", "below")
        ((source, data),) = files(Path(root)).items()
        assert data == b"words"
        written = unicodedata.normalize("NFC", name + ending)
        assert source == f"corpus/{folder}/{written}".replace("//", "/")
        assert preview(settings).added == [f"{folder}/{written}".removeprefix("/")]


def test_the_folder_must_be_one_that_is_offered(settings: Settings, tmp_path: Path) -> None:
    for name in ("b", "a/c", ".hidden", "drafts"):
        (settings.corpus / name).mkdir(parents=True)
    (settings.corpus / "link").symlink_to(tmp_path)
    (settings.corpus / ".pinciteignore").write_text("drafts/\nsecret*\n")
    (settings.corpus / "file.md").write_text("words")
    assert upload.folders(settings) == ["", "a", "a/c", "b"]
    within = settings.model_copy(update={"index": settings.corpus / "a" / "c"})
    assert upload.folders(within) == ["", "a", "b"]
    with pytest.raises(UploadRefused, match="the folder that it should go to is not there"):
        upload.put(within, "a/c", "x.txt", b"x")
    for folder in ("..", "link", ".hidden", "drafts", "file.md", "a/", "./a", str(tmp_path)):
        assert "the folder that it should go to is not there any more" in refusal(settings, folder, "tides.md")
    assert "named in .pinciteignore, so it would not be indexed" in refusal(settings, "a", "secret.md")


def test_a_link_or_a_folder_of_the_name_is_not_followed(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("outside")
    (settings.corpus / "link.md").symlink_to(tmp_path / "outside.md")
    (settings.corpus / "dangling.md").symlink_to(tmp_path / "nowhere.md")
    (settings.corpus / "folder.md").mkdir()
    for name in ("link.md", "dangling.md", "folder.md"):
        assert "a folder or a link has this name" in refusal(settings, "", name)
    assert (tmp_path / "outside.md").read_text() == "outside"


def test_the_size_is_that_of_the_settings(settings: Settings) -> None:
    small = settings.model_copy(update={"sync": Sync(max_megabytes=1)})
    assert "larger than 1 MB (sync.max_megabytes)" in refusal(small, "", "tides.md", b"x" * (2**20 + 1))
    assert upload.put(small, "", "tides.md", b"x" * 2**20) == "added"
    assert preview(small).added == ["tides.md"]
    assert "empty" in refusal(small, "", "nothing.md", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(settings: Settings) -> None:
    settings.corpus.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=r"tides\.md: cannot be written \(Permission denied\)"):
            upload.put(settings, "", "tides.md", b"words")
    finally:
        settings.corpus.chmod(0o700)


def test_a_full_disk_leaves_nothing_behind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"tides\.md: cannot be written \(No space left on device\)"):
        upload.put(settings, "", "tides.md", b"words")
    assert files(settings.corpus) == {}


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("", 1),
        ("[sync]\nmax_megabytes = 300\n", 1),
        ("[sync]\nmax_megabytes = 300\n[page]\nupload = true\n", 300),
        ("[page]\nupload = 'perhaps'\n", 1),
    ],
)
def test_the_server_takes_no_larger_files_than_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, megabytes: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pincite.toml").write_text(text)
    assert most_megabytes() == megabytes
