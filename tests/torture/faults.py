"""The faults. Each takes a round whose index is whole, and leaves one that a sync makes whole again."""

import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pincite.errors import PinciteError
from pincite.evaluation import evaluate, judgements, records
from pincite.evaluation.judging import OwnJudgements, indexed_texts
from pincite.evaluation.sets import at
from pincite.reading_list import Entry, ReadingList
from pincite.search import Searcher
from pincite.storage import IndexFolder, IndexReader, Recipe
from pincite.storage.catalog import peek
from pincite.storage.generation import generation_numbers
from pincite.sync import sync
from tests.torture import oracle
from tests.torture.process import Child, Say, give_up_privileges, jump_clock, limit_files
from tests.torture.rounds import Lost, Round

Fault = Callable[[Round], None]


# kill -9


def killed_at_a_moment(r: Round) -> None:
    """A sync is killed, once or several times in a row, each with other changes to take in."""
    before = r.library.held()
    for _ in range(r.rng.randint(1, 3)):
        r.library.change()
        child = r.start(r.syncing())
        child.is_over(r.rng.random() * r.seconds)
        child.kill()
        r.sound(child.outcome())
        before = r.must_be_one_of(before, r.library.held())


def killed_at_a_step(r: Round) -> None:
    """The same between two operations on the index's files, where a clock seldom strikes."""
    before = r.library.held()
    for _ in range(r.rng.randint(1, 3)):
        r.library.change()
        r.run(r.syncing(step=r.rng.randint(1, r.steps), rebuild=r.rng.random() < 0.2))
        before = r.must_be_one_of(before, r.library.held())


def first_sync_killed(r: Round) -> None:
    """There is no index yet; its first sync is killed, and begun again."""
    shutil.rmtree(r.settings.index)
    for _ in range(r.rng.randint(1, 3)):
        r.run(r.syncing(step=r.rng.randint(1, r.steps)))
        r.must_be_one_of({}, r.library.held())


# A full disk


def full_disk(r: Round) -> None:
    """The index lies on a small disk that fills up at a random point; a limit on files where none can be mounted."""
    disk = r.folder / "disk"
    disk.mkdir(exist_ok=True)  # a round may fill it twice
    room = 8 * 2**20
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "none", disk], capture_output=True).returncode:
        return large_files_refused(r)
    whole = r.settings
    try:
        shutil.copytree(whole.index, disk / "index")
        r.settings = whole.model_copy(update={"index": disk / "index"})
        before = r.library.held()
        r.library.change()
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * max(0, shutil.disk_usage(disk).free - r.rng.randrange(300_000)))
        r.run(r.syncing(rebuild=r.rng.random() < 0.2))
        ballast_size = ballast.stat().st_size
        if r.rng.random() < 0.5:  # whoever asks while the disk is still full is answered
            r.answers_from(before, r.library.held(), may_refuse=True)
        assert ballast.stat().st_size == ballast_size
        ballast.unlink()
        r.must_be_one_of(before, r.library.held())
        r.must_sync()
        r.check()
        shutil.rmtree(whole.index)
        shutil.copytree(disk / "index", whole.index)
    finally:
        r.settings = whole
        subprocess.run(["umount", "-l", disk], check=True)
    return None


def large_files_refused(r: Round) -> None:
    """The system lets no file grow beyond a random size."""
    before = r.library.held()
    r.library.change()
    size = r.rng.choice((4_096, 20_000, 40_000, 80_000, 160_000)) + r.rng.randrange(4_096)
    r.run(r.syncing(before=lambda: limit_files(size), rebuild=r.rng.random() < 0.2))
    r.must_be_one_of(before, r.library.held())


# The corpus


def unreadable(r: Round) -> None:
    """Files that cannot be opened and folders that cannot be listed: what is indexed of them stays."""
    before = oracle.files(r.library.held())
    r.library.change()
    after = oracle.files(r.library.held())
    folders = sorted({str(path.parent.relative_to(r.library.root)) for path in r.library.files()} - {"."})
    shut = set(r.rng.sample(folders, min(1, len(folders)))) if r.rng.random() < 0.6 else set()
    locked = set(r.rng.sample(sorted(after), min(len(after), r.rng.randint(1, 3))))
    paths = [r.library.root / name for name in sorted({*shut, *locked})]
    modes = {path: path.stat().st_mode for path in paths}
    try:
        for path in reversed(modes):  # what lies in a folder that is shut can no longer be
            path.chmod(0)
        outcome = r.run(r.syncing(before=give_up_privileges))
    finally:
        for path, mode in sorted(modes.items()):
            path.chmod(mode)
    if outcome.refusal:
        raise Lost(f"a sync of what can be read was refused: {outcome.refusal}")

    def is_shut(source: str) -> bool:
        return source in locked or any(source.startswith(f"{folder}/") for folder in shut)

    expected = {source: sha256 for source, sha256 in after.items() if not is_shut(source)}
    expected |= {source: sha256 for source, sha256 in before.items() if is_shut(source)}
    found = r.run(lambda _say: oracle.state(r.settings)).value
    if found != expected:
        wrong = sorted(s for s in {*found, *expected} if found.get(s) != expected.get(s))
        raise Lost(f"with {sorted(shut)} and {sorted(locked)} shut, these are not as they should be: {wrong}")


def vanishing(r: Round) -> None:
    """The corpus folder goes away, before a sync or in the middle of one, and comes back."""
    before = r.library.held()
    if r.rng.random() < 0.7:
        r.library.change()
    away = r.folder / "away"
    child = None
    if r.rng.random() < 0.7:
        child = r.start(r.syncing())
        child.is_over(r.rng.random() * r.seconds * r.rng.choice((0.1, 1)))
    r.library.root.rename(away)
    outcome = r.sound(child.outcome()) if child else r.run(r.syncing())
    if child is None and not outcome.refusal:
        raise Lost("a sync of a folder that is not there was not refused")
    away.rename(r.library.root)
    after = r.library.held()
    found = r.run(lambda _say: oracle.state(r.settings)).value
    stayed = oracle.files(before).items() & oracle.files(after).items()
    if lost := stayed - found.items():
        raise Lost(f"these went with the folder: {sorted(lost)}")


def changing(r: Round) -> None:
    """Files change, go and come back while they are read: each is taken in as it was at one moment."""
    seen = set(oracle.files(r.library.held()).values())
    r.library.change()
    seen |= set(oracle.files(r.library.held()).values())
    child = r.start(r.syncing(rebuild=r.rng.random() < 0.5))
    while not child.is_over(0.01):
        for path in r.rng.sample(r.library.files(), 2):
            r.library.rewrite(path)
        seen |= set(oracle.files(r.library.held()).values())
    outcome = r.sound(child.outcome())
    if outcome.refusal:
        raise Lost(f"a sync of files that change was refused: {outcome.refusal}")
    found = r.run(lambda _say: oracle.state(r.settings)).value
    if strange := {source for source, sha256 in found.items() if sha256 not in seen}:
        raise Lost(f"these were never like that: {sorted(strange)}")


def clock_jumps(r: Round) -> None:
    """The clock is years wrong in one sync, and right or wrong otherwise in the next, with changes in between."""
    for _ in range(2):
        jump = r.rng.choice((-3e8, -3600.0, -1.0, 1.0, 3600.0, 3e8))
        r.library.change()
        r.run(r.syncing(before=lambda jump=jump: jump_clock(jump)))
        r.must_be_one_of(r.library.held())


# Damage


def damaged(r: Round) -> None:
    """Bits flip, files are cut or go, anywhere in the index: no wrong word is shown, and what is said mends it."""
    held = r.library.held()
    files = sorted(path for path in r.settings.index.rglob("*") if path.is_file())
    for path in r.rng.sample(files, min(len(files), r.rng.choice((1, 1, 1, 2, 3)))):
        _damage(path, r.rng)
    for _ in range(2):
        r.answers_from(held, may_refuse=True)
    r.mend()


def catalog_damaged(r: Round) -> None:
    """The same in the catalog alone, often where a title, a name, a heading or what the index says of itself stands."""
    held = r.library.held()
    file = r.settings.index / "catalog.sqlite"
    data = bytearray(file.read_bytes())
    document = r.rng.choice([held[source].document for source in sorted(held)])
    headings = [section.heading[-1] for section in document.sections if section.heading]
    said = peek(r.settings.index, r.rng.choice(("live_bytes", "next_passage", "manifest", "recipe", "corpus")))
    word = r.rng.choice([document.source, document.title, document.sha256, *headings[:1], said]).encode()
    places = [found.start() for found in re.finditer(re.escape(word), data)] if word else []
    if places and r.rng.random() < 0.6:
        data[r.rng.choice(places) + r.rng.randrange(len(word))] ^= 1 << r.rng.randrange(8)
        file.write_bytes(data)
    else:
        _damage(file, r.rng)
    for _ in range(2):
        r.answers_from(held, may_refuse=True)
    r.mend()


def _damage(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    kind = rng.choice(("bits", "bits", "bits", "bits", "cut", "gone", "zeros", "longer"))
    if kind == "gone":
        path.unlink()
    elif kind == "longer" or not data:
        path.write_bytes(data + rng.randbytes(rng.randint(1, 5000)))
    elif kind == "cut":
        os.truncate(path, rng.randrange(len(data)))
    elif kind == "zeros":
        start = rng.randrange(len(data))
        length = min(len(data) - start, rng.randint(1, 8192))
        data[start : start + length] = bytes(length)
        path.write_bytes(data)
    else:
        for _ in range(rng.choice((1, 1, 2, 20))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)


# Several at once


def readers_and_a_writer(r: Round) -> None:
    """Four ask while one syncs again and again: every answer is wholly of one generation."""
    r.library.stamp("stamp0")
    r.must_sync()
    seed = r.rng.random()

    def reading(say: Say) -> None:
        searcher = Searcher(r.settings, r.embedder())
        while True:
            try:
                answer = searcher.search("which report of the heron and the lake", 40)
            except PinciteError as error:
                say(["refused", str(error), 0])
                continue
            words = " ".join(f"{hit.passage.title} {hit.passage.text}" for hit in answer.hits)
            say([answer.generation, sorted(set(re.findall(r"stamp\d+", words))), len(answer.hits)])

    def writing(_say: Say) -> None:
        r.library.rng = random.Random(seed)
        for turn in range(1, 5):
            r.library.stamp(f"stamp{turn}")
            sync(r.settings, embedder=r.embedder())

    readers = [r.start(reading) for _ in range(4)]
    first = _heard(readers, 0)
    outcome = r.run(writing)
    last = _heard(readers, first + 4)
    for reader in readers:
        reader.kill()
    told = [said for reader in readers for said in r.sound(reader.outcome()).said]
    if outcome.refusal:
        raise Lost(f"the writer was refused: {outcome.refusal}")
    stamps: dict[int, str] = {}
    for number, words, hits in told:
        if number == "refused":
            raise Lost(f"a reader was refused: {words}")
        if len(words) != 1 or not hits:
            raise Lost(f"an answer of generation {number} holds {words} in {hits} hits")
        if stamps.setdefault(number, words[0]) != words[0]:
            raise Lost(f"generation {number} is of {stamps[number]} and of {words[0]}")
    if last != first + 4:
        raise Lost(f"four syncs after generation {first} readers are answered from {last}")


def _heard(readers: Sequence[Child], generation: int) -> int:
    """The generation that all of them have had an answer of, this one at least; 0 if one is at its end, or refused."""
    heard = [0]
    while min(heard) < max(generation, 1):
        if any(reader.is_over(0.01) for reader in readers):
            return 0
        last = [reader.said()[-1:] for reader in readers]
        heard = [0 if not said else said[0][0] for said in last]
        if "refused" in heard:
            return 0
    return max(heard)


def two_writers(r: Round) -> None:
    """Two or three sync at once: one writes, the others wait or are refused in one line."""
    r.library.change()
    children = [r.start(r.syncing()) for _ in range(r.rng.randint(2, 3))]
    outcomes = [r.sound(child.outcome()) for child in children]
    if not any(outcome.is_done for outcome in outcomes):
        raise Lost(f"nobody wrote: {[outcome.refusal for outcome in outcomes]}")
    for outcome in outcomes:
        if outcome.refusal and "another process is writing" not in outcome.refusal:
            raise Lost(f"a second writer was told: {outcome.refusal}")
    r.must_be_one_of(r.library.held())


def held_generation(r: Round) -> None:
    """A reader holds a generation while two more are made: it stays whole until it is let go, and goes then."""
    go_on = r.folder / "go on"
    go_on.unlink(missing_ok=True)  # a round may hold a generation twice

    def holding(say: Say) -> list[str]:
        with IndexReader(IndexFolder(r.settings.index), Recipe.of(r.settings)).snapshot() as snapshot:
            passages = list(snapshot.catalog.all_passages())
            say(snapshot.generation.manifest.generation)
            while not go_on.exists():
                time.sleep(0.01)
            unsound = [str(stored.passage) for stored in passages if not stored.is_sound]
            again = [stored.id for stored in snapshot.catalog.all_passages()]
            if again != [stored.id for stored in passages] or sorted(again) != snapshot.generation.dense.ids.tolist():
                unsound.append("other passages than at first")
            return unsound + [f"no vectors: {stored.passage}" for stored in passages if not snapshot.record(stored)]

    holder = r.start(holding)
    while not holder.said() and not holder.is_over(0.01):
        pass
    r.library.change()
    r.run(r.syncing(rebuild=r.rng.random() < 0.3))
    r.library.change()
    writer = r.start(r.syncing(rebuild=r.rng.random() < 0.3))
    writer.is_over(r.rng.random() * r.seconds)
    index = IndexFolder(r.settings.index)
    number = next(iter(holder.said()), 0)
    if not (index.generation(number) / "manifest.json").is_file():
        raise Lost(f"generation {number} was swept from under its reader")
    go_on.touch()
    outcome = r.sound(holder.outcome())
    if outcome.refusal or outcome.value:
        raise Lost(f"who held generation {number} found {outcome.refusal or outcome.value}")
    if r.sound(writer.outcome()).is_done and len(left := generation_numbers(index)) > 1:
        raise Lost(f"nobody reads them, and they are still there after a sync: generations {left[:-1]}")


# What a person says


def evaluation_killed(r: Round) -> None:
    """Evaluations are killed while they write their records: each record is whole, or not there."""
    _judge(r, lambda: None, 3)
    folder = r.settings.judgments / records.FOLDER

    def evaluating(say: Say) -> None:
        searcher = Searcher(r.settings, r.embedder())
        own = at(r.settings.judgments / "own.jsonl", r.settings.judgments)
        judged, _ = own.project(r.settings.index)
        found = evaluate(searcher, judged, "pincite")
        with searcher.index.snapshot() as snapshot:
            measured = records.Measured.of(snapshot.generation.manifest)
        say("ready")
        while True:
            say(records.keep(records.Record.of(found, own, measured, r.settings), folder).name)

    child = r.start(evaluating)
    while not child.said() and not child.is_over(0.01):
        pass
    child.is_over(r.rng.random() * 0.1)
    child.kill()
    outcome = r.sound(child.outcome())
    found, complaints = records.kept(folder)
    names = {f"{record.name}.json" for record in found}
    if outcome.refusal or complaints or not set(outcome.said[1:]) <= names:
        raise Lost(f"records: {outcome.refusal} {complaints} {sorted(set(outcome.said[1:]) - names)}")


def judging_killed(r: Round) -> None:
    """Two judge and collect at once, and one is killed: every line that came back is there."""
    _judge(r, lambda: None, 40, killed=True)


def judging_on_a_full_disk(r: Round) -> None:
    """There is no room for a line: it is refused, the lines before it stay, and those after it can be read."""
    _judge(r, lambda: None, 3)
    files = (r.settings.judgments / "own.jsonl", r.settings.reading_list)
    largest = max(file.stat().st_size for file in files)
    limit = r.rng.randint(200, largest + 2000)
    _judge(r, lambda: limit_files(limit), 6)
    _judge(r, lambda: None, 2)


def _judge(r: Round, before: Callable[[], object], count: int, killed: bool = False) -> None:
    """Some questions are judged, and as many passages collected, by two processes."""
    own = r.settings.judgments / "own.jsonl"
    turn = time.monotonic_ns()

    def judging(name: str) -> Callable[[Say], None]:
        def work(say: Say) -> None:
            with IndexReader(IndexFolder(r.settings.index), Recipe.of(r.settings)).snapshot() as snapshot:
                passages = [stored.passage for stored in snapshot.catalog.all_passages()]
            before()
            saved = OwnJudgements(own, indexed_texts(r.settings.index))
            listed = ReadingList(r.settings.reading_list)
            for number in range(count):
                passage = passages[number % len(passages)]
                question = f"question {number} of {name} {turn}?"
                entry = Entry(id=f"{name}-{turn}-{number}", source=passage.source, quote=passage.text)
                for save, what in (
                    (lambda q=question, p=passage: saved.grade(q, p, 2), ["judged", question]),
                    (lambda e=entry: listed.put(e), ["collected", entry.id]),
                ):
                    try:
                        save()
                    except PinciteError as error:
                        say(["refused", str(error)])
                    else:
                        say(what)

        return work

    children = [r.start(judging(name)) for name in ("ann", "ben")]
    if killed:
        children[0].is_over(r.rng.random() * 0.2)
        children[0].kill()
    said = [one for child in children for one in r.sound(child.outcome()).said]
    r.judged |= {what for kind, what in said if kind == "judged"}
    r.collected |= {what for kind, what in said if kind == "collected"}
    lines = [j.question for j in judgements.read([own] if own.exists() else [])]
    known = set(lines)
    if len(known) < len(lines):
        raise Lost(f"these were judged once: {[question for question, count in Counter(lines).items() if count > 1]}")
    listed = set(ReadingList(r.settings.reading_list).entries())
    refusals = Counter(what for kind, what in said if kind == "refused")
    if not killed and (known != r.judged or listed != r.collected):
        surplus = sorted((known - r.judged) | (listed - r.collected))
        lost = sorted((r.judged - known) | (r.collected - listed))
        raise Lost(f"lost {lost[:5]}, there though refused {surplus[:5]}; refusals {refusals.most_common(2)}")


FAULTS: dict[Fault, int] = {
    killed_at_a_moment: 5,
    killed_at_a_step: 5,
    first_sync_killed: 1,
    full_disk: 3,
    large_files_refused: 2,
    unreadable: 3,
    vanishing: 3,
    changing: 3,
    clock_jumps: 2,
    damaged: 5,
    catalog_damaged: 3,
    readers_and_a_writer: 2,
    two_writers: 2,
    held_generation: 2,
    evaluation_killed: 1,
    judging_killed: 1,
    judging_on_a_full_disk: 1,
}
"""How often each is drawn."""
SEVERAL = {readers_and_a_writer, two_writers, held_generation, judging_killed}
"""Of processes that are to run at the same time, on as many cores as there are."""
