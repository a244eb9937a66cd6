"""``callgate check`` and ``callgate policy`` of the command line. What they need is imported when they run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from agent.events import Lang
    from compliance_checks.gate import Gate

PacksOption = Annotated[
    Path | None,
    typer.Option(envvar="CALLGATE_PACKS", help="Folder of your own policy packs, layered over those that ship."),
]
SemanticOption = Annotated[
    str,
    typer.Option(
        envvar="CALLGATE_SEMANTIC_MODEL",
        help="The model beside the rules: embedded, none, a .npz file, a transformers text classifier.",
    ),
]
LangOption = Annotated[str, typer.Option("--lang", help="Language of the output: zh or en.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

policy_app = typer.Typer(help="Policy packs: which rules hold, where they are written.", no_args_is_help=True)


def check(
    policy: Annotated[
        str | None, typer.Option(help="Jurisdiction (cn, us, uk, in) or pack id for lines that name none; join with +.")
    ] = None,
    packs: PacksOption = None,
    semantic: SemanticOption = "embedded",
    explain: Annotated[
        str | None, typer.Option(help="zh or en: say in words of that language why, instead of JSON.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Judge this one sentence instead of standard input.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language of --text: zh or en. Default: as it is written.")] = None,
    party: Annotated[
        str, typer.Option(help="Who hears --text: unverified, borrower, third_party, voicemail.")
    ] = "borrower",
    facts: Annotated[str | None, typer.Option(help="The case file for --text, a JSON object.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="With --text: the answer as JSON.")] = False,
) -> None:
    """Judge sentences: JSON lines in, JSON lines out, one verdict each. Exit 1 if any was not allowed.

    With --text one sentence, answered in words: what was refused, why, and by which clause.
    """
    from compliance_checks.cli import run

    chosen = _lang(explain, "--explain") if explain is not None else None
    if text is not None:
        raise typer.Exit(_one(text, lang, party, facts, policy, _gate(packs, semantic), chosen, json_))
    gate = _gate(packs, semantic)
    try:
        status = run(sys.stdin, sys.stdout, sys.stderr, policy, gate, chosen)
    except BrokenPipeError:
        # Whoever read the answers has gone, as `head` does; the interpreter must not trip over it when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    raise typer.Exit(status)


def _one(
    text: str,
    lang: str | None,
    party: str,
    facts: str | None,
    policy: str | None,
    gate: Gate,
    explain_in: Lang | None,
    as_json: bool,
) -> int:
    from compliance_checks.cli import LineError, answer, parse, told
    from compliance_checks.folding import is_han
    from compliance_checks.policy import PolicyError

    spoken = _lang(lang, "--lang") if lang is not None else "zh" if any(map(is_han, text)) else "en"
    try:
        case = json.loads(facts) if facts is not None else None
    except (ValueError, RecursionError):
        _refuse("check", "--facts is not JSON")
    try:
        said, known, _ = parse(json.dumps({"text": text, "lang": spoken, "party": party, "facts": case}), policy)
        gate.policies.resolve(policy, spoken)
    except (LineError, PolicyError) as error:
        _refuse("check", str(error))
    verdict = gate.judge(said, known)
    shown = (
        json.dumps(answer(verdict), ensure_ascii=False) if as_json else told(said, known, verdict, explain_in or spoken)
    )
    typer.echo(shown)
    return 0 if verdict.decision == "allow" else 1


@policy_app.command("list")
def list_packs(packs: PacksOption = None, lang: LangOption = "en", json_: JsonOption = False) -> None:
    """Every pack: its layer, whose it is, how many of its rules nobody has confirmed yet."""
    from compliance_checks.describe import pack_row, pack_table

    chosen = _lang(lang, "--lang")
    policies = _gate(packs).policies
    if json_:
        _print_json([pack_row(pack) for pack in policies.packs.values()])
    else:
        typer.echo(pack_table(policies, chosen))


@policy_app.command()
def show(
    name: Annotated[str, typer.Argument(help="Jurisdiction or pack id; join with +.")],
    packs: PacksOption = None,
    lang: LangOption = "en",
    json_: JsonOption = False,
) -> None:
    """One policy: what it forbids, when and how often it lets call, with every clause and every conflict."""
    from compliance_checks.describe import describe_policy, policy_document
    from compliance_checks.policy import PolicyError

    chosen = _lang(lang, "--lang")
    try:
        policy = _gate(packs).policies.resolve(name, "en")
    except PolicyError as error:
        _refuse("policy", str(error))
    if json_:
        _print_json(policy_document(policy))
    else:
        typer.echo(describe_policy(policy, chosen))


@policy_app.command("check")
def check_packs(
    files: Annotated[list[Path] | None, typer.Argument(help="Packs to check. Default: every pack there is.")] = None,
    packs: PacksOption = None,
    json_: JsonOption = False,
) -> None:
    """Read packs and run their examples. Exit 1 if an example fails, 2 if a file cannot be used."""
    from compliance_checks.examples import run_examples
    from compliance_checks.policy import PolicyError

    gate = _gate(packs)
    chosen = [] if files else list(gate.policies.packs.values())
    known = {path.resolve(): pack_id for pack_id, path in gate.policies.files.items()}
    for file in files or []:
        try:
            there = known.get(file.resolve())
            chosen.append(gate.policies.packs[there] if there else gate.policies.add(file))
        except PolicyError as error:
            _refuse("policy", str(error))
    rows: list[dict[str, Any]] = []
    for pack in chosen:
        outcomes = list(run_examples(pack, gate))
        tried = {outcome.rule for outcome in outcomes}
        rows.append(
            {
                "pack": pack.id,
                "examples": len(outcomes),
                "failed": [
                    {"rule": o.rule, "wanted": o.wanted, "example": o.example, "problem": o.problem}
                    for o in outcomes
                    if o.problem
                ],
                "without_examples": [
                    place for place, _ in pack.cited() if place not in tried and not place.startswith("records.")
                ],
                "needs_review": [place for place, rule in pack.cited() if rule.review == "needs_review"],
                "conflicts": [str(conflict) for conflict in gate.policies.resolve(pack.id, "en").conflicts],
            }
        )
    if json_:
        _print_json(rows)
    else:
        for row in rows:
            _print_checked(row)
    raise typer.Exit(1 if any(row["failed"] for row in rows) else 0)


def _print_checked(row: dict[str, Any]) -> None:
    failed = row["failed"]
    typer.echo(f"{row['pack']}: {row['examples']} examples, {len(failed)} failed")
    for one in failed:
        typer.echo(f"  FAILED {one['rule']}: {one['example']!r} must be {one['wanted']}d but {one['problem']}")
    for conflict in row["conflicts"]:
        typer.echo(f"  conflict: {conflict}")
    if row["without_examples"]:
        typer.echo(f"  without examples: {', '.join(row['without_examples'])}")
    if row["needs_review"]:
        typer.echo(f"  needs review: {', '.join(row['needs_review'])}")


def _gate(packs: Path | None, semantic: str = "embedded") -> Gate:
    from compliance_checks.gate import Gate, PatternError, PolicyError, SemanticError

    try:
        return Gate.load(packs, semantic=semantic)
    except (PolicyError, PatternError, SemanticError) as error:
        _refuse("policy", str(error))


def _lang(value: str, option: str) -> Lang:
    if value not in ("zh", "en"):
        _refuse("check", f"{option} must be zh or en, not {value!r}")
    return "zh" if value == "zh" else "en"


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))


def _refuse(command: str, message: str) -> NoReturn:
    typer.echo(f"callgate {command}: {message}", err=True)
    raise typer.Exit(2)
