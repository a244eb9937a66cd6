"""Sentence templates: plain text with `{slot}` and `[this|that|]` choices (an empty choice leaves it out)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random

Filler = Callable[[Random], str]
_PART = re.compile(r"\[([^\[\]]*)\]|\{([a-z0-9_]+)\}|([^\[\]{}]+)")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template that a filler of this name fills."""

    name: str


# A template is a sequence of places; each place offers choices; each choice is a sequence of literals and slots.
Piece = str | Slot
Choice = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """One parsed template. `source` is the line as written and its identity for the train/dev/test split."""

    source: str
    group: str
    places: tuple[tuple[Choice, ...], ...]

    def slots(self) -> Iterator[str]:
        """Names of the slots, in order, over all choices."""
        for choices in self.places:
            for choice in choices:
                for piece in choice:
                    if isinstance(piece, Slot):
                        yield piece.name

    def is_bare(self) -> bool:
        """True when the template is nothing but one slot: the value is the whole sentence."""
        return re.fullmatch(r"\{[a-z0-9_]+\}[。.，,？?]?", self.source) is not None

    def fill(self, fillers: Mapping[str, Filler], rng: Random) -> str:
        """One spoken sentence. Raises KeyError for a slot without a filler."""
        out: list[str] = []
        for choices in self.places:
            choice = choices[0] if len(choices) == 1 else choices[int(rng.random() * len(choices))]
            out.extend(piece if isinstance(piece, str) else fillers[piece.name](rng) for piece in choice)
        return "".join(out)

    def variety(self) -> int:
        """How many ways the choices combine, slots not counted."""
        count = 1
        for choices in self.places:
            count *= len(choices)
        return count

    def every(self) -> Iterator[str]:
        """Every sentence of a template without slots."""
        for chosen in product(*self.places):
            yield "".join(piece for choice in chosen for piece in choice if isinstance(piece, str))


def _pieces(text: str) -> Choice:
    return tuple(
        Slot(match.group(2)) if match.group(2) else match.group(3) for match in _PART.finditer(text) if match.group(0)
    )


def parse(source: str, group: str) -> Template:
    """Parse one template line. Raises ValueError where brackets do not match or nest."""
    places: list[tuple[Choice, ...]] = []
    position = 0
    for match in _PART.finditer(source):
        if match.start() != position:
            break
        position = match.end()
        if match.group(1) is not None:
            places.append(tuple(_pieces(choice) for choice in match.group(1).split("|")))
        else:
            places.append((_pieces(match.group(0)),))
    if position != len(source):
        raise ValueError(f"template {source!r} in group {group!r}: unbalanced or nested bracket at {position}")
    return Template(source, group, tuple(places))
