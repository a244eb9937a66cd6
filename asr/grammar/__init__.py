"""The text the recogniser learns from: what people say on a repayment reminder call, and everyday speech."""

from asr.grammar.sentences import Sentence, sentences
from asr.grammar.splits import Lang, Split

__all__ = ["Lang", "Sentence", "Split", "sentences"]
