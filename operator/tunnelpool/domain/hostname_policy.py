"""Which namespaces may claim which host names.

Without a policy every namespace may claim every name. Once there is one, a name may be claimed only from a
namespace of an entry that lists it. Names are compared as DNS does: without regard to case or a dot at the
end, and letters beyond ASCII as their `xn--` form (RFC 5891), whichever of the two is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tunnelpool.domain.reasons import Problem, Reason

_ASCII_LABEL: Final = re.compile(r"[a-z0-9_*](?:[-a-z0-9_*]*[a-z0-9_*])?")
_LONGEST_LABEL: Final = 63
_NAMESPACE: Final = re.compile(r"[-a-z0-9*]+")


class PatternError(ValueError):
    """A pattern that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One entry of the policy: from these namespaces these host names may be claimed.

    In a namespace `*` stands for any letters. Of a host name `*` alone stands for all of them; a first label
    `*` for one or more labels; elsewhere `*` for any letters within its label.

    Raises:
        PatternError: a pattern cannot be read.

    """

    namespaces: tuple[str, ...]
    hostnames: tuple[str, ...]

    def __post_init__(self) -> None:
        for pattern in self.namespaces:
            _namespaces(pattern)
        for pattern in self.hostnames:
            _hostnames(pattern)

    def includes(self, namespace: str) -> bool:
        """Tell whether the entry is for a namespace."""
        return any(_namespaces(pattern).fullmatch(namespace) for pattern in self.namespaces)

    def allows(self, hostname: str) -> bool:
        """Tell whether the entry lists a host name; one of `*.` is listed if all below it are."""
        try:
            name = ascii_name(hostname)
        except PatternError:
            return False
        return any(_hostnames(pattern).fullmatch(name) for pattern in self.hostnames)


@dataclass(frozen=True, slots=True)
class HostnamePolicy:
    """All entries. None of them: everything is allowed."""

    grants: tuple[Grant, ...] = ()

    def allows(self, namespace: str, hostname: str) -> bool:
        """Tell whether a namespace may claim a host name."""
        return not self.grants or any(
            grant.includes(namespace) and grant.allows(hostname) for grant in self.grants
        )

    def refusal(self, namespace: str, hostnames: Sequence[str]) -> Problem | None:
        """Say which of some host names may not be claimed, and which may; None if all may."""
        refused = next((name for name in hostnames if not self.allows(namespace, name)), None)
        if refused is None:
            return None
        listed = [name for grant in self.grants if grant.includes(namespace) for name in grant.hostnames]
        allowed = " or ".join(f"'{name}'" for name in dict.fromkeys(listed)) or "none at all"
        return Problem(
            Reason.HOSTNAME_NOT_ALLOWED,
            f"namespace '{namespace}' must not claim hostname '{refused}': the operator's `hostnamePolicy` "
            f"allows it {allowed}. Choose such a hostname, or have the policy changed; what answers now is "
            "left as it is",
            stalled=True,
        )


NO_POLICY: Final = HostnamePolicy()
"""Every namespace may claim every host name."""


def ascii_name(hostname: str) -> str:
    """Write a host name as DNS has it: lower case, no dot at the end, `xn--` for letters beyond ASCII.

    Raises:
        PatternError: a label is empty, too long, or holds what no name may hold.

    """
    return ".".join(_label(label) for label in hostname.removesuffix(".").split("."))


def _label(written: str) -> str:
    """Write one label in ASCII. By IDNA 2008: letters stay what they are, so 'ß' is not 'ss'."""
    label = unicodedata.normalize("NFC", written.lower())
    if not label.isascii():
        if "*" in label:
            raise PatternError(f"'{written}' must not have '*' beside letters beyond ASCII")
        if unicodedata.normalize("NFKC", label) != label or not all(map(_is_letter, label)):
            raise PatternError(f"'{written}' must be written in letters that a host name may hold")
        label = "xn--" + label.encode("punycode").decode("ascii")
    if len(label) > _LONGEST_LABEL or not _ASCII_LABEL.fullmatch(label):
        raise PatternError(f"'{written}' must be 1 to 63 letters, digits or '-'")
    return label


def _is_letter(char: str) -> bool:
    return char == "-" or char.isdigit() or unicodedata.category(char)[0] in "LM"


@lru_cache(maxsize=4096)
def _namespaces(pattern: str) -> re.Pattern[str]:
    if not _NAMESPACE.fullmatch(pattern):
        raise PatternError(f"namespace '{pattern}' must be lower-case letters, digits, '-' and '*'")
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


@lru_cache(maxsize=4096)
def _hostnames(pattern: str) -> re.Pattern[str]:
    try:
        name = ascii_name(pattern)
    except PatternError as error:
        raise PatternError(f"hostname '{pattern}': label {error}") from None
    if name == "*":
        return re.compile(r".+")
    first, _, rest = name.partition(".")
    if first == "*":
        # A claim of '*.example.com' is of all names below it: only as much or more covers that.
        return re.compile(rf"(?:\*\.)?(?:[^.*]+\.)+{_within(rest)}|\*\.{_within(rest)}")
    return re.compile(_within(name))


def _within(name: str) -> str:
    """Match `*` with letters of one label; never with the '*' of a claim, which stands for more than that."""
    return "[^.*]*".join(map(re.escape, name.split("*")))
