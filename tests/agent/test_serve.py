"""``callgate serve``: what happens before anybody signs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.carriers import listener
from agent.errors import ConfigurationError
from agent.serve import serve
from agent.settings import Settings


async def test_a_second_serve_on_the_same_port_leaves_the_first_admins_link_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = Settings(home=home, listen="127.0.0.1:0")
    with listener("127.0.0.1:0") as first:
        taken = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"cannot listen on {taken}"):
            await serve(settings.model_copy(update={"listen": taken}))
    assert not home.exists(), "nothing was opened, so no link was made or replaced"


@pytest.mark.parametrize("listen", ["8000", "127.0.0.1:http", "127.0.0.1:70000", "nowhere.invalid:8000"])
def test_an_address_that_cannot_be_listened_on_is_named(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLGATE_LISTEN"):
        listener(listen)
