"""The mapping file: which column holds which field, and what holds for the whole file.

::

    columns: {account: 合同号, borrower_name: 姓名, phone: 手机号, amount_due: 应还金额}
    constants: {lang: zh, currency: CNY, time_zone: Asia/Shanghai, lender: 安信消费金融}
    values: {lang: {中文: zh, 英文: en}}
    country_code: "+86"
    date_order: DMY
    ignore: [客户经理]
    ignore_other_columns: true

Without a mapping every column must be headed by a field's own name. ``ignore_other_columns`` ignores what nobody named,
but no column whose heading reads like one of ours that protects people: those are mapped, or named under ``ignore``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from campaigns.config import load_yaml
from campaigns.errors import ConfigError, ImportRefused
from campaigns.importing.table import Cell, RawRow

_PROTECTING: Final[Mapping[str, tuple[str, ...]]] = {
    "do_not_contact": (
        "do not call", "dnc", "opt out", "cease", "stop contact", "请勿联系", "停止联系", "停催", "禁呼", "勿扰",
    ),
    "attorney": ("lawyer", "legal representation", "represented", "律师", "代理律师"),
    "deceased": ("dead", "death", "死亡", "已故", "身故"),
    "bankrupt": ("bankruptcy", "insolvent", "破产"),
    "consents": ("consent", "同意", "授权同意"),
}  # fmt: skip
"""What lenders head such columns with."""


class FileMapping(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = Field(default_factory=dict)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    country_code: Annotated[str | None, Field(pattern=r"^\+[1-9][0-9]{0,3}$")] = None
    date_order: Literal["DMY", "MDY"] | None = None
    delimiter: Annotated[str | None, Field(min_length=1, max_length=1)] = None
    sheet: str | None = None
    ignore: tuple[str, ...] = ()
    ignore_other_columns: bool = False

    def bind(
        self, columns: tuple[str, ...], fields: Mapping[str, object], required: Collection[str], name: str
    ) -> dict[str, str]:
        """Field to column for a file with ``columns``. Raises ``ImportRefused`` naming what does not fit."""
        for field in (*self.columns, *self.constants, *self.values):
            if field not in fields:
                raise ImportRefused(f"mapping: unknown field {field!r}; there are: {', '.join(sorted(fields))}")
        bound: dict[str, str] = {}
        for field, column in self.columns.items():
            if column not in columns:
                raise ImportRefused(f"{name}: has no column {column!r} (for {field})")
            bound[field] = column
        taken = set(bound.values())
        like = {_bare(word): field for field in fields for word in (field, *_PROTECTING.get(field, ()))}
        for column in columns:
            if column in taken or column in self.ignore:
                continue
            if column in fields and column not in bound and column not in self.constants:
                bound[column] = column
            elif (meant := like.get(_bare(column))) is not None and meant not in bound and meant not in self.constants:
                raise ImportRefused(
                    f"{name}: column {column[:60]!r} looks like the field {meant}: map it, or name it under ignore"
                )
            elif not self.ignore_other_columns:
                if column in self.constants:
                    raise ImportRefused(
                        f"{name}: column {column!r}: the whole file is given one already; name the column under ignore"
                    )
                raise ImportRefused(
                    f"{name}: column {column[:60]!r} is no field: map it, or set ignore_other_columns in the mapping"
                )
        if lacking := [field for field in required if field not in bound and field not in self.constants]:
            raise ImportRefused(f"{name}: no column and no constant for {', '.join(lacking)}")
        return bound

    def cells(self, row: RawRow, bound: Mapping[str, str]) -> dict[str, Cell]:
        """A row's cells by field: constants filled in, values translated."""
        cells: dict[str, Cell] = dict(self.constants)
        for field, column in bound.items():
            cell = row.cells[column]
            table = self.values.get(field)
            if table is not None and isinstance(cell, str | int):
                cell = table.get(str(cell).strip(), cell)
            cells[field] = cell
        return cells


def _bare(heading: str) -> str:
    """A heading without case, spaces and signs: ``Do Not Contact`` must not pass for a column that may be ignored."""
    return "".join(c for c in unicodedata.normalize("NFKC", heading).casefold() if c.isalnum())


def load_mapping(path: Path | None) -> FileMapping:
    """Read a mapping file; the empty mapping for ``None``. Raises ``ConfigError`` in one line."""
    if path is None:
        return FileMapping()
    plain = load_yaml(path)
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: must hold a mapping")
    try:
        return FileMapping.model_validate(plain)
    except ValidationError as e:
        first = e.errors(include_input=False, include_url=False)[0]
        raise ConfigError(f"{path}: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}") from e
