"""Which language is spoken: what the gate can judge, and what a call's script has.

The rules read Mandarin and English. Another script is seen by its characters; another language in Latin letters by
its commonest words, none of which is an English word: two of them, and more of them than of English ones, are enough.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.events import Lang
from compliance_checks.folding import View, fold, is_han


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Little words without accents, as folding leaves them, of the languages spoken most beside English on such calls.
_FOREIGN: Final = _words(
    "usted ustedes su sus el los las una unos que por favor pagar pague pago debe deuda dinero hoy manana"
    " ahora gracias hola buenos buenas dias tardes senor senora llamar llamaremos policia carcel casa"
    " familia tiene para con del muy pero porque cuando donde esta este esto nosotros somos es estamos"
    " vous votre vos le les des une est pas payer payez dette argent aujourd hui maintenant merci bonjour"
    " monsieur madame nous avec dans mais sur appeler prison famille ou sie ihr ihre ihnen der das und"
    " nicht bitte zahlen geld heute jetzt danke guten herr frau wir ist ein eine mit auf aber wenn polizei"
    " gefangnis schulden voce seu sua os nao divida dinheiro hoje agora obrigado ola senhor voces lei suo"
    " il gli che non pagare debito soldi oggi adesso grazie buongiorno signore noi siamo anda saya kami"
    " yang tidak hutang bayar sila sekarang hari ini dengan untuk dan polis terima kasih uang kamu harus"
    " segera kepada po kayo ninyo ang ng mga utang bayaran magbayad ngayon hindi namin salamat aap aapka"
    " aapko hai hain nahi paise karo kijiye abhi humein hum karna padega bhugtan ban anh chi phai tra tien"
    " ngay khong chung toi"
)
_ENGLISH: Final = _words(
    "the a an and or of to in on at is are was were be been am i you he she it we they my your his her"
    " our their this that these those not no do does did have has had will would can could may might shall"
    " should must if then so but with for from by about as up out what when where who how why which there"
    " here please thank thanks hello hi yes ok okay sorry good call pay payment paid due loan account bank"
    " money today tomorrow day days number help name time me him them us any some all just now"
)
# Short or shared words that an English sentence may hold as a name or by chance.
_SHARED: Final = _words(
    "es ban ou po das le il el com con per dan chi sue non lei hum sila des los las una del para mit ist mai"
)
_WORD: Final = re.compile(r"[a-z]+")


def foreign(text: str) -> bool:
    """True if folded Latin ``text`` is in a language that the rules do not read."""
    strange = english = weak = 0
    for word in _WORD.findall(text):
        if word in _ENGLISH:
            english += 1
        elif word in _FOREIGN:
            if word in _SHARED:
                weak += 1
            else:
                strange += 1
    return strange >= 2 and strange + weak > english


def stretches(original: str, base: View, lang: Lang, case: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Offsets in ``original`` of what is not in ``lang``, the case file's own names and products aside.

    In a Mandarin call: two Latin words or more in a row, or a sentence without an ideograph; single words (App, AI,
    PIN) belong to the language. In an English call: any ideograph.
    """
    own = [
        span
        for value in case.values()
        if isinstance(value, str) and 0 < len(value) <= 60 and (wanted := fold(value.strip()).text)
        for span in (found.span() for found in re.finditer(re.escape(wanted), base.text))
    ]

    def known(start: int, end: int) -> bool:
        return any(low <= start and end <= high for low, high in own)

    if lang == "en":
        for match in re.finditer("[\u3400-\u9fff]+", base.text):
            if not known(*match.span()):
                yield base.origin(*match.span())
        return
    for match in re.finditer(r"[^。！？!?.\n；;]+", base.text):
        sentence = match.group()
        words = [w for w in re.finditer(r"[a-z]+(?:'[a-z]+)?", sentence) if not known(*_at(match, w))]
        if words and not any(map(is_han, sentence)):
            yield base.origin(match.start() + words[0].start(), match.start() + words[-1].end())
            continue
        for left, right in itertools.pairwise(words):
            if not re.search(r"[^\s,，、:-]", sentence[left.end() : right.start()]):
                yield base.origin(match.start() + left.start(), match.start() + right.end())


def _at(outer: re.Match[str], inner: re.Match[str]) -> tuple[int, int]:
    return outer.start() + inner.start(), outer.start() + inner.end()
