"""What is left alone: as git leaves it, with hidden things besides."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.errors import CorpusError
from pincite.reading.ignore import FILE, IgnoreRules

FILES = [
    "a.txt", "b.md", "x y.txt", "#a", "!a.txt", "keep/a.txt", "keep/b.md", "keep/sub/a.txt", "sub/a.txt",
    "sub/keep/b.md", "sub/deep/keep/a.txt", "ab/a.md", "build/out/a.txt", "build/out/deep/b.md",
]  # fmt: skip
ATOMS = [
    "*", "**", "a", "b", "keep", "sub", "deep", "build", "out", ".txt", ".md", "?", "[ab]", "[!a].txt", "*.txt",
    "*.md", "a.txt", "/", "/", "\\#a", "\\!a.txt", "x y.txt", " ", "**/", "/**", "keep/", "/*", "# a", "[a-x]",
]  # fmt: skip
# Two stars inside a name, and empty names, have no documented meaning.
UNCLEAR = re.compile(r"[^/!]\*\*|\*\*[^/]|//|^!?/? *$")
PATTERNS = st.builds(
    lambda taken_back, atoms: "!" * taken_back + "".join(atoms),
    st.booleans(),
    st.lists(st.sampled_from(ATOMS), min_size=1, max_size=3),
).filter(lambda line: not UNCLEAR.search(line))


def write(corpus: Path, *sources: str, **rules: str) -> IgnoreRules:
    """Rules by folder; the corpus folder is called `top`."""
    for source in sources:
        (corpus / source).parent.mkdir(parents=True, exist_ok=True)
        (corpus / source).write_text("text", encoding="utf-8")
    for folder, text in rules.items():
        (corpus / folder.removeprefix("top") / FILE).write_text(text, encoding="utf-8")
    return IgnoreRules(corpus, corpus.parent / "index")


def left(corpus: Path) -> set[str]:
    """Files that are not ignored, each asked about on its own."""
    rules = IgnoreRules(corpus, corpus.parent / "index")
    files = [path.relative_to(corpus).as_posix() for path in corpus.rglob("*") if path.is_file()]
    return {source for source in files if not rules.is_ignored(source, is_folder=False)}


def left_by_git(corpus: Path) -> set[str]:
    listed = subprocess.run(
        ["git", "-C", corpus, "ls-files", "--others", "-z", f"--exclude-per-directory={FILE}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return {source for source in listed.split("\0") if source and not source.split("/")[-1].startswith(".")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    write(folder, *FILES)
    return folder


@pytest.mark.parametrize(
    ("lines", "files"),
    [
        (["*.txt"], {"b.md", "#a", "keep/b.md", "sub/keep/b.md", "ab/a.md", "build/out/deep/b.md"}),
        (["/*.txt"], {*FILES} - {"a.txt", "x y.txt", "!a.txt"}),
        (["keep/"], {source for source in FILES if "keep/" not in source}),
        (["/keep"], {source for source in FILES if not source.startswith("keep/")}),
        (["sub/keep"], {*FILES} - {"sub/keep/b.md"}),
        (["**/deep"], {source for source in FILES if "deep/" not in source}),
        (["build/**"], {source for source in FILES if not source.startswith("build/")}),
        (["build/**/"], {source for source in FILES if not source.startswith("build/")}),
        (["keep/**/"], {*FILES} - {"keep/sub/a.txt"}),
        (["sub/**/a.txt"], {*FILES} - {"sub/a.txt", "sub/deep/keep/a.txt"}),
        (["*", "!keep/", "!*.md"], {"b.md", "keep/b.md"}),
        (["sub", "!keep/"], {source for source in FILES if "sub/" not in source}),
        (["keep/*", "!keep/b.md"], {*FILES} - {"keep/a.txt", "keep/sub/a.txt"}),
        (["keep/", "!keep/b.md"], {source for source in FILES if "keep/" not in source}),
        (["# *", "", "   ", "\\#a", "\\!a.txt"], {*FILES} - {"#a", "!a.txt"}),
        (["x y.txt   "], {*FILES} - {"x y.txt"}),
        (["?.txt", "[!a].md"], {*FILES} - {source for source in FILES if source.split("/")[-1] in ("a.txt", "b.md")}),
    ],
)
def test_patterns_mean_what_they_mean_to_git(repository: Path, lines: list[str], files: set[str]) -> None:
    write(repository, top="\n".join(lines) + "\n")
    assert left(repository) == files
    assert left_by_git(repository) == files


@hypothesis_settings(deadline=None, max_examples=100)
@given(
    top=st.lists(PATTERNS, max_size=4),
    keep=st.none() | st.lists(PATTERNS, max_size=3),
    sub=st.none() | st.lists(PATTERNS, max_size=3),
)
def test_any_patterns_mean_what_they_mean_to_git(
    repository: Path, top: list[str], keep: list[str] | None, sub: list[str] | None
) -> None:
    for folder, lines in {".": top, "keep": keep, "sub": sub}.items():
        if lines is None:
            (repository / folder / FILE).unlink(missing_ok=True)
        else:
            (repository / folder / FILE).write_text("\n".join(lines), encoding="utf-8")
    assert left(repository) == left_by_git(repository)


def test_hidden_things_are_ignored_with_all_below(tmp_path: Path) -> None:
    rules = write(tmp_path, ".a", "b/.c/d/e.txt", "f.txt", top="!.a\n!.c\n")
    assert rules.is_ignored(".a", is_folder=False)
    assert rules.is_ignored("b/.c", is_folder=True)
    assert rules.is_ignored("b/.c/d/e.txt", is_folder=False)
    assert not rules.is_ignored("b", is_folder=True)
    assert not rules.is_ignored("f.txt", is_folder=False)
    assert not rules.is_ignored("", is_folder=True)


def test_a_pattern_of_a_folder_is_about_what_lies_below_that_folder(tmp_path: Path) -> None:
    rules = write(tmp_path, "a/b/c.txt", "a/c.txt", "c.txt", "d.txt", top="*.txt\n", a="!/c.txt\n/b\n")
    ignored = {
        source: rules.is_ignored(source, is_folder=False) for source in ("a/b/c.txt", "a/c.txt", "c.txt", "d.txt")
    }
    assert ignored == {"a/b/c.txt": True, "a/c.txt": False, "c.txt": True, "d.txt": True}


def test_names_in_any_script_count_as_characters(tmp_path: Path) -> None:
    rules = write(tmp_path, top="?.txt\nÜbung/\n")
    assert rules.is_ignored("é.txt", is_folder=False)
    assert rules.is_ignored("😀.txt", is_folder=False)
    assert not rules.is_ignored("éé.txt", is_folder=False)
    assert rules.is_ignored("Übung", is_folder=True)
    assert not rules.is_ignored("Übung", is_folder=False)


def test_the_rules_of_an_ignored_folder_are_not_read(tmp_path: Path) -> None:
    rules = write(tmp_path, "a/b.txt", top="a/\n", a="[broken\n")
    assert rules.is_ignored("a/b.txt", is_folder=False)


@pytest.mark.parametrize("line", ["[a", "a[", "[z-a]", "\\", "a\\", "!", "/", "[[:digit:]]", "x[![.a.]]", "[]"])
def test_a_line_that_is_no_pattern_is_named(tmp_path: Path, line: str) -> None:
    rules = write(tmp_path, "a/b.txt", top="*.md\n", a=f"# mine\n\n{line}\n")
    assert rules.is_ignored("c.md", is_folder=False)
    with pytest.raises(CorpusError) as caught:
        rules.is_ignored("a/b.txt", is_folder=False)
    assert str(caught.value) == f"{tmp_path}/a/{FILE}: line 3: not a pattern: {line!r}: write it as in a .gitignore"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"a\nb\ncaf\xe9\n")
    with pytest.raises(CorpusError) as caught:
        IgnoreRules(tmp_path, tmp_path / "index").is_ignored("a", is_folder=False)
    assert str(caught.value) == f"{tmp_path}/{FILE}: line 3: not in UTF-8: save it as UTF-8"
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(CorpusError) as caught:
        IgnoreRules(tmp_path, tmp_path / "index").is_ignored("a", is_folder=False)
    assert str(caught.value) == f"{tmp_path}/{FILE}: not a regular file: mend it or remove it"


def test_a_byte_order_mark_is_no_part_of_the_first_pattern(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xef\xbb\xbfa.txt\r\n")
    assert IgnoreRules(tmp_path, tmp_path / "index").is_ignored("a.txt", is_folder=False)
