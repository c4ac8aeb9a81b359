"""The Symbol font, in which older documents set Greek and mathematics without Unicode."""

# Adobe's encoding of Symbol, 0x20 to 0x7E and 0xA0 to 0xFE; a space stands where it has none or only pieces
# of brackets.
_LOW = " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_ αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
_HIGH = "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…  ↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑           ⟩∫⌠ ⌡         "
_SYMBOL = {0x20 + place: sign for place, sign in enumerate(_LOW)} | {
    0xA0 + place: sign for place, sign in enumerate(_HIGH)
}


def symbol(font: str, code: str) -> str:
    """The character that a hexadecimal code means in a font; empty where that cannot be told."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    if 0xF000 <= number <= 0xF0FF:  # where Office keeps what is in a font that is not Unicode
        return _SYMBOL.get(number - 0xF000, "").strip() if font.lower() == "symbol" else ""
    return chr(number) if 0x20 <= number < 0xD800 else ""
