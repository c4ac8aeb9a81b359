"""What of a corpus folder is not meant to be read: hidden things, and what `.pinciteignore` names.

    rules = IgnoreRules(corpus, index)
    rules.is_ignored("drafts", is_folder=True)

Such a file may lie in the corpus folder and in any below it. Its patterns are those of `.gitignore`, relative
to its folder: what a deeper file says goes before, and within one file the last line that fits. Nothing below
an ignored folder can be taken back.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from pincite.errors import CorpusError, Unreadable
from pincite.reading import read_bytes

FILE = ".pinciteignore"
_FOLDERS_BELOW = re.compile(r"/\*\*/\s*$")
"""The library takes `a/**/` for `a/`."""
_CHARACTER_CLASS = re.compile(r"\[[^]]*\[[:.=]")
"""The library takes `[[:digit:]]` for the signs that stand there."""


class IgnoreRules:
    """Asked during one walk: each `.pinciteignore` is read once, when its folder is first asked about."""

    def __init__(self, corpus: Path, index: Path) -> None:
        """`index` is left alone, too, if it lies in the corpus folder."""
        self._corpus = corpus
        self._rules: dict[str, list[tuple[int, _Rule]]] = {}
        self._folders = {"": False}
        """Folder → whether it is ignored."""
        self.index = ""
        """The path of the index under the corpus; empty where it lies elsewhere."""
        if (index := index.resolve()).is_relative_to(corpus := corpus.resolve()):
            self.index = index.relative_to(corpus).as_posix()
            self._folders[self.index] = True

    def is_ignored(self, source: str, is_folder: bool) -> bool:
        """Whether the file or folder at this path under the corpus is left alone.

        Raises `CorpusError`, with file and line, for a `.pinciteignore` that cannot be read or understood.
        """
        if is_folder and source in self._folders:
            return self._folders[source]
        folder, _, name = source.rpartition("/")
        ignored = (
            name.startswith(".") or self.is_ignored(folder, is_folder=True) or self._is_named(source, folder, is_folder)
        )
        if is_folder:
            self._folders[source] = ignored
        return ignored

    def _is_named(self, source: str, folder: str, is_folder: bool) -> bool:
        for start, rule in self._rules_for(folder):
            if rule.fits(source[start:], is_folder):
                return rule.ignores
        return False

    def _rules_for(self, folder: str) -> "list[tuple[int, _Rule]]":
        """The rules for what lies in a folder, the deepest first, each with where the paths that it is about begin."""
        if folder not in self._rules:
            start = len(folder) + 1 if folder else 0
            own = [(start, rule) for rule in _rules(self._corpus / folder / FILE)]
            self._rules[folder] = own + (self._rules_for(folder.rpartition("/")[0]) if folder else [])
        return self._rules[folder]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line of the file."""

    ignores: bool
    only_folders: bool
    expression: re.Pattern[str]

    def fits(self, path: str, is_folder: bool) -> bool:
        """Whether the line names this path itself; what lies below a folder that it names is another matter."""
        return (is_folder or not self.only_folders) and bool(self.expression.search(f"{path}/" if is_folder else path))


def _rules(file: Path) -> list[_Rule]:
    """The last line first."""
    try:
        if not file.exists():
            return []
    except PermissionError:  # a folder that may not be entered: its files say so
        return []
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except Unreadable as error:
        raise CorpusError(f"{file}: {error}: mend it or remove it") from error
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise CorpusError(f"{file}: line {number}: not in UTF-8: save it as UTF-8") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    rules = [_rule(line, file, number) for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    return rules[::-1]


def _rule(line: str, file: Path, number: int) -> _Rule:
    try:
        if _CHARACTER_CLASS.search(line):
            raise ValueError("a class of characters")
        pattern = GitIgnoreSpecPattern(_FOLDERS_BELOW.sub("/**/*/", line))
        if pattern.include is None or pattern.regex is None:
            raise ValueError("fits nothing")
    except (ValueError, re.error) as error:
        what = f"not a pattern: {line.strip()!r}: write it as in a .gitignore"
        raise CorpusError(f"{file}: line {number}: {what}") from error
    expression = pattern.regex.pattern
    # The library's expressions go on to what lies below a folder; ours end where the path ends.
    if "(?P<ps_d>/)" in expression:
        expression += r"\Z"
    elif expression.endswith("/"):
        expression += "."
    return _Rule(pattern.include, line.rstrip().endswith("/"), re.compile(expression))
