"""One token opens one call's socket once, for a while; everything else is refused."""

from __future__ import annotations

import base64
import contextlib
import threading

import pytest

from agent.telephony.tokens import SECRET_VARIABLE, TokenIssuer, TokenRejected

SECRET = b"a secret of some length"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def reason(issuer: TokenIssuer, token: str) -> str:
    with pytest.raises(TokenRejected) as caught:
        issuer.redeem(token)
    assert token == "" or token not in str(caught.value)
    return caught.value.reason


def test_a_token_names_its_call_once() -> None:
    issuer = TokenIssuer(SECRET, Clock())
    token = issuer.issue("call-张-1")
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert issuer.redeem(token) == "call-张-1"
    assert reason(issuer, token) == "already_used"


def test_two_tokens_for_one_call_differ_and_both_work() -> None:
    issuer = TokenIssuer(SECRET, Clock())
    first, second = issuer.issue("c"), issuer.issue("c")
    assert first != second
    assert issuer.redeem(second) == issuer.redeem(first) == "c"


def test_expiry() -> None:
    clock = Clock()
    issuer = TokenIssuer(SECRET, clock)
    early, late = issuer.issue("a", ttl=60), issuer.issue("b", ttl=60)
    clock.now += 59.9
    assert issuer.redeem(early) == "a"
    clock.now += 0.1
    assert reason(issuer, late) == "expired"
    assert reason(issuer, early) == "expired"


def test_every_single_changed_character_is_refused() -> None:
    issuer = TokenIssuer(SECRET, Clock())
    token = issuer.issue("call-1")
    for at, old in enumerate(token):
        forged = token[:at] + ("A" if old != "A" else "B") + token[at + 1 :]
        assert reason(issuer, forged) in ("bad_signature", "malformed")
    assert issuer.redeem(token) == "call-1"


def test_another_secret_is_refused() -> None:
    clock = Clock()
    token = TokenIssuer(b"another secret, as long", clock).issue("call-1")
    assert reason(TokenIssuer(SECRET, clock), token) == "bad_signature"


@pytest.mark.parametrize("token", [
    "", "x", "=" * 8, "a" * 600, "é" * 80, "\x00" * 80, "../../etc/passwd",
    base64.b64encode(b"\x01" * 57).decode() + "=",
])  # fmt: skip
def test_what_is_no_token_at_all(token: str) -> None:
    assert reason(TokenIssuer(SECRET, Clock()), token) == "malformed"


def test_a_second_spelling_of_a_token_is_refused() -> None:
    issuer = TokenIssuer(SECRET, Clock())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = next(t for t in (issuer.issue("c" * n) for n in range(1, 4)) if len(t) % 4)
    other = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]  # differs in the spare bits only
    assert reason(issuer, other) == "malformed"
    assert reason(issuer, token + "=") == "malformed"


def test_memory_is_bounded_and_fails_closed() -> None:
    clock = Clock()
    issuer = TokenIssuer(SECRET, clock, remembered=2)
    first, second, third = (issuer.issue("c", ttl=10) for _ in range(3))
    issuer.redeem(first)
    issuer.redeem(second)
    assert reason(issuer, third) == "overloaded"
    fresh = issuer.issue("d", ttl=60)
    clock.now += 11
    assert issuer.redeem(fresh) == "d"
    assert reason(issuer, first) == "expired"


def test_of_many_threads_one_wins() -> None:
    issuer = TokenIssuer(SECRET)
    token = issuer.issue("call")
    won: list[str] = []

    def redeem() -> None:
        with contextlib.suppress(TokenRejected):
            won.append(issuer.redeem(token))

    threads = [threading.Thread(target=redeem) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == ["call"]


def test_bad_requests_for_tokens() -> None:
    issuer = TokenIssuer(SECRET)
    for call_id, ttl in (("", 60.0), ("c" * 200, 60.0), ("c", 0.0), ("c", -1.0), ("c", 1e9), ("c", float("nan"))):
        with pytest.raises(ValueError):
            issuer.issue(call_id, ttl)
    with pytest.raises(ValueError, match="16 bytes"):
        TokenIssuer(b"short")


def test_secret_from_the_environment() -> None:
    given = {SECRET_VARIABLE: "0123456789abcdef"}
    token = TokenIssuer.from_environment(given).issue("call")
    assert TokenIssuer.from_environment(given).redeem(token) == "call"
    token = TokenIssuer.from_environment({}).issue("call")
    assert reason(TokenIssuer.from_environment({}), token) == "bad_signature"
    with pytest.raises(ValueError, match=SECRET_VARIABLE):
        TokenIssuer.from_environment({SECRET_VARIABLE: "short"})
