"""A call in the terminal: the live call line by line, then the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.demo import DemoCall
from agent.events import Lang
from agent.live import LiveTurn, News

WORDS: dict[str, dict[str, str]] = {
    "zh": {"agent": "坐席", "borrower": "借款人", "ringing": "正在拨号……", "answered": "已接通", "ended": "通话结束",
           "gap": "响应", "cut": "被打断"},
    "en": {"agent": "agent", "borrower": "borrower", "ringing": "dialling …", "answered": "answered",
           "ended": "call ended", "gap": "gap", "cut": "interrupted"},
}  # fmt: skip


class LiveView:
    """Prints news as it comes, under a ``title`` that says what was asked for."""

    def __init__(self, console: Console, lang: Lang, *title: str) -> None:
        self._console = console
        self._words = WORDS[lang]
        console.rule(f"[bold]callgate {title[0]}[/] · {' · '.join((lang, *title[1:]))}")

    def __call__(self, news: News) -> None:
        if news.turn is not None:
            self._turn(news.turn)
        elif news.kind in ("ringing", "answered", "ended"):
            self._line(news.at, Text(self._words[news.kind], style="dim"))
        elif news.kind == "flag":
            self._line(news.at, Text(f"⚑ {news.text}", style="yellow"))
        elif news.kind == "event" and news.text in ("transfer_requested", "promise_recorded", "contact_restricted"):
            details = " ".join(f"{k}={v}" for k, v in news.details.items())
            self._line(news.at, Text(f"• {news.text} {details}", style="cyan"))

    def _line(self, at: float, text: Text) -> None:
        self._console.print(Text(f"{at:6.1f} s  ", style="dim") + text, soft_wrap=True)

    def _turn(self, turn: LiveTurn) -> None:
        who = Text(f"{self._words[turn.who]:<9}", style="bold green" if turn.who == "agent" else "bold blue")
        notes = []
        if turn.who == "borrower":
            confidence = f" {turn.confidence:.2f}" if turn.confidence is not None else ""
            notes += [f"{turn.intent}{confidence}", turn.emotion or ""]
        else:
            notes += [f"gate: {turn.verdict}", turn.line or ""]
            if turn.interrupted:
                notes.append(self._words["cut"])
            if turn.gap_ms is not None:
                notes.append(f"{self._words['gap']} {turn.gap_ms:.0f} ms")
        self._line(turn.start, who + Text(f" {turn.text}  ") + Text(" · ".join(n for n in notes if n), style="dim"))


def show_outcome(console: Console, call: DemoCall) -> None:
    """The end of one call: disposition, promise, response gap, where everything is."""
    document = call.document
    table = Table(show_header=False, box=None, padding=(0, 2))
    mark = "[green]✓[/]" if call.as_expected else f"[red]✗ expected {call.expected}[/]"
    table.add_row("disposition", f"[bold]{document['disposition']}[/] {mark}")
    if promise := document["promise"]:
        table.add_row("promise", f"{promise['amount']} · {promise['date']}")
    if document["flags"]:
        table.add_row("flags", ", ".join(_reason(flag) for flag in document["flags"]))
    table.add_row("response gap", _gap(document["response_gap_ms"]))
    table.add_row("recording", str(document["recording"]))
    table.add_row("transcript", str(call.outcome.transcript))
    console.print(table)


def show_table(console: Console, calls: Sequence[tuple[Lang, str, DemoCall | str]]) -> None:
    """All scenarios at a glance. A call that could not be run is shown with its error."""
    table = Table(title="callgate demo --scenario all", box=None, padding=(0, 1))
    for heading in ("", "", "scenario", "disposition", "turns", "gap p50/p95 ms", "flags"):
        table.add_column(heading, no_wrap=heading != "flags")
    for lang, scenario, call in calls:
        if isinstance(call, str):
            table.add_row("[red]✗[/]", lang, scenario, f"[red]{call}[/]")
            continue
        document = call.document
        disposition = document["disposition"]
        table.add_row(
            "[green]✓[/]" if call.as_expected else "[red]✗[/]",
            lang,
            scenario,
            disposition if call.as_expected else f"[red]{disposition}[/], not {call.expected}",
            str(len(document["turns"])),
            _gap(document["response_gap_ms"]),
            ", ".join(_reason(flag) for flag in document["flags"]),
        )
    console.print(table)


def _gap(gap: dict[str, Any]) -> str:
    if not gap["n"]:
        return "–"
    return f"{gap['p50']:.0f}/{gap['p95']:.0f} (n={gap['n']})"


def _reason(flag: Any) -> str:
    return str(flag["reason"]) if isinstance(flag, dict) else str(flag)
