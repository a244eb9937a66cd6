"""A Whisper's folder or name: whether all is there, what was noted about it, and why the hub did not give it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from asr.transcriber import ModelError

_FILES = ("config.json", "model.bin", "tokenizer.json")
_NOTES = "preprocessor_config.json"
_START = "<|startoftranscript|>"


def hub_trouble(name: str, error: Exception, reason: str) -> str:
    """Why the hub did not give ``name``, and what helps."""
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return "the model hub gives it only to those who accepted its terms: do so, and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "the model hub has no such model; check the name, or set HF_TOKEN if it is private"
    if isinstance(error, LocalEntryNotFoundError | ConnectionError | TimeoutError) or "connect" in reason.lower():
        fetch = f"""python -c "import faster_whisper; faster_whisper.download_model('{name}', 'FOLDER')\""""
        return f"the model hub cannot be reached; where it can, run {fetch}, and give that FOLDER here"
    return f"could not be loaded ({reason}); check the name and the network, or give a folder"


def check_folder(folder: Path, *, noted: bool = False) -> None:
    """Raises ``ModelError`` in one line, with what helps, if a part is missing; ``noted``: our notes as well."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder; give a folder, a name such as 'small', or nothing")
    for name in (*_FILES, _NOTES) if noted else _FILES:
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: {name} is missing; fetch or convert the model again")
    vocabularies = [p for p in (folder / "vocabulary.json", folder / "vocabulary.txt") if p.is_file()]
    if not vocabularies:
        raise ModelError(f"{folder}: vocabulary.json is missing; fetch or convert the model again")
    for path in (vocabularies[0], folder / "tokenizer.json"):  # CTranslate2 itself would not notice until it decodes
        if _START not in path.read_text(encoding="utf-8", errors="replace"):
            raise ModelError(f"{path}: not a usable Whisper vocabulary, {_START} is not in it; fetch the model again")


def notes(folder: Path) -> dict[str, Any]:
    """What our converter notes about a model beside what faster-whisper reads."""
    path = folder / _NOTES
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
