"""Which language: told for sentences, and not for what has none."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.reading.language import detect

ROOT = Path(__file__).parents[1]
SENTENCES = {
    "en": (
        "The ferry leaves the harbour at twenty to seven and takes three hours. Larger ships "
        "have to wait until the tide is in. Nobody sells tickets on board."
    ),
    "de": (
        "Die Fähre legt um zwanzig vor sieben ab und braucht drei Stunden. Größere Schiffe "
        "müssen auf die Flut warten. An Bord werden keine Fahrkarten verkauft."
    ),
    "fr": (
        "Le bac quitte le port à sept heures moins vingt et met trois heures. Les plus grands "
        "navires doivent attendre la marée. On ne vend pas de billets à bord."
    ),
    "es": (
        "El transbordador sale del puerto a las siete menos veinte y tarda tres horas. Los "
        "barcos más grandes tienen que esperar la marea. A bordo no se venden billetes."
    ),
    "it": (
        "Il traghetto lascia il porto alle sette meno venti e impiega tre ore. Le navi più "
        "grandi devono aspettare la marea. A bordo non si vendono biglietti."
    ),
    "pt": (
        "A balsa sai do porto às vinte para as sete e demora três horas. Os navios maiores "
        "têm de esperar pela maré. Não se vendem bilhetes a bordo."
    ),
    "nl": (
        "De veerboot vertrekt om tien over half zeven uit de haven en doet er drie uur over. "
        "Grotere schepen moeten op het hoogwater wachten. Aan boord zijn geen kaartjes te "
        "koop."
    ),
    "sv": (
        "Färjan lämnar hamnen tjugo i sju och tar tre timmar. Större fartyg måste vänta på "
        "högvattnet. Ombord säljs det inga biljetter."
    ),
    "da": (
        "Færgen forlader havnen tyve minutter i syv og er tre timer undervejs. Større skibe "
        "må vente på højvande. Der sælges ingen billetter om bord."
    ),
    "fi": (
        "Lautta lähtee satamasta kaksikymmentä minuuttia vaille seitsemän, ja matka kestää "
        "kolme tuntia. Suurempien laivojen täytyy odottaa nousuvettä."
    ),
    "pl": (
        "Prom wypływa z portu za dwadzieścia siódma i płynie trzy godziny. Większe statki "
        "muszą czekać na przypływ. Na pokładzie nie sprzedaje się biletów."
    ),
    "cs": (
        "Trajekt vyplouvá z přístavu za dvacet minut sedm a plavba trvá tři hodiny. Větší "
        "lodě musí čekat na příliv. Na palubě se lístky neprodávají."
    ),
    "hu": (
        "A komp húsz perccel hét előtt indul a kikötőből, és három óráig tart az út. A nagyobb "
        "hajóknak meg kell várniuk a dagályt. A fedélzeten nem árulnak jegyet."
    ),
    "tr": (
        "Feribot yediye yirmi kala limandan ayrılır ve yolculuk üç saat sürer. Daha büyük "
        "gemiler gelgiti beklemek zorundadır. Gemide bilet satılmaz."
    ),
    "ru": (
        "Паром отходит без двадцати семь и идёт три часа. Большие суда должны ждать прилива. "
        "На борту билеты не продаются."
    ),
    "uk": (
        "Пором відходить з гавані за двадцять сьома і пливе три години. Більші судна мусять "
        "чекати на приплив. На борту квитків не продають."
    ),
    "el": (
        "Το πλοίο φεύγει από το λιμάνι στις επτά παρά είκοσι και κάνει τρεις ώρες. Τα μεγαλύτερα "
        "πλοία πρέπει να περιμένουν την παλίρροια."
    ),
    "he": (
        "המעבורת יוצאת מהנמל בעשרים לשבע וההפלגה נמשכת שלוש שעות. אוניות גדולות יותר חייבות "
        "להמתין לגאות. על הסיפון לא נמכרים כרטיסים."
    ),
    "ar": (
        "تغادر العبّارة الميناء في السابعة إلا ثلثا وتستغرق الرحلة ثلاث ساعات. يجب على السفن "
        "الكبيرة أن تنتظر المد. لا تباع التذاكر على متنها."
    ),
    "hi": (
        "नौका सात बजने से बीस मिनट पहले बंदरगाह से निकलती है और तीन घंटे लेती है। बड़े जहाज़ों "
        "को ज्वार की प्रतीक्षा करनी पड़ती है। नाव पर टिकट नहीं मिलते।"
    ),
    "ja": (
        "フェリーは七時二十分前に港を出て、三時間かかります。大きな船は満ち潮を待たなければなりません。"
        "船内では切符を売っていません。乗る前に窓口で買ってください。"
    ),
    "zh": (
        "渡轮在六点四十分离开港口，航行需要三个小时。较大的船只必须等待涨潮才能进港。船上不出售船票，"
        "请在上船以前到码头的售票窗口购买。"
    ),
    "ko": (
        "여객선은 일곱 시 이십 분 전에 항구를 떠나 세 시간이 걸립니다. 더 큰 배들은 밀물을 "
        "기다려야 합니다. 배 안에서는 표를 팔지 않습니다."
    ),
}
C = "for (int i = 0; i < n; ++i) { if (a[i] > max) { max = a[i]; } }\nreturn max * (n - 1) / 2;\n"
PYTHON = "def total(rows):\n    return sum(row[3] * row[4] for row in rows if row[0] not in skipped)\n\nx = {'a': 1}\n"


@pytest.mark.parametrize("language", SENTENCES)
def test_two_or_three_sentences_are_enough(language: str) -> None:
    assert detect(SENTENCES[language]) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The ferry leaves at seven.",
        "12.5\t13\t14\n" * 30,
        "2024-05-01 06:40 GMT+2, 54.32 N 10.14 E; " * 30,
        C,
        PYTHON,
        "=" * 500,
        "Anna Schmidt\tBerlin\nPeter Müller\tHamburg\nJohn Smith\tLondon\nMaria Rossi\tRoma\nJean Dupont\tParis\n",
        "qzx wvk jjq xkq zzv qqj " * 20,
    ],
    ids=["nothing", "one sentence", "numbers", "times and places", "C", "Python", "a rule", "names", "no words"],
)
def test_what_has_no_sentences_has_no_language(text: str) -> None:
    assert detect(text) == ""


def test_the_language_of_most_of_the_text_counts_however_long_it_is() -> None:
    german, english = SENTENCES["de"], SENTENCES["en"]
    assert detect(english + "\n\n" + german * 100) == "de"
    assert detect(german * 100 + "\n\n" + english) == "de"
    assert detect(german * 2 + english * 1000) == "en"


def test_a_text_of_any_length_takes_no_more_than_a_sample_does() -> None:
    text = SENTENCES["en"] * 200_000  # 30 million characters
    detect(SENTENCES["en"])
    started = time.process_time()
    assert detect(text) == "en"
    assert time.process_time() - started < 0.5


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.text(max_size=4000))
def test_any_text_gives_a_code_of_two_letters_or_nothing(text: str) -> None:
    language = detect(text)
    assert language == "" or (len(language) == 2 and language.isascii() and language.islower())


def test_the_model_is_loaded_with_the_first_text_that_has_sentences() -> None:
    code = (
        "import sys; from pincite.reading.language import detect; detect('12 13 14 ' * 50);"
        "print('numpy' in sys.modules); detect('They sail daily. ' * 5); print('numpy' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert printed.split() == ["False", "True"]
