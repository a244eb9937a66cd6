"""The semantic model: it only adds refusals, fails closed, and says clearly when it cannot be loaded."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.events import CallFacts, Lang, Party, Proposed
from compliance_checks import Gate
from compliance_checks.checks import default_checks
from compliance_checks.corpus import FOLDER, default_facts, load, read
from compliance_checks.policy import Policies
from compliance_checks.rulebook import Rulebook
from compliance_checks.semantic import EMBEDDED, Judgement, SemanticCheck, SemanticError, load_model
from compliance_checks.semantic.linear import BUCKETS
from compliance_checks.semantic.store import write
from compliance_checks.semantic.text import MAX_UNITS, mask, windows
from scripts.errors import RenderError
from scripts.loader import find_scripts, parse
from scripts.render import fill

BOOK = Rulebook()
RULES = Gate.load(semantic=None)
BOTH = Gate.load(semantic="embedded")
MODEL = load_model("embedded")
DONE = frozenset({"ai_disclosure", "recording_disclosure"})
FACTS = CallFacts("zh", "borrower", None, {"amount_due": "3500.00", "currency": "CNY", "lender": "安心银行"}, DONE)
SLOTS: dict[str, Any] = {
    "credit_report_due": True,
    "date_option_1": "2026-11-24",
    "date_option_2": "2026-12-01",
    "amount_option_1": "300.00",
    "amount_option_2": "500.00",
    "callback_date": "2026-11-23",
    "callback_time": "15:30",
    "payee": "Anxin",
    "plan_name": "Anxin",
}
FINE = "谢谢您接听电话，请问您方便吗？"


class Stub:
    """A model with one answer, or one error, for everything."""

    name = "stub"
    fingerprint = "stub"

    def __init__(self, answer: float | Exception, category: str = "threat", per_text: int = 1) -> None:
        self.answer = answer
        self.category = category
        self.per_text = per_text
        self.seen: list[str] = []

    def threshold(self, lang: Lang) -> float:
        return 0.9

    def judge(self, texts: Sequence[str], lang: Lang, party: Party) -> list[Judgement]:
        self.seen += texts
        if isinstance(self.answer, Exception):
            raise self.answer
        return [Judgement(self.answer, self.category) for _ in texts for _ in range(self.per_text)]


def gate_with(model: Any) -> Gate:
    return Gate(BOOK, Policies(None, BOOK.hash), default_checks(BOOK), SemanticCheck(model))


# ----------------------------------------------------------------------------------------------- only adds


def test_it_lifts_nothing_and_adds_only_its_own_findings() -> None:
    rows = random.Random(4).sample(load(), 250)
    for row in rows:
        alone, both = RULES.judge(row.text, row.call()), BOTH.judge(row.text, row.call())
        if alone.decision != "allow":
            assert (both.decision, both.rules) == (alone.decision, alone.rules)
        elif both.decision != "allow":
            assert [hit.id.partition(".")[0] for hit in both.rules] == ["semantic"]
            assert both.decision == "refuse"
            assert both.text == ""
            assert set(both.rules[0].explanation) == {"zh", "en"}
            assert both.rules[0].clause


def test_a_model_that_allows_everything_lifts_nothing() -> None:
    yes = gate_with(Stub(0.0))
    assert yes.judge("再不还钱我们就报警抓你。", FACTS).decision == "refuse"
    assert yes.judge(FINE, FACTS).decision == "allow"


@pytest.mark.parametrize("answer", [0.9, 1.0, math.nan, math.inf])
def test_at_the_threshold_and_without_a_number_it_refuses(answer: float) -> None:
    verdict = gate_with(Stub(answer)).judge(FINE, FACTS)
    assert verdict.decision == "refuse"
    assert [hit.id for hit in verdict.rules] == ["semantic.threat"]
    assert (verdict.rules[0].start, verdict.rules[0].end) == (0, len(FINE))


@pytest.mark.parametrize(
    "model", [Stub(ValueError("x")), Stub(MemoryError()), Stub(0.0, per_text=2), Stub(0.0, per_text=0)]
)
def test_a_model_that_breaks_refuses(model: Stub) -> None:
    verdict = gate_with(model).judge(FINE, FACTS)
    assert verdict.decision == "refuse"
    assert [hit.id for hit in verdict.rules] == ["gate.cannot_judge"]


def test_a_line_is_judged_like_free_text() -> None:
    line = Proposed("ask", FINE, "zh", purposes=frozenset({"ask_payment"}))
    assert gate_with(Stub(0.1)).approve(line, FACTS)[1] is not None
    assert gate_with(Stub(0.99)).approve(line, FACTS)[1] is None


def test_what_the_case_file_makes_true_is_not_the_models_to_judge() -> None:
    sued = replace(FACTS, case={**FACTS.case, "lawsuit_filed": True})
    assert gate_with(Stub(0.99, "false_consequence")).judge(FINE, FACTS).decision == "refuse"
    assert gate_with(Stub(0.99, "false_consequence")).judge(FINE, sued).decision == "allow"
    assert gate_with(Stub(0.99, "threat")).judge(FINE, sued).decision == "refuse"


# ---------------------------------------------------------------------------------------- what it reads


def test_names_and_numbers_are_masked_and_injected_values_are_not() -> None:
    case = {"borrower_name": "张伟", "lender": "安心银行"}
    assert mask("张伟您好，安心银行提醒您还3500元，三千五百元", "zh", case) == "\uf001您好，\uf003提醒您还0元，0元"
    hostile = {"borrower_name": "请马上还款", "lender": "否则。我们报警"}
    assert mask("请马上还款否则。我们报警", "zh", hostile) == "请马上还款否则。我们报警"


def test_every_sentence_of_a_long_text_is_judged_by_itself() -> None:
    sentences = [f"第{'甲乙丙丁戊己庚辛壬癸'[i % 10]}句话说的是普通的事情而已" for i in range(60)]
    found = windows("。".join(sentences), "zh")
    assert set(sentences) <= set(found)
    assert all(len(window) <= MAX_UNITS for window in found)
    assert sum(map(len, found)) <= 5 * len("。".join(sentences))
    assert windows("", "zh") == ()


def test_a_violation_is_seen_behind_any_length_of_courtesy() -> None:
    stub = Stub(0.0)
    gate_with(stub).judge((FINE * 40) + "今晚记得早点回家睡。", FACTS)
    assert "今晚记得早点回家睡" in stub.seen


def test_windows_of_unbroken_text_overlap() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(300))
    found = windows(text, "zh")
    assert all(any(text[i : i + 20] in window for window in found) for i in range(280))


# ------------------------------------------------------------------------------------------------ loading


def test_missing_and_broken_files_are_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SemanticError, match="there is no semantic model"):
        Gate.load(semantic=tmp_path / "none.npz")
    content = EMBEDDED.read_bytes()
    broken = {
        "empty.npz": b"",
        "text.npz": b"not a zip",
        "cut.npz": content[: len(content) // 2],
        "flipped.npz": content[:5000] + bytes(b ^ 0xFF for b in content[5000:5200]) + content[5200:],
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SemanticError) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 9},
        {"share": 1.5},
        {"meaning": {"zh": 0.3}},
        {"meaning": {"zh": 0.3, "en": -0.1}},
        {"pieces": ["a", "b"]},
        {"threshold": {"zh": 0, "en": 0.9}},
        {"threshold": {"zh": 0.9}},
        {"categories": ["threat"]},
        {"scale": {"zh": [1], "en": [1]}},
        {"arrays": ["nowhere"]},
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with np.load(EMBEDDED) as stored:
        meta = json.loads(bytes(stored["meta"]))
        arrays = {name: stored[name] for name in stored.files if name != "meta"}
    text = json.dumps({**meta, **change}).encode()
    np.savez(tmp_path / "changed.npz", meta=np.frombuffer(text, np.uint8), **arrays)
    with pytest.raises(SemanticError, match=r"changed\.npz"):
        load_model(tmp_path / "changed.npz")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    weights = {"linear.weights": np.full((BUCKETS, 2), np.nan, np.float32), "linear.bias": np.zeros(2, np.float32)}
    meta = {"name": "x", "categories": ["threat"], "threshold": {"zh": 0.9, "en": 0.9}, "share": 0.0}
    meta["meaning"] = {"zh": 0.0, "en": 0.0}
    meta["scale"] = {"zh": [1, 0], "en": [1, 0]}
    with np.errstate(invalid="ignore"):
        write(tmp_path / "nan.npz", weights, meta)
    with pytest.raises(SemanticError, match=r"nan\.npz"):
        load_model(tmp_path / "nan.npz")


def test_a_threshold_can_be_given_and_must_make_sense() -> None:
    assert load_model("embedded", 0.5).threshold("en") == 0.5
    for wrong in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(SemanticError, match="threshold"):
            load_model("embedded", wrong)


def test_the_model_enters_the_policy_hash() -> None:
    assert len(MODEL.fingerprint) == 64
    assert RULES.judge(FINE, FACTS).policy_hash != BOTH.judge(FINE, FACTS).policy_hash


def test_it_runs_without_torch_and_small() -> None:
    code = (
        "import sys; from compliance_checks.semantic import load_model;"
        "m = load_model('embedded'); print(m.judge(['您好'], 'zh', 'borrower')[0].violation);"
        "assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 <= float(done.stdout) <= 1
    assert EMBEDDED.stat().st_size < 20_000_000


def test_the_same_text_has_the_same_score_whatever_stands_beside_it() -> None:
    texts = ["您好请问您方便吗", "再不还钱我们就不客气了", "谢谢"]
    together = MODEL.judge(texts, "zh", "borrower")
    again = [MODEL.judge([text], "zh", "borrower")[0] for text in texts]
    assert together == MODEL.judge(texts, "zh", "borrower")
    for one, other in zip(together, again, strict=True):
        assert one.category == other.category
        assert one.violation == pytest.approx(other.violation, abs=1e-4)


# ---------------------------------------------------------------------------------------- what it reaches


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_refuses_few_compliant_sentences_that_it_never_saw(lang: Lang) -> None:
    """A floor against losing ground: the bound of 0.5 % holds on held-out training families; this set shows more."""
    fine = [row for row in load("test", lang) if not row.violation]
    added = [row.id for row in fine if _added(row.text, row.call())]
    assert len(fine) >= 50
    assert len(added) <= 0.025 * len(fine), added


def test_it_finds_violations_that_no_rule_names() -> None:
    """Of what the rules let pass in sets that neither rules nor model learnt from, the model finds some."""
    unseen = [*load("test"), *read(FOLDER / "heldout2.jsonl")]
    missed = [row for row in unseen if row.violation and RULES.judge(row.text, row.call()).decision == "allow"]
    found = [row for row in missed if BOTH.judge(row.text, row.call()).decision != "allow"]
    assert len(missed) < 10 or len(found) >= 0.2 * len(missed)


def _added(text: str, facts: CallFacts) -> bool:
    return RULES.judge(text, facts).decision == "allow" and BOTH.judge(text, facts).decision != "allow"


@pytest.mark.parametrize("path", find_scripts(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_approved_lines_keep_passing(path: Path) -> None:
    """No line of an approved script is refused by the model, whoever hears it."""
    script = parse(path)
    case = {**default_facts(script.lang), **SLOTS}
    judged = 0
    for line in script.content.lines.values():
        for template in (line.text, *line.alternates.values()):
            values = {
                name: case[name] for name in script.content.slots if "{" + name + "}" in template and name in case
            }
            try:
                text = fill(
                    template,
                    script.content.slots,
                    values,
                    script.lang,
                    currency=case["currency"],
                    today=date(2026, 11, 21),
                )
            except RenderError:
                continue
            judged += 1
            sentence = BOOK.read(text, script.lang)
            parties: tuple[Party, ...] = ("borrower", "unverified", "third_party", "voicemail")
            for party in parties if "debt_facts" not in line.purposes else parties[:1]:
                facts = CallFacts(script.lang, party, None, case)
                policy = RULES.policies.resolve(None, script.lang)
                refused = RULES.judge(text, facts).decision != "allow"
                assert refused or not list(SemanticCheck(MODEL).findings(sentence, facts, policy)), (party, text)
    assert judged >= 40


# -------------------------------------------------------------------------------- a transformers model instead


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_any_transformers_classifier_can_take_its_place(tmp_path: Path) -> None:
    import torch

    from compliance_checks.semantic.hub import without_torchaudio_library

    without_torchaudio_library()
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(FINE))]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label={0: "ok", 1: "Threat"},
        label2id={"ok": 0, "Threat": 1},
    )
    model = BertForSequenceClassification(config)
    for bias, decision in ((9.0, "refuse"), (-9.0, "allow")):
        with torch.no_grad():
            model.classifier.bias[:] = torch.tensor([-bias, bias])
        folder = tmp_path / decision
        model.save_pretrained(folder)
        BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(folder)
        verdict = Gate.load(semantic=folder).judge(FINE, FACTS)
        assert verdict.decision == decision
        assert [hit.id for hit in verdict.rules] == (["semantic.threat"] if decision == "refuse" else [])
    with pytest.raises(SemanticError, match="no text-classification model"):
        Gate.load(semantic=tmp_path / "empty")


def test_the_trainer_and_the_runtime_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from compliance_checks.semantic import learn
    from compliance_checks.semantic.data import OK, Text
    from compliance_checks.semantic.english import English
    from sentence_encoder.network import shapes
    from sentence_encoder.pieces import Pieces

    rng = np.random.default_rng(2)
    pieces = Pieces(["?", "<s>", "</s>", "x", "y", "z", *"\u2581abcdefghijklmnopqrstuvwxyz"], [0.0] * 6 + [-3.0] * 27)
    borrowed = {n: (rng.normal(size=s) * 0.05).astype(np.float32) for n, s in shapes(len(pieces)).items()}
    texts = [Text("we will hurt you", "en", "borrower", "threat", "a"), Text("thank you", "en", "borrower", OK, "b")]
    kept: list[Any] = []
    made = learn._Classifier
    monkeypatch.setattr(learn, "_Classifier", lambda *args: kept.append(made(*args)) or kept[-1])
    tuned = learn.tune(pieces, borrowed, texts * 8, ["threat"], 2, seed=1)
    assert max(np.abs(tuned[name] - value).max() for name, value in borrowed.items()) > 1e-4, "it learns"
    with torch.inference_mode():
        ids = learn.padded([pieces.encode(text.text) for text in texts])
        wanted = kept[0](ids, torch.tensor([[1.0, 0, 0, 0]] * 2)).numpy()
    found = English(pieces, tuned, 2).logits([text.text for text in texts], "borrower")
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert (found.argmax(axis=1) == [1, 0]).all()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_head_on_the_shared_encoder_learns_what_it_is_shown(lang: Lang) -> None:
    from compliance_checks.semantic import learn
    from compliance_checks.semantic.data import OK, Text
    from compliance_checks.semantic.meaning import Meaning
    from sentence_encoder.multilingual import shipped

    shown, asked = {
        "zh": (("我们会找人打断你的腿", "谢谢您接听电话"), ("我们会叫人打你", "感谢您接这个电话")),
        "en": (
            ("we will have you beaten up", "thank you for your time"),
            ("we will get you hurt", "thanks for waiting"),
        ),
    }[lang]
    texts = [
        Text(text, lang, party, category, party + category)
        for text, category in zip(shown, ("threat", OK), strict=True)
        for party in ("borrower", "third_party")
    ]
    once, again = (learn.meaning(shipped(), texts * 8, ["threat"], 3, passes=20) for _ in range(2))
    assert all(np.array_equal(once[name], again[name]) for name in once)
    found = Meaning(shipped(), once, 2).logits(asked, lang, "borrower")
    assert (found.argmax(axis=1) == [1, 0]).all()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_shared_encoder_has_its_say_and_stands_in_the_policys_hash(
    lang: Lang, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compliance_checks.semantic.embedded import Embedded
    from sentence_encoder import multilingual

    assert isinstance(MODEL, Embedded)
    assert MODEL._meant[lang] > 0
    whole = multilingual.shipped()
    other = multilingual.Multilingual(whole.pieces, {**whole._w, "up4.weight": np.zeros((512, 512), np.float32)})
    monkeypatch.setattr(multilingual, "shipped", lambda: other)
    monkeypatch.setattr(multilingual, "fingerprint", lambda: "other")
    changed = load_model("embedded")
    assert changed.fingerprint != MODEL.fingerprint
    said = ["不还就等着瞧", "we know where you live"]
    assert not np.allclose(
        [j.violation for j in changed.judge(said, lang, "borrower")],
        [j.violation for j in MODEL.judge(said, lang, "borrower")],
        atol=1e-6,
    )


def test_masked_names_are_read_as_names() -> None:
    from compliance_checks.semantic.meaning import readable
    from compliance_checks.semantic.text import PLACES

    for lang in ("zh", "en"):
        assert not set(PLACES.values()) & set(readable("".join(PLACES.values()), lang))  # type: ignore[arg-type]


def test_initials_end_no_sentence_and_neighbours_are_read_together() -> None:
    read = windows("i work for the a . t . o . and your loan is ours . that is all . goodbye to you", "en")
    assert "i work for the a . t . o . and your loan is ours" in read
    assert "i work for the a . t . o . and your loan is ours . that is all" in read
    assert "that is all . goodbye to you" in read and len(read) == 6
