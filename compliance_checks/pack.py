"""One policy pack: a YAML file that says what a law, a regulator or a lender forbids, and where that is written.

Every rule carries its citation, the kind of its source, its review status, and examples that must be refused and
allowed (``compliance_checks.examples`` runs them). An unknown key, a time that is none, a value of the wrong type is an
error of one line that names the file and the key: nothing in a pack is silently ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

import yaml
from pydantic import BeforeValidator, Field, StrictBool, StrictInt, ValidationError, field_validator, model_validator

from agent.events import Lang
from compliance_checks.contact.schema import Contact, Hours
from compliance_checks.fields import Cited, Model, Purpose, Review, SourceKind, Text

# From what binds everybody to what binds one lender: packs of a policy are read in this order.
Level = Literal["floor", "country", "regulator", "industry", "overlay", "lender"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)
RecordClass = Literal["call_recording", "call_log", "transcript", "verdict", "consent", "complaint", "contact_record"]
_MAX_BYTES = 1 << 20


class PolicyError(ValueError):
    """A pack cannot be read, or a policy is not known. The message is one line."""


class Said(Model):
    """An example sentence. Its language is read off the text, its listener off the category, unless they are given.

    With ``purposes`` it is judged as a scripted line of that purpose, after the disclosures that are ``done``.
    """

    text: Text
    lang: Lang | None = None
    party: Literal["unverified", "borrower", "third_party", "voicemail"] | None = None
    facts: Mapping[str, Any] = Field(default_factory=dict)
    purposes: frozenset[Text] = frozenset()
    done: frozenset[Text] = frozenset()


def _said(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class Clause(Cited):
    """Where a category of violation is forbidden."""

    refuse: tuple[Annotated[Said, BeforeValidator(_said)], ...] = ()
    allow: tuple[Annotated[Said, BeforeValidator(_said)], ...] = ()


class Record(Cited):
    """One class of records: a floor and a ceiling of keeping it, in days; null where nobody has established it."""

    required: StrictBool | None = None
    keep_days_min: Annotated[StrictInt, Field(ge=0)] | None = None
    keep_days_max: Annotated[StrictInt, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Record:
        if None not in (self.keep_days_min, self.keep_days_max) and self.keep_days_min > self.keep_days_max:  # type: ignore[operator]
            raise ValueError("keep_days_min is above keep_days_max")
        return self


class Pack(Model):
    """One file of ``packs/`` or of the operator's folder."""

    id: str
    jurisdiction: str
    level: Level
    title: Mapping[Lang, Text]
    source: Text
    source_kind: SourceKind
    review: Review
    country: str | None = None
    extends: str | None = None
    opt_in: StrictBool = False
    approved_lines_only: StrictBool = False
    script_language_only: StrictBool = False
    disclosures: tuple[Purpose, ...] = ()
    borrower_disclosures: tuple[Purpose, ...] = ()
    clauses: Mapping[str, Clause] = Field(default_factory=dict)
    contact: Contact = Field(default_factory=Contact)
    records: Mapping[RecordClass, Record] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, raw: Any) -> Any:
        """Rules that name no review status or source kind take the pack's."""
        if not isinstance(raw, dict):
            return raw
        own = {key: raw[key] for key in ("review", "source_kind") if key in raw}

        def one(rule: Any) -> Any:
            return {**own, **rule} if isinstance(rule, dict) else rule

        def each(rules: Any) -> Any:
            if isinstance(rules, dict):
                return {name: one(rule) for name, rule in rules.items()}
            return [one(rule) for rule in rules] if isinstance(rules, list) else rules

        contact = raw.get("contact")
        if isinstance(contact, dict):
            many = ("limits", "pauses", "stops")
            contact = {name: each(value) if name in many else one(value) for name, value in contact.items()}
        filled = {"contact": contact, "clauses": each(raw.get("clauses")), "records": each(raw.get("records"))}
        return {**raw, **{name: value for name, value in filled.items() if value is not None}}

    @field_validator("id", "jurisdiction")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", value):
            raise ValueError("must be lower-case letters, digits and hyphens")
        return value

    @field_validator("title")
    @classmethod
    def _both_languages(cls, value: Mapping[Lang, str]) -> Mapping[Lang, str]:
        if set(value) != {"zh", "en"}:
            raise ValueError("must be given in zh and en")
        return value

    @model_validator(mode="after")
    def _layer(self) -> Pack:
        if (self.level == "lender") != (self.extends is not None):
            raise ValueError("a pack of level lender, and no other, says which policy it extends")
        return self

    @property
    def hours(self) -> Hours | None:
        return self.contact.hours

    @property
    def content(self) -> str:
        """All that verdicts depend on, in one canonical form: layout, comments and examples do not count."""
        dumped = _without_examples(self.model_dump(mode="json"))
        return json.dumps(dumped, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()

    def cited(self) -> Iterator[tuple[str, Cited]]:
        """Every rule of the pack with its place in the file."""
        yield from ((f"clauses.{name}", clause) for name, clause in self.clauses.items())
        yield from self.contact.rules()
        yield from ((f"records.{name}", record) for name, record in self.records.items())


def _without_examples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_examples(item) for key, item in value.items() if key not in ("refuse", "allow")}
    if isinstance(value, list):
        return [_without_examples(item) for item in value]
    return value


if TYPE_CHECKING:
    SafeLoader = yaml.SafeLoader
else:
    # libyaml's where PyYAML was built with it: ten times faster, and the same otherwise.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(SafeLoader):
    """Safe YAML in which ``22:00`` and ``2026-10-01`` stay text and a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in ("tag:yaml.org,2002:timestamp",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _first, _resolvers in _Loader.yaml_implicit_resolvers.items():
    _Loader.yaml_implicit_resolvers[_first] = [
        (tag, re.compile(r"^[-+]?(?:0|[1-9]\d*)$") if tag == "tag:yaml.org,2002:int" else regexp)
        for tag, regexp in _resolvers
    ]


def read_pack(path: Path) -> Pack:
    """One pack from its file. Raises :class:`PolicyError`: one line that names the file and the key."""
    where = path.name
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PolicyError(f"{where}: is larger than {_MAX_BYTES} bytes")
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader, made stricter
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise PolicyError(f"{where}: {line}{error.problem or 'is no YAML'}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyError(f"{where}: is no YAML in UTF-8") from error
    except (OSError, RecursionError) as error:
        raise PolicyError(
            f"{where}: cannot be read: {getattr(error, 'strerror', None) or 'nested too deeply'}"
        ) from error
    if not isinstance(raw, dict):
        raise PolicyError(f"{where}: is not a mapping")
    try:
        return Pack.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]).removesuffix(".[key]")
        raise PolicyError(f"{where}: {place}: {_problem(first)}" if place else f"{where}: {_problem(first)}") from error


def _problem(error: Mapping[str, Any]) -> str:
    if error["loc"][-1:] == ("[key]",):
        return "unknown key"
    match error["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "is missing"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case _:
            given = error.get("input")
            shown = f", not {given!r}" if isinstance(given, str | int | float) or given is None else ""
            message = str(error["msg"]).removeprefix("Input ")
            return f"{message}{shown}".replace("\n", " ")[:200]
