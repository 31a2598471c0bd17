"""The policy for new passwords.

It follows NIST SP 800-63B-4: long, not common, not the user's name, and no rules on kinds of characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zxcvbn_rs_py import Entropy, zxcvbn

from service import limits
from service.errors import ErrorCode, Problem
from service.parsing import UNSTORABLE


@dataclass(frozen=True)
class PasswordPolicy:
    """The rules for a new password: lengths in characters, and the least score of strength(), 0 to 4."""

    min_length: int = 8
    max_length: int = limits.PASSWORD
    min_score: int = 2


# Shorter personal words occur in unrelated passwords by chance
_MIN_WORD = 4
# zxcvbn holds the interpreter lock. Its time grows with the length and, steeply, with the number of different
# characters that may replace a letter: 72 characters took at most 20 ms with three of those, and 700 ms with twenty.
_SCORED_LENGTH = 72
_SCORED_LENGTH_LEET = 16
_LEET = frozenset("4@8({[<3691!|0$5+7%2")
_MAX_LEET = 3


@cache
def blocklist() -> frozenset[str]:
    """Return the common passwords, in lower case."""
    lines = Path(__file__).with_name("blocklist.txt").read_text("ascii").splitlines()
    return frozenset(line for line in lines if line != "#" and not line.startswith("# "))


def strength(password: str, context: Sequence[str]) -> int:
    """Return how hard a password is to guess for someone who knows `context`: 0 (easy) to 4 (over 10^10 guesses).

    Only its start is rated. Raise ValueError for unpaired surrogates.
    """
    return int(_estimate(password, context).score)


def password_problems(password: str, context: Sequence[str], policy: PasswordPolicy, *field: str) -> list[Problem]:
    """Return why a new password is rejected, or nothing. `context` is its owner's username, email, and names.

    At most one problem is returned: the first in the order length, characters, common, personal, guessable.
    """
    if len(password) > policy.max_length:
        return [Problem(ErrorCode.TOO_LONG, f"A password must have at most {policy.max_length} characters.", field)]
    if len(password) < policy.min_length:
        return [Problem(ErrorCode.TOO_SHORT, f"A password must have at least {policy.min_length} characters.", field)]
    if UNSTORABLE.search(password):
        return [Problem(ErrorCode.INVALID, "A password must not contain NUL or unpaired surrogates.", field)]
    reason = _weakness(password, [text for text in context if not UNSTORABLE.search(text)], policy)
    return [] if reason is None else [Problem(ErrorCode.WEAK_PASSWORD, reason, field)]


def _weakness(password: str, context: Sequence[str], policy: PasswordPolicy) -> str | None:
    if password.casefold() in blocklist():
        return "This is one of the most common passwords."
    if _is_personal(password, context, policy):
        return "This password is mostly your own name or address."
    if policy.min_score == 0:
        return None  # every password has this score
    estimate = _estimate(password, context)
    if int(estimate.score) >= policy.min_score:
        return None
    hints = estimate.feedback and [estimate.feedback.warning or "", *estimate.feedback.suggestions]
    hint = next((str(hint) for hint in hints or [] if hint), "Use more words")
    return f"This password is easy to guess. {hint.rstrip('.')}."


def _is_personal(password: str, context: Sequence[str], policy: PasswordPolicy) -> bool:
    """Return whether the password, without the words of `context`, is too short and contains no other word."""
    given = rest = password.casefold()
    for word in sorted(set(_personal_words(context)), key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != given and len(rest) < policy.min_length and sum(map(str.isalpha, rest)) < _MIN_WORD


def _personal_words(context: Sequence[str]) -> Iterator[str]:
    for text in context:
        folded = text.casefold()
        for word in (folded, folded.rpartition("@")[0], *re.split(r"[\W_]+", folded)):
            if len(word) >= _MIN_WORD:
                yield word


def _estimate(password: str, context: Sequence[str]) -> Entropy:
    head = password[:_SCORED_LENGTH]
    if len(_LEET.intersection(head)) > _MAX_LEET:
        head = head[:_SCORED_LENGTH_LEET]
    return zxcvbn(head, [word[:_SCORED_LENGTH] for word in _personal_words(context)])
