"""What the handlers of all stored objects have in common: lookup, creation, replacement, deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from localedge.api.account import Account
from localedge.api.problem import ProblemError, not_emulated, not_found, validation_failed
from localedge.documents.refusal import InvalidError, NotEmulatedError, NotUniqueError
from localedge.state.records import Document, DocumentKind

T = TypeVar("T")


def reading(read: Callable[[], T], invalid: Callable[[str], ProblemError] = validation_failed) -> T:
    """Read a body; refusals become problems, with the code of the resource."""
    try:
        return read()
    except InvalidError as error:
        raise invalid(str(error)) from error
    except NotUniqueError as error:
        raise ProblemError(409, 1003, "value not unique") from error
    except NotEmulatedError as error:
        raise not_emulated(str(error)) from error


def find(account: Account, kind: DocumentKind, key: str, what: str) -> Document:
    """Look an object up.

    Raises:
        ProblemError: 404.

    """
    document = account.store.state.documents(kind).get(key)
    if document is None:
        raise not_found(what)
    return document


def create(account: Account, kind: DocumentKind, fields: dict[str, Any]) -> Document:
    """Store a new object with an id and its times."""
    key, now = account.identifiers.hex32(), account.clock.timestamp()
    document = {"id": key, **fields, "created_on": now, "modified_on": now}
    account.store.commit(account.store.state.with_document(kind, key, document))
    return document


def replace(account: Account, kind: DocumentKind, before: Document, fields: dict[str, Any]) -> Document:
    """Store an object anew under its old id."""
    document = {
        "id": before["id"],
        **fields,
        "created_on": before["created_on"],
        "modified_on": account.clock.timestamp(),
    }
    account.store.commit(account.store.state.with_document(kind, before["id"], document))
    return document


def delete(account: Account, kind: DocumentKind, key: str) -> dict[str, str]:
    """Delete an object; the answer is its id."""
    account.store.commit(account.store.state.without_document(kind, key))
    return {"id": key}
