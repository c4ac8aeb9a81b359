"""Settings: read from one file, refused where they are not understood."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from pincite.errors import SettingsError
from pincite.settings import Model, Page, Passages, Search, Settings, Sync

DOCS = Path(__file__).parents[1] / "docs" / "settings.md"


def load(folder: Path, text: str) -> Settings:
    (folder / "pincite.toml").write_text(text, encoding="utf-8")
    return Settings.load(folder / "pincite.toml")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'pincite.toml'}: ")
    assert message.endswith("; see docs/settings.md")
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'pincite.toml'}: ").removesuffix("; see docs/settings.md")


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.load() == Settings(
        corpus=Path("corpus"),
        index=Path("index"),
        reading_list=Path("reading-list.jsonl"),
        model=Model(name="all-MiniLM-L6-v2", engine="auto"),
        passages=Passages(tokens=128),
        search=Search(results=10, candidates=50),
        sync=Sync(max_megabytes=64, reader_seconds=60, reader_megabytes=2048, ocr=False, watch=False),
        page=Page(upload=False),
    )


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, '\ufeffcorpus = "notes"\n').corpus == tmp_path / "notes"


def test_every_key_can_be_set(tmp_path: Path) -> None:
    text = """
corpus = "texts"
index = "/var/index"
reading_list = "lists/mine.jsonl"
judgments = "judged"
[model]
name = "some/model"
engine = "pytorch"
[passages]
tokens = 120
[search]
results = 5
candidates = 70
[sync]
max_megabytes = 2
reader_seconds = 5
reader_megabytes = 512
ocr = true
watch = true
[page]
upload = true
"""
    assert load(tmp_path, text) == Settings(
        corpus=tmp_path / "texts",
        index=Path("/var/index"),
        reading_list=tmp_path / "lists" / "mine.jsonl",
        judgments=tmp_path / "judged",
        model=Model(name="some/model", engine="pytorch"),
        passages=Passages(tokens=120),
        search=Search(results=5, candidates=70),
        sync=Sync(max_megabytes=2, reader_seconds=5, reader_megabytes=512, ocr=True, watch=True),
        page=Page(upload=True),
    )


def test_relative_paths_count_from_the_file_not_from_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = load(tmp_path / "project", 'corpus = "../texts"\n')
    assert settings.corpus == tmp_path / "project" / ".." / "texts"
    assert settings.index == tmp_path / "project" / "index"


def test_the_file_of_the_current_folder_is_the_one_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    load(tmp_path, "[search]\nresults = 3\n")
    assert Settings.load().search.results == 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("corpsu = 'x'\n", "corpsu: unknown key"),
        ("[passages]\ntoken = 100\n", "passages.token: unknown key"),
        ("[modle]\nname = 'x'\n", "modle: unknown key"),
        ("[passages]\ntokens = 47\n", "passages.tokens: input should be greater than or equal to 48"),
        ("[passages]\ntokens = 9000\n", "passages.tokens: input should be less than or equal to 8192"),
        ("[search]\nresults = 0\n", "search.results: input should be greater than or equal to 1"),
        ("[search]\nresults = 'many'\n", "search.results: input should be a valid integer"),
        ("[search]\ncandidates = 9\n", "search.candidates: input should be greater than or equal to 10"),
        ("[model]\nengine = 'cuda'\n", "model.engine: input should be 'auto', 'openvino' or 'pytorch'"),
        ("[sync]\nmax_megabytes = 0\n", "sync.max_megabytes: input should be greater than or equal to 1"),
        ("[sync]\nreader_seconds = 0\n", "sync.reader_seconds: input should be greater than or equal to 1"),
        ("[sync]\nreader_megabytes = 255\n", "sync.reader_megabytes: input should be greater than or equal to 256"),
        ("corpus = 3\n", "corpus: input is not a valid path"),
        ("model = 'x'\n", "model: input should be a valid dictionary or instance of model"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_key_and_the_reason(
    tmp_path: Path, text: str, complaint: str
) -> None:
    assert refusal(tmp_path, text).startswith(complaint)


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "results: 3\n").startswith("cannot be read (Expected '=' after a key")
    (tmp_path / "pincite.toml").write_bytes(b'corpus = "caf\xe9"')
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load(tmp_path / "pincite.toml")
    (tmp_path / "pincite.toml").unlink()
    (tmp_path / "pincite.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load(tmp_path / "pincite.toml")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().corpus = Path("other")  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        Settings().search.results = 3  # type: ignore[misc]


def keys(table: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Every key with its default, tables spelt out: `passages.tokens`."""
    found: dict[str, object] = {}
    for name, field in table.model_fields.items():
        if isinstance(field.default, BaseModel):
            found |= keys(type(field.default), f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = field.default
    return found


def test_the_documentation_names_every_key_with_its_default_and_no_other() -> None:
    if not DOCS.is_file():
        pytest.skip(f"not there: {DOCS}")
    rows = re.findall(r"^\| `([\w.]+)` \|(.*)\|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    documented = dict(rows)
    assert set(documented) == set(keys(Settings))
    for key, default in keys(Settings).items():
        shown = str(default).lower() if isinstance(default, bool) else "[]" if default == () else str(default)
        assert shown in documented[key], key
