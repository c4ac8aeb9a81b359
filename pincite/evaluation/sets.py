"""The sets of judgements that can be measured with: those that came with the documents, the person's own, both."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pincite.evaluation.judgements import JudgedQuery, Judgement, load, measurable, project, read
from pincite.storage import Catalog

OWN = "own.jsonl"
"""The file of what the person judges."""


@dataclass(frozen=True, slots=True)
class JudgementSet:
    """Judgements that can be measured with."""

    name: str
    """`sample`, `own` or `both`; `file` where only a path is known."""
    judgements: tuple[Judgement, ...]
    left_out: tuple[str, ...] = ()
    """A line for each that cannot."""

    @property
    def sha256(self) -> str:
        """Of what is judged, in whatever order and whenever."""
        lines = sorted(judgement.model_dump_json(exclude={"by", "at"}) for judgement in self.judgements)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def project(self, index: Path) -> tuple[list[JudgedQuery], list[str]]:
        """Judged queries over what an index holds, and a line for each place or question that is left out."""
        with Catalog(index) as catalog, catalog.reading():
            documents = {place.source: catalog.document(place.source) for j in self.judgements for place in j.places}
        texts = {source: document.text if document else None for source, document in documents.items()}
        queries, lost = project(self.judgements, texts)
        return queries, [*self.left_out, *lost]


def named(folder: Path) -> dict[str, JudgementSet]:
    """The sets that a folder has, by name, none of them empty. Raises `JudgementError`."""
    files = sorted(folder.glob("*.jsonl"))
    own = [file for file in files if file.name == OWN]
    sample = [file for file in files if file.name != OWN]
    found = [_set("sample", read(sample)), _set("own", read(own)), _set("both", read(files))]
    known = [one for one in found if one.judgements]
    return {one.name: one for one in known if one.name != "both" or len(known) == 3}


def at(path: Path, folder: Path) -> JudgementSet:
    """What a path holds, with the name it has in the folder of the settings. Raises `JudgementError`."""
    name = "file"
    if path.resolve() == folder.resolve():
        name = {(True, True): "both", (True, False): "own"}.get(
            ((path / OWN).exists(), any(file.name != OWN for file in path.glob("*.jsonl"))), "sample"
        )
    elif path.resolve() == (folder / OWN).resolve():
        name = "own"
    return _set(name, load(path))


def _set(name: str, judgements: Sequence[Judgement]) -> JudgementSet:
    found, left_out = measurable(judgements)
    return JudgementSet(name, tuple(found), tuple(left_out))
