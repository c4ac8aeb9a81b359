"""Settings: one frozen object, read from `pincite.toml`. `docs/settings.md` explains every key."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pincite.errors import SettingsError

FILE = Path("pincite.toml")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Table):
    """Which model embeds, and how it is run."""

    name: str = "all-MiniLM-L6-v2"
    """`all-MiniLM-L6-v2` is the packaged one; anything else is a sentence-transformers name or path."""
    engine: Literal["auto", "openvino", "pytorch"] = "auto"
    precision: Literal["auto", "int8"] = "auto"
    """Of the passages' matrix products; `auto` is bfloat16 where the processor has it."""


class Passages(_Table):
    """How documents are cut."""

    tokens: int = Field(default=128, ge=48, le=8192)
    """Most tokens of a passage as the model reads it, context line and special tokens included."""


class Search(_Table):
    """How a question is answered."""

    results: int = Field(default=10, ge=1, le=100)
    """Hits shown when nothing else is asked for."""
    candidates: int = Field(default=50, ge=10, le=1000)
    """Passages fetched by vector, and again by words, before they are ranked."""


class Engine(_Table):
    """What searches the index."""

    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Of a Milvus server; empty: the index folder itself."""
    name: str = Field(default="pincite", pattern=r"^[A-Za-z](?:_?[A-Za-z0-9])*$", max_length=64)
    """Of this index there; its collections begin with it."""


class Reranker(_Table):
    """What reads question and passage together, before hits are shown."""

    model: str = ""
    """A sentence-transformers cross-encoder, by name or path; empty: none."""


class Sync(_Table):
    """How a corpus folder is taken in."""

    max_megabytes: int = Field(default=64, ge=1)
    """Larger files are skipped and listed."""
    reader_seconds: int = Field(default=60, ge=1, le=86_400)
    """Time for reading one file; what takes longer is skipped and listed."""
    reader_megabytes: int = Field(default=2048, ge=256, le=2**20)
    """Memory for reading one file; what needs more is skipped and listed."""
    ocr: bool = False
    """Whether text is recognised in images of pages, with what requirements-ocr.txt names."""
    watch: bool = False
    """Whether the page's server syncs by itself when the corpus folder changes."""


class Page(_Table):
    """What may be done from the page."""

    upload: bool = False
    """Whether it takes files into the corpus folder."""


class ApiKey(_Table):
    """Who may ask over HTTP, and for what."""

    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    """As the log has it."""
    role: Literal["read", "curate"] = "read"
    """`curate`: also sync and evaluate."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the key, in hexadecimal; the key itself is kept by whoever uses it."""


class Api(_Table):
    """How questions are taken over HTTP."""

    keys: tuple[ApiKey, ...] = ()
    """Without any, only this machine may ask, for anything."""
    per_second: int = Field(default=200, ge=1, le=100_000)
    """Requests of one key, or without one of one address, at most."""
    waiting: int = Field(default=64, ge=1, le=10_000)
    """Requests that are being answered or wait for it, at most."""
    seconds: int = Field(default=10, ge=1, le=3600)
    """Time for a request to arrive, and for a client to take some of an answer."""
    log_questions: bool = False
    """Whether the log has what was asked."""


class Settings(_Table):
    """Everything that can be set. Relative paths count from the settings file's folder."""

    corpus: Path = Path("corpus")
    index: Path = Path("index")
    reading_list: Path = Path("reading-list.jsonl")
    """Where the passages that a person collects are kept, with notes."""
    judgments: Path = Path("judgments")
    """Where judgements lie, and the records of evaluations."""
    model: Model = Model()
    passages: Passages = Passages()
    search: Search = Search()
    engine: Engine = Engine()
    reranker: Reranker = Reranker()
    sync: Sync = Sync()
    page: Page = Page()
    api: Api = Api()

    @classmethod
    def load(cls, file: Path = FILE) -> "Settings":
        """Read `file`; where there is none, the defaults hold.

        Raises `SettingsError` for TOML that cannot be read, an unknown key or a bad value.
        """
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file}: cannot be read ({error}); see docs/settings.md") from error
        try:
            settings = cls.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].lower()
            raise SettingsError(f"{file}: {key}: {what}; see docs/settings.md") from error
        located = ("corpus", "index", "reading_list", "judgments")
        paths = {key: file.parent / getattr(settings, key) for key in located}
        return settings.model_copy(update=paths)
