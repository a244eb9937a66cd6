"""Response gap: from the borrower's last speech sample to the agent's first audible one, as the borrower hears it.

Callgate and a stock pipecat pipeline (``stock_pipeline.py``) take the same calls in the same run: same simulated
borrowers with the same seeds, in processes of their own, over real WebSockets; same recogniser weights; same voice.
The two take turns, so that neither ever works while the other is measured. Times come from the borrower's own
report alone. Each side's first words in a call answer nobody and are not counted.

A fast reply is worth nothing if it cuts people off, so that is counted beside it: an agent that begins to speak while
the borrower's sentence goes on (his pauses are part of it), in a share of all his sentences. And where the borrower
talks over the agent and the agent falls silent for it: how long that took from his first sound.

    python benchmarks/response_gap.py                             # at least 100 turns a side
    python benchmarks/response_gap.py --turns 300 --parallel 2    # the figures of docs/decisions/0007
    python benchmarks/response_gap.py --turns 300 --parallel 2 --minutes 60   # what an hour brings
    python benchmarks/response_gap.py --quick                     # about 12 turns a side
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from agent.errors import CallgateError, ConfigurationError
from agent.events import Lang
from agent.telephony.simulator import SCENARIOS, load_scenario

if TYPE_CHECKING:
    from stock_pipeline import StockServer

    from agent.desk import CallDesk

TURNS, QUICK_TURNS = 100, 12
ROUNDS = 5
"""Every scenario is called at most this often in each language, each time by another voice."""
WITHOUT_TURNS = ("voicemail", "silence")
COLLISION_S = 0.2
"""An agent that begins this soon after the borrower did could not have heard him: both took the turn, none was cut."""
_CALL_LIMIT_S = 180.0
_HANG_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class CallPlan:
    scenario: str
    lang: Lang
    seed: int


@dataclass(frozen=True, slots=True)
class CallTurns:
    """What one call says about its turns, all from the borrower's report.

    ``gaps_ms``: one for each answered turn. ``unanswered``: the borrower stopped and had to speak again, or gave
    up. ``overlaps``: times the agent began to speak while the borrower was speaking. ``sentences``: what the borrower
    said, each with its pauses; ``cut_off``: those in which the agent began to speak. ``yielded_ms``: where the
    borrower talked over the agent and it fell silent before he had finished, from his onset to its last sound (an
    agent whose line happens to end just then counts as well: the far end cannot tell).
    """

    lang: Lang
    gaps_ms: tuple[float, ...]
    unanswered: int
    overlaps: int
    sentences: int = 0
    cut_off: int = 0
    yielded_ms: tuple[float, ...] = ()


@dataclass(slots=True)
class Side:
    """One side's calls. ``said`` and ``heard`` are pairs of what was spoken and what its recogniser made of it."""

    name: str
    calls: list[CallTurns] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    words: list[tuple[str, str]] = field(default_factory=list)

    def gaps(self, lang: Lang | None = None) -> list[float]:
        """Response gaps in ms, of one language or of all."""
        return [gap for call in self.calls if lang in (None, call.lang) for gap in call.gaps_ms]

    def cut_off_share(self) -> float | None:
        """Borrower's sentences that the agent cut off, of all of them, in per cent."""
        sentences = total(self, "sentences")
        return round(100 * total(self, "cut_off") / sentences, 2) if sentences else None

    def yielded(self) -> list[float]:
        """Milliseconds from a talking borrower's onset to the silence of an agent that gave way."""
        return [ms for call in self.calls for ms in call.yielded_ms]

    @property
    def character_error_rate(self) -> float:
        """Edit distance of all words heard to all words said, per character said; NaN before the first."""
        said = sum(len(text) for text, _ in self.words)
        return sum(edit_distance(*pair) for pair in self.words) / said if said else float("nan")


def call_turns(report: Mapping[str, Any]) -> CallTurns:
    """Read a borrower's report (the JSON of ``agent.telephony.simulator``).

    A turn counts once the agent has spoken for the first time: what answers a "Hello?" into silence is the
    agent's opening. A turn that the agent talked through, or that the end of the call followed within two seconds
    (either side hung up), is neither answered nor unanswered.
    """
    turns = report["turns"]
    agent = [(t["start"], t["end"]) for t in turns if t["who"] == "agent"]
    opening = agent[0][0] if agent else float("inf")
    said = [(t["start"], t["end"]) for t in turns if t["who"] == "borrower" and t["text"]]
    cut_off = sum(any(start + COLLISION_S < onset < end for onset, _ in agent) for start, end in said)
    yielded = [
        (silent - start) * 1000
        for start, end in said
        for onset, silent in agent
        if onset < start - COLLISION_S and start < silent < end
    ]
    gaps, unanswered = [], 0
    for turn in turns:
        if turn["who"] != "borrower" or not turn["text"] or turn["start"] < opening:
            continue
        if turn["gap_ms"] is not None:
            gaps.append(float(turn["gap_ms"]))
            continue
        talked_through = any(start < turn["end"] < end for start, end in agent)
        call_over = turn["end"] > report["duration_s"] - _HANG_UP_S
        unanswered += not talked_through and not call_over
    return CallTurns(
        cast(Lang, report["lang"]),
        tuple(gaps),
        unanswered,
        int(report["overlaps"]),
        len(said),
        cut_off,
        tuple(yielded),
    )


def percentile(values: Sequence[float], q: float) -> float | None:
    """Linear interpolation between order statistics; ``None`` of nothing."""
    return round(float(np.percentile(values, q)), 1) if values else None


def ratio(ours: float | None, peer: float | None) -> float | None:
    return None if ours is None or not peer else round(ours / peer, 3)


def rows(ours: Side, peer: Side) -> list[dict[str, Any]]:
    """The table: one row a figure. ``n`` is the number of our turns behind it, ``n_peer`` of the peer's."""

    def row(figure: str, unit: str, values: tuple[float | None, float | None], lang: Lang | None = None) -> None:
        table.append(
            {
                "figure": figure,
                "ours": values[0],
                "peer": values[1],
                "peer_name": peer.name,
                "ratio": ratio(*values),
                "unit": unit,
                "n": len(ours.gaps(lang)),
                "n_peer": len(peer.gaps(lang)),
            }
        )

    def counted(figure: str, unit: str, values: tuple[float | None, float | None], of: str) -> None:
        row(figure, unit, values)
        table[-1] |= {"n": total(ours, of), "n_peer": total(peer, of)}

    table: list[dict[str, Any]] = []
    for q in (50, 95):
        row(f"response gap p{q} ms", "ms", (percentile(ours.gaps(), q), percentile(peer.gaps(), q)))
    row(
        "our response gap p95 ms against the peer's p50",
        "ms",
        (percentile(ours.gaps(), 95), percentile(peer.gaps(), 50)),
    )
    for lang in get_args(Lang):
        for q in (50, 95):
            values = (percentile(ours.gaps(lang), q), percentile(peer.gaps(lang), q))
            row(f"response gap p{q} ms, {lang}", "ms", values, lang)
    counted("borrower's sentences cut off", "%", (ours.cut_off_share(), peer.cut_off_share()), "sentences")
    for q in (50, 95):
        talked_over = (percentile(ours.yielded(), q), percentile(peer.yielded(), q))
        row(f"agent silent after being talked over p{q} ms", "ms", talked_over)
        table[-1] |= {"n": len(ours.yielded()), "n_peer": len(peer.yielded())}
    row("turns without an answer", "turns", (total(ours, "unanswered"), total(peer, "unanswered")))
    row("replies begun while the borrower spoke", "turns", (total(ours, "overlaps"), total(peer, "overlaps")))
    row("calls that failed", "calls", (len(ours.failed), len(peer.failed)))
    row("character error rate of what was heard", "ratio", (_rate(ours), _rate(peer)))
    return table


def total(side: Side, name: str) -> int:
    return sum(getattr(call, name) for call in side.calls)


def _rate(side: Side) -> float | None:
    return round(side.character_error_rate, 3) if side.words else None


def edit_distance(said: str, heard: str) -> int:
    """Levenshtein distance over letters and digits, case aside."""
    a, b = ("".join(c for c in text.lower() if c.isalnum()) for text in (said, heard))
    before = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (x != y)))
        before = now
    return before[-1]


def plans(scenarios: Sequence[str], langs: Sequence[Lang], first_seed: int) -> Iterator[CallPlan]:
    """Both languages side by side through all scenarios, then again with the next seed."""
    for turn, scenario, lang in itertools.product(range(ROUNDS), scenarios, langs):
        yield CallPlan(scenario, lang, first_seed + turn)


async def our_call(desk: CallDesk, base_url: str, plan: CallPlan, side: Side) -> None:
    from agent.demo import demo_call
    from agent.desk import CallRefused
    from scripts.errors import ScriptError

    try:
        call = await demo_call(desk, base_url, plan.lang, plan.scenario, seed=plan.seed)
    except (CallRefused, ScriptError) as e:  # no further call would fare better
        raise ConfigurationError(str(e)) from e
    except CallgateError as e:
        side.failed.append(f"{plan.scenario} {plan.lang} {plan.seed}: {e}")
        return
    heard = [str(turn["text"]) for turn in call.document["turns"] if turn["who"] == "borrower"]
    note(side, plan, call.report, heard)


async def peer_call(server: StockServer, base_url: str, plan: CallPlan, side: Side) -> None:
    """The same borrower calls the peer, which hangs up after a greeting, a reply to each of the scenario's turns, and
    one more: where it takes one turn for two, the last must not stay without an answer.
    """
    replies = 2 + sum(bool(step.say) and not step.hang_up for step in load_scenario(plan.scenario, plan.lang).steps)
    key = f"{plan.scenario}-{plan.lang}-{plan.seed}"
    with tempfile.TemporaryDirectory(prefix="callgate-peer-") as folder:
        path = Path(folder) / "report.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent.telephony.simulator"),
            *("--url", f"{base_url}/stock/{plan.lang}/{replies}/{key}"),
            *("--scenario", plan.scenario, "--lang", plan.lang, "--seed", str(plan.seed)),
            *("--report", str(path), "--max-seconds", "120"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_CALL_LIMIT_S):
                _, error = await process.communicate()
        except TimeoutError:
            side.failed.append(f"{key}: the call did not end within {_CALL_LIMIT_S:.0f} s")
            return
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not report or report["error"]:
        why = report["error"] if report else error.decode(errors="replace").strip()
        side.failed.append(f"{key}: {why}")
        return
    note(side, plan, report, server.calls[key].transcripts)


def note(side: Side, plan: CallPlan, report: Mapping[str, Any], heard: Iterable[str]) -> None:
    """Count a finished call."""
    side.calls.append(call_turns(report))
    said = (str(turn["text"]) for turn in report["turns"] if turn["who"] == "borrower")
    side.words.append((" ".join(said), " ".join(heard)))
    gaps = ", ".join(f"{gap:.0f}" for gap in side.calls[-1].gaps_ms)
    say(f"{side.name.split(':')[0]:>20}  {plan.scenario} {plan.lang} {plan.seed}: {gaps or '-'} ms")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def measure(
    options: argparse.Namespace, target: int, scenarios: Sequence[str], langs: Sequence[Lang]
) -> tuple[Side, Side]:
    """Place calls until both sides have answered ``target`` turns, every call that there is was placed, or the time
    is over."""
    from loguru import logger

    logger.remove()  # before pipecat greets
    logger.add(sys.stderr, level="ERROR")
    from stock_pipeline import StockServer

    from agent.demo import serving
    from agent.desk import CallDesk
    from agent.models import load_models
    from agent.settings import load_settings
    from asr.whisper import EMBEDDED

    ours = Side("callgate")
    with tempfile.TemporaryDirectory(prefix="callgate-gap-") as home:
        settings = load_settings().model_copy(update={"home": Path(home), "database_url": None})
        desk = CallDesk(settings, load_models(settings))
        server = StockServer(settings.whisper_model or str(EMBEDDED), desk.style, cut=options.cut_peer)
        peer = Side(server.name)
        with contextlib.closing(desk):
            async with serving(desk) as our_url, server.serving() as peer_url:
                calls = plans(scenarios, langs, options.seed)
                until = time.monotonic() + 60 * options.minutes
                while min(len(ours.gaps()), len(peer.gaps())) < target and time.monotonic() < until:
                    batch = list(itertools.islice(calls, options.parallel))
                    if not batch:
                        break
                    await asyncio.gather(*(our_call(desk, our_url, plan, ours) for plan in batch))
                    await asyncio.gather(*(peer_call(server, peer_url, plan, peer) for plan in batch))
    describe(server, ours, peer)
    return ours, peer


def describe(server: StockServer, ours: Side, peer: Side) -> None:
    """On standard error: whether the peer did what it is there for, and what failed."""
    seen = server.calls.values()
    times = [ms for call in seen for ms in call.smart_turn_ms]
    complete, incomplete = sum(c.complete for c in seen), sum(c.incomplete for c in seen)
    say(
        f"peer: {sum(len(c.transcripts) for c in seen)} transcripts; smart-turn asked {complete + incomplete} times, "
        f"{complete} times the turn was over, p50 {percentile(times, 50)} ms"
    )
    if peer.character_error_rate > ours.character_error_rate + 0.1:
        say(
            "warning: the peer hears much worse than Callgate on the same weights, so its gaps hold decoding retries; "
            "compare with --cut-peer"
        )
    for line in (*ours.failed, *peer.failed, *(error for call in seen for error in call.errors)):
        say(f"failed: {line}")


def as_text(figures: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"{'figure':<48}{'ours':>10}{'peer':>10}{'ratio':>8}{'n':>6}{'n peer':>8}"]
    for figure in figures:
        ours, peer, share = (("-" if figure[k] is None else f"{figure[k]:g}") for k in ("ours", "peer", "ratio"))
        lines.append(f"{figure['figure']:<48}{ours:>10}{peer:>10}{share:>8}{figure['n']:>6}{figure['n_peer']:>8}")
    return "\n".join([*lines, f"peer: {figures[0]['peer_name']}"])


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--quick", action="store_true", help=f"about {QUICK_TURNS} turns in place of {TURNS}")
    out.add_argument("--json", action="store_true", help="print the rows as JSON")
    out.add_argument("--turns", type=_positive, help="answered turns wanted of each side")
    out.add_argument("--parallel", type=_positive, default=1, metavar="N", help="calls at a time (1)")
    out.add_argument("--minutes", type=float, default=math.inf, help="begin no call after so many minutes")
    out.add_argument("--seed", type=int, default=1, help="of the first round's borrowers (1)")
    out.add_argument("--lang", choices=get_args(Lang), help="only this language")
    out.add_argument(
        "--scenario",
        action="append",
        choices=[name for name in SCENARIOS if name not in WITHOUT_TURNS],
        metavar="NAME",
        help="only this scenario; may be given more than once",
    )
    out.add_argument(
        "--cut-peer",
        action="store_true",
        help="let the peer encode only its weights' own window, as Callgate does and no stock pipeline",
    )
    return out


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 measured, 1 fewer turns than wanted, 2 unusable input."""
    options = parser().parse_args(arguments)
    target = options.turns or (QUICK_TURNS if options.quick else TURNS)
    scenarios = options.scenario or [name for name in SCENARIOS if name not in WITHOUT_TURNS]
    langs: tuple[Lang, ...] = (options.lang,) if options.lang else get_args(Lang)
    try:
        ours, peer = asyncio.run(measure(options, target, scenarios, langs))
    except CallgateError as e:
        say(f"response_gap: {e}")
        return 2
    figures = rows(ours, peer)
    print(json.dumps(figures, ensure_ascii=False, indent=1) if options.json else as_text(figures))
    measured = min(len(ours.gaps()), len(peer.gaps()))
    if measured < target:
        say(f"response_gap: only {measured} of {target} turns were answered")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
