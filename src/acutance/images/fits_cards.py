"""Cards of FITS headers as bytes: a card that is not changed is written again to the byte, however odd it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from acutance.images.fits_layout import BLOCK, CARD

Cards = list[bytes]
"""The cards, of 80 bytes each, without END."""

_TEXT = CARD - 8
_STRUCTURE = re.compile(
    rb"(XTENSION|SIMPLE|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|TTYPE\d+|TFORM\d+|TUNIT\d+|TDISP\d+|TNULL\d+|TSCAL\d+"
    rb"|TZERO\d+|TDIM\d+|THEAP|ZIMAGE|ZTENSION|ZSIMPLE|ZEXTEND|ZBITPIX|ZNAXIS\d*|ZPCOUNT|ZGCOUNT|ZTILE\d+|ZCMPTYPE"
    rb"|ZNAME\d+|ZVAL\d+|ZQUANTIZ|ZDITHER0|ZSCALE|ZZERO|ZMASKCMP|ZHECKSUM|ZDATASUM) *$"
)


def split_cards(head: bytes) -> Cards:
    """The cards of a header."""
    cards = [head[at : at + CARD] for at in range(0, len(head), CARD)]
    return cards[: next(n for n, card in enumerate(cards) if card[:8] == b"END     ")]


def joined(cards: Cards) -> bytes:
    """A header of whole blocks."""
    head = b"".join([*cards, b"END".ljust(CARD)])
    return head.ljust(-(-len(head) // BLOCK) * BLOCK)


def has(cards: Cards, key: str) -> bool:
    """Tell whether there is a card of this keyword."""
    return any(card[:8] == key.encode().ljust(8) for card in cards)


def without(cards: Cards, *keys: str) -> Cards:
    """The cards but those of some keywords."""
    names = [key.encode().ljust(8) for key in keys]
    return [card for card in cards if card[:8] not in names]


def put(cards: Cards, key: str, value: float) -> Cards:
    """The cards with another number in the first one of a keyword, its comment kept; none is added."""
    name = key.encode().ljust(8)
    out = list(cards)
    for n, card in enumerate(cards):
        if card[:8] == name:
            comment = re.search(rb" /.*", card[10:])
            number = f"{value}" if isinstance(value, int) else f"{value:.16G}"
            number = number if isinstance(value, int) or "." in number or "E" in number else f"{number}."
            written = name + b"= " + number.encode().rjust(20) + (comment[0] if comment else b"")
            out[n] = written[:CARD].ljust(CARD)
            break
    return out


def with_history(cards: Cards, lines: Sequence[str]) -> Cards:
    """The cards and HISTORY behind them; a line longer than a card goes on in the next one."""
    more: Cards = []
    for line in lines:
        text = line.encode("ascii", "replace")
        parts = [text[at : at + _TEXT] for at in range(0, len(text), _TEXT)]
        more += [(b"HISTORY " + part).ljust(CARD) for part in parts]
    filled = list(cards)
    while filled and not filled[-1].strip():  # blank cards keep place for more
        filled.pop()
    return filled + more


def with_structure(new: Cards, old: Cards) -> Cards:
    """Take the cards that say how data are stored from `new`, all others from `old`."""
    structure = [card for card in new if _STRUCTURE.match(card[:8])]
    return structure + [card for card in old if not _STRUCTURE.match(card[:8])]
