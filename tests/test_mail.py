"""Mail and mailboxes: who wrote what to whom, each message with its place."""

import contextlib
import mailbox
import os
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import reading
from pincite.errors import Unreadable
from pincite.reading import mail, mbox
from pincite.reading.content import Content, decode

GERMAN = "Die Fähre fährt um 6:40 Uhr ab – größere Schiffe müssen länger warten."
HEAD = "From: Ann <ann@example.org>\nTo: Bo <bo@example.org>\nDate: Mon, 02 Mar 2026 10:00:00 +0000"


def letter(subject: str = "Ferries", body: str = "They sail daily.\n", **options: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Ann <ann@example.org>"
    message["To"] = "Bo <bo@example.org>"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0000"
    message.set_content(body, **options)
    return message


def named(content: Content) -> list[tuple[str, tuple[str, ...]]]:
    return [(content.text[s.start :].splitlines()[0], s.heading) for s in content.sections]


def parts(content: Content) -> list[tuple[str, int, str]]:
    return [(part.name, part.number, content.text[part.start : part.end]) for part in content.parts]


# One message


def test_a_message_is_its_subject_its_people_and_its_body(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(letter().as_bytes())
    document = reading.read(tmp_path / "a.eml", "a.eml")
    assert document.text == f"Ferries\n\n{HEAD}\n\nThey sail daily."
    assert (document.title, document.media_type, document.reader) == ("Ferries", "message/rfc822", "mail/2")
    assert [(section.start, section.heading) for section in document.sections] == [(0, ("Ferries",))]
    assert (document.parts, document.coverage.left_out, document.remarks) == ((), (), ())


@pytest.mark.parametrize("cte", ["quoted-printable", "base64", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
def test_a_body_is_decoded_however_it_was_sent(cte: str, charset: str) -> None:
    message = letter("Fähre – größer", GERMAN, cte=cte, charset=charset)
    message["Cc"] = "Jörg Müller <j@example.org>"
    content = mail.read(message.as_bytes())
    assert content.title == "Fähre – größer"
    head = HEAD.replace("\nDate", "\nCc: Jörg Müller <j@example.org>\nDate")
    assert content.text == f"Fähre – größer\n\n{head}\n\n{GERMAN}"
    assert content.remarks == (
        () if charset == "utf-8" else ("decoded from Windows-1252",) if False else content.remarks
    )


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-2022-jp", "治療は約四十分かかります。"),
        ("koi8-r", "Паром отходит без двадцати семь."),
        ("gb2312", "治疗大约需要四十分钟。"),
        ("iso-8859-15", "Das kostet 5 € für alle."),
    ],
)
def test_the_charset_that_a_part_declares_is_believed(charset: str, text: str) -> None:
    content = mail.read(letter(text, text, charset=charset, cte="base64").as_bytes())
    assert (content.title, content.text.split("\n\n")[2], content.remarks) == (text, text, (f"decoded from {charset}",))


@pytest.mark.parametrize("charset", [b"unknown-8bit", b"nonsense", b"us-ascii", b'"', b"idna", b"utf-8"])
def test_a_wrong_or_unknown_charset_is_guessed(charset: bytes) -> None:
    head = (
        b"Subject: =?"
        + (charset.strip(b'"') or b"x")
        + b"?q?Gr=F6=DFer?= =?x?b?!?=\nContent-Type: text/plain; charset="
    )
    content = mail.read(head + charset + b"\n\n" + GERMAN.encode("cp1252"))
    assert content.text.endswith("\n\n" + GERMAN)
    assert content.title.startswith("Größer")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("=?utf-8?q?Gr=C3?= =?utf-8?q?=B6=C3=9Fe?= and \\ud800 =?ISO-8859-1*de?Q?=FCber?=", "Größe and \\ud800 über"),
        ("=?utf-8?b?4oKs?=5 =?utf-8?b?a?= a =?b?=", "€5 =?utf-8?b?a?= a =?b?="),
        ("plain = ? and =?x", "plain = ? and =?x"),
    ],
)
def test_encoded_words_are_decoded_and_what_only_looks_like_one_stays(value: str, words: str) -> None:
    assert mail.read(f"Subject: {value}\n\nText".encode()).title == words


def test_a_header_of_bare_bytes_and_one_that_is_folded_are_read() -> None:
    content = mail.read("Subject: Die Fähre\n  fährt\nFrom: Jörg\n\nText".encode())
    assert content.text == "Die Fähre fährt\n\nFrom: Jörg\n\nText"


def test_the_plain_one_of_two_alternatives_is_read_and_html_where_it_is_alone() -> None:
    both = letter(body="The plain one.")
    both.add_alternative("<h1>Two</h1><p>The other.</p>", subtype="html")
    assert mail.read(both.as_bytes()).text == f"Ferries\n\n{HEAD}\n\nThe plain one."
    both = letter(body=" \n")
    both.add_alternative("<h1>Two</h1><p>The <b>other</b>.</p>", subtype="html")
    assert mail.read(both.as_bytes()).text == f"Ferries\n\n{HEAD}\n\nTwo\n\nThe other."


def test_a_plain_one_that_says_no_more_than_that_there_is_another_is_not_read() -> None:
    stub = "This message cannot be shown here: open it in a browser."
    newsletter = letter(body=stub)
    newsletter.add_alternative(f"<h1>Timetable</h1><p>{'The ferry leaves at six. ' * 10}</p>", subtype="html")
    assert mail.read(newsletter.as_bytes()).text == (
        f"Ferries\n\n{HEAD}\n\nTimetable\n\n{' '.join(['The ferry leaves at six.'] * 10)}"
    )
    alike = letter(body="The ferry leaves at six. " * 30)  # a letter is not short
    alike.add_alternative(f"<p>{'The ferry leaves at six. ' * 200}</p>", subtype="html")
    assert mail.read(alike.as_bytes()).text.count("six") == 30


def test_headings_and_tables_of_an_html_body_stand_under_the_subject() -> None:
    page = (
        "<title>no</title><div style='display:none'>preview</div><h1>Fares</h1><table><tr><th>Who<th>Price"
        "<tr><td>Car<td>40</table><table><tr><td><h2>Notes</h2><p>Dogs travel free.</td></tr></table>"
        "<footer>Ann</footer>"
    )
    content = mail.read(letter(body=page, subtype="html").as_bytes())
    assert content.text == f"Ferries\n\n{HEAD}\n\nFares\n\nWho\tPrice\nCar\t40\n\nNotes\n\nDogs travel free.\n\nAnn"
    assert named(content) == [
        ("Ferries", ("Ferries",)),
        ("Fares", ("Ferries", "Fares")),
        ("Notes", ("Ferries", "Fares", "Notes")),
    ]
    assert [(t.header, content.text[t.start : t.end]) for t in content.tables] == [("Who | Price", "Car\t40")]
    assert content.coverage.left_out == (("hidden elements", 1),)


def test_attachments_are_left_out_counted_and_named() -> None:
    message = letter()
    for number in range(12):
        message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename=f"fähre {number}.pdf")
    message.add_attachment("as text", filename="notes.txt")
    content = mail.read(message.as_bytes())
    assert content.text == f"Ferries\n\n{HEAD}\n\nThey sail daily."
    assert content.coverage.left_out == (("attachments", 13),)
    named = ", ".join(f"fähre {number}.pdf" for number in range(10))
    assert content.remarks == (f"attachments left out: {named} and 3 more",)


def test_pictures_in_the_text_are_no_attachments() -> None:
    message = letter(body="<p>Look: <img src='cid:a'></p>", subtype="html")
    message.add_related(b"GIF89a", "image", "gif", cid="<a>")
    content = mail.read(message.as_bytes())
    assert (content.text, content.coverage.left_out) == (f"Ferries\n\n{HEAD}\n\nLook:", (("pictures in the text", 1),))


def test_a_forwarded_message_is_a_further_message_below_the_first() -> None:
    inner = letter("Prices", "A car costs 40.")
    inner.add_attachment(letter("Dogs", "They travel free."))
    outer = letter(body="See below.")
    outer.add_attachment(inner)
    content = mail.read(outer.as_bytes())
    assert content.text == (
        f"Ferries\n\n{HEAD}\n\nSee below.\n\nPrices\n\n{HEAD}\n\nA car costs 40.\n\nDogs\n\n{HEAD}\n\nThey travel free."
    )
    assert named(content) == [
        ("Ferries", ("Ferries",)),
        ("Prices", ("Ferries", "Prices")),
        ("Dogs", ("Ferries", "Prices", "Dogs")),
    ]


ENCRYPTED = (
    b"Subject: Secret\nContent-Type: multipart/encrypted; boundary=x\n\n--x\n"
    b"Content-Type: application/pgp-encrypted\n\nVersion: 1\n"
    b"--x\nContent-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n--x--\n"
)


@pytest.mark.parametrize(
    "data",
    [
        ENCRYPTED,
        b"Subject: Secret\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB\n",
        b"Subject: Secret\n\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n",
    ],
    ids=["PGP", "S/MIME", "PGP in the text"],
)
def test_an_encrypted_message_is_refused_and_one_in_a_mailbox_left_out(data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^encrypted: save it decrypted$"):
        mail.read(data)
    content = mbox.read(b"From a\n" + data + b"\nFrom b\nSubject: Open\n\nText\n")
    assert parts(content) == [("message", 1, "Secret"), ("message", 2, "Open\n\nText")]
    assert (content.coverage.searchable, content.coverage.left_out) == (0.5, (("encrypted bodies", 1),))


def test_a_signed_message_is_read_without_its_signature() -> None:
    content = mail.read(
        b"Subject: Signed\nContent-Type: multipart/signed; boundary=x\n\n--x\nContent-Type: text/plain\n\nText\n"
        b"--x\nContent-Type: application/pgp-signature; name=a.asc\n\n-----BEGIN PGP SIGNATURE-----\n--x--\n"
    )
    assert (content.text, content.coverage.left_out) == ("Signed\n\nText", ())


# Mailboxes


def test_a_mailbox_is_its_messages_as_the_standard_library_splits_them(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "a.mbox")
    bodies = ["One.\n\nFrom here on it is deep.\n", "> quoted\n\n> From the quoted\n\nFrom: Bo\n", "Größe\n"]
    for number, body in enumerate(bodies):
        box.add(letter(f"Subject {number}", body))
    box.close()
    document = reading.read(tmp_path / "a.mbox", "a.mbox")
    with contextlib.closing(mailbox.mbox(tmp_path / "a.mbox")) as witness:
        assert [message["subject"] for message in witness] == ["Subject 0", "Subject 1", "Subject 2"]
    assert [document.text[part.start : part.end] for part in document.parts] == [
        f"Subject {number}\n\n{HEAD}\n\n{body.rstrip()}" for number, body in enumerate(bodies)
    ]
    assert [(part.name, part.number) for part in document.parts] == [("message", 1), ("message", 2), ("message", 3)]
    assert (document.title, document.media_type) == ("", "application/mbox")
    assert [section.heading for section in document.sections] == [("Subject 0",), ("Subject 1",), ("Subject 2",)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_messages_begin_after_a_blank_line_and_before_a_header(newline: str) -> None:
    text = (
        "From - Mon Mar  2 10:00:00 2026\nSubject: One\n\na\nFrom b: not after a blank line\n\nFrom here on, prose\n"
        "goes on.\n\nFrom \nX-Id: 2\n\nTwo has no subject.\n>From x\n>>From y\n"
    )
    content = mbox.read(text.replace("\n", newline).encode())
    assert parts(content) == [
        ("message", 1, "One\n\na\nFrom b: not after a blank line\n\nFrom here on, prose\ngoes on."),
        ("message", 2, "Two has no subject.\nFrom x\n>From y"),
    ]
    assert named(content) == [("One", ("One",)), ("Two has no subject.", ())]


def nested(levels: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(levels))
    return b"Subject: Deep\n" + head + b"\nText\n"


def test_a_message_that_nests_too_deep_is_refused_and_the_rest_of_the_mailbox_read() -> None:
    started = time.process_time()
    assert mail.read(nested(50)).text == "Deep\n\nText"
    with pytest.raises(Unreadable, match=r"^damaged: parts nest too deep$"):
        mail.read(nested(1_000))
    content = mbox.read(b"From a\n" + nested(1_000) + b"\nFrom b\nSubject: Flat\n\nText\n")
    assert parts(content) == [("message", 2, "Flat\n\nText")]
    assert content.coverage.left_out == (("messages that cannot be read", 1),)
    assert content.remarks == ("message 1: damaged: parts nest too deep",)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("reader", "data", "reason"),
    [
        (mail, b"", "empty"),
        (mail, b"Just words.\n", "not of this format"),
        (mail, b"%PDF-1.7\n\x00\x01", "not of this format"),
        (mail, os.urandom(4_000), "not of this format"),
        (mbox, b"", "empty"),
        (mbox, b"Subject: One\n\nText\n", "not of this format"),
        (mbox, b"From here on it is prose.\n", "not of this format"),
    ],
)
def test_what_is_no_mail_says_why(reader: object, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        reader.read(data)  # type: ignore[attr-defined]
    assert str(caught.value) == reason


def test_long_headers_and_white_space_take_no_time() -> None:
    started = time.process_time()
    mail.read(b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n\nText")
    mail.read(b"Subject: a" + b" " * 500_000 + b"b\nTo:" + b" a@b.c,\n" * 100_000 + b"\n\n" + b" " * 500_000 + b"x")
    assert time.process_time() - started < 3


def example() -> bytes:
    message = letter("Fähre", GERMAN)
    message.add_alternative("<h1>Fähre</h1><table><tr><th>a<th>b<tr><td>1<td>2</table>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="fähre.pdf")
    message.add_attachment(letter("Inner"))
    return message.as_bytes()


WHOLE = example()
PIECES = [
    b"\n", b"\n\n", b"=?utf-8?b?", b"?=", b"Content-Type: ", b"multipart/mixed", b"message/rfc822", b"; boundary=x",
    b"--x\n", b'charset="', b"filename*0*=x''%", b"Content-Transfer-Encoding: base64\n", b"x-uuencode",
    b"\nbegin 6 a\n",
    b"Content-Disposition: ", b"\xff", b"\x00", b"message/delivery-status", b"text/html; charset=utf-16", b"<", b":",
    b"utf-7", b"=?x?q?=", b"\r", b"From a\n", b";", b"'", b"name*9999999999=1", b"unicode_escape", b"\\ud800",
]  # fmt: skip


@hypothesis_settings(deadline=None, max_examples=400)
@given(changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 60), st.sampled_from(PIECES)), max_size=8))
def test_a_spoiled_message_is_read_or_refused(changes: list[tuple[int, int, bytes]]) -> None:
    data = WHOLE
    for place, length, put in changes:
        place %= len(data)
        data = data[:place] + put + data[place + length :]
    for reader, spoiled in ((mail, data), (mbox, b"From a\n" + data + b"\nFrom b\n" + data)):
        try:
            content = reader.read(spoiled)
        except Unreadable:
            continue
        assert content.text.encode().decode() == content.text
        starts = [section.start for section in content.sections]
        assert starts == sorted(starts)
        assert all(content.text[part.start : part.end].strip() for part in content.parts)


@hypothesis_settings(deadline=None, max_examples=100)
@given(body=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_body_comes_back_but_for_white_space_at_its_edges(body: str) -> None:
    content = mail.read(letter(body=body, cte="base64").as_bytes())
    assert content.text.split(HEAD)[1].split() == decode(body.encode())[0].split()
