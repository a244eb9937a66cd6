"""One simulated call as a process: ``python -m agent.telephony.simulator --url ws://… --scenario promise``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.telephony.simulator import FAULTS, LINES, SCENARIOS, Fault, ScenarioError, load_scenario, run_call
from audio.espeak import SynthesisError, Voice


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 the call took place, 1 the socket was refused or broke, 2 unusable input."""
    options = _parser().parse_args(arguments)
    try:
        case = json.loads(options.case.read_text(encoding="utf-8")) if options.case else None
        if case is not None and not isinstance(case, dict):
            raise ValueError("the case file does not hold a JSON object")
        scenario = load_scenario(options.scenario, options.lang, case)
        call = run_call(
            options.url,
            scenario,
            seed=options.seed,
            out_dir=options.out,
            faults=[_fault(text) for text in options.fault],
            call_id=options.call_id,
            voice=_voice(options.voice) if options.voice else None,
            line=LINES[options.line] if options.line else None,
            max_seconds=options.max_seconds,
        )
        report = asyncio.run(call)
        document = json.dumps(report.as_json(), ensure_ascii=False)
        if options.report:
            options.report.write_text(document + "\n", encoding="utf-8")
    except (ScenarioError, SynthesisError, OSError, ValueError) as e:
        sys.stderr.write(f"simulator: {e}\n")
        return 2
    sys.stdout.write(document + "\n")
    return 1 if report.error else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent.telephony.simulator", description=__doc__)
    parser.add_argument("--url", required=True, help="the media socket with its token, ws://…/media/twilio/TOKEN")
    parser.add_argument("--scenario", required=True, choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--lang", choices=("zh", "en"), default="zh")
    parser.add_argument("--call-id", default="", help="goes into the start message; a random one by default")
    parser.add_argument("--seed", type=int, default=0, help="chooses voice, wordings, pauses and noise")
    parser.add_argument("--case", type=Path, help="JSON case file that fills the scenario's slots")
    parser.add_argument("--out", type=Path, help="folder for heard.wav")
    parser.add_argument("--report", type=Path, help="also write the report here")
    parser.add_argument("--voice", help="espeak-ng voice, NAME[:RATE[:PITCH]], for example cmn+f2:170:55")
    parser.add_argument("--line", choices=tuple(LINES), help="line quality in place of the scenario's")
    parser.add_argument("--fault", action="append", default=[], help=f"KIND[@SECONDS], of {', '.join(FAULTS)}")
    parser.add_argument("--max-seconds", type=float, default=180.0)
    return parser


def _voice(text: str) -> Voice:
    name, *numbers = text.split(":")
    if not name or len(numbers) > 2 or not all(n.isdigit() for n in numbers):
        raise ValueError(f"--voice {text!r} is not NAME[:RATE[:PITCH]]")
    return Voice(name, **dict(zip(("rate", "pitch"), map(int, numbers), strict=False)))


def _fault(text: str) -> Fault:
    kind, _, at = text.partition("@")
    try:
        return Fault(kind, float(at)) if at else Fault(kind)
    except ValueError as e:
        raise ValueError(f"--fault {text!r}: {e}") from e


if __name__ == "__main__":
    raise SystemExit(main())
