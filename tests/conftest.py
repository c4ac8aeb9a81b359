"""What tests share: the real model, and the sample corpus indexed once."""

import os
from pathlib import Path

import pytest

from pincite import embedding
from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The default model on the engine that this machine gets."""
    return embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty corpus folder and no index yet."""
    (tmp_path / "corpus").mkdir()
    return Settings(corpus=tmp_path / "corpus", index=tmp_path / "index")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Settings:
    """The sample corpus, indexed. Not to be written to."""
    settings = Settings(corpus=ROOT / "corpus", index=tmp_path_factory.mktemp("sample") / "index")
    sync(settings, embedder=embedder)
    return settings


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test collections and documents beside the project."""
    folder = Path(os.environ.get("PINCITE_SHARED", ROOT.parent / "shared"))
    if not (folder / "seed").is_dir():
        pytest.skip(f"the folder of test material is not there: {folder}")
    return folder
