"""Plain projections of the test server: parts of documents, without copies of what they hold."""

from __future__ import annotations

from typing import Any

from sse_flows.testing.mongo_wire import Document


def projection_tree(projection: Document | None) -> tuple[bool, Document] | None:
    """Whether to include or exclude, and fields as a tree; None if there is more to it."""
    if not projection:
        return None
    fields = {key: value for key, value in projection.items() if key != "_id"}
    kinds = {bool(value) for value in fields.values()}
    plain = all(isinstance(value, (bool, int, float)) for value in projection.values())
    if not plain or len(kinds) > 1 or any("$" in key for key in fields):
        return None
    include = kinds.pop() if kinds else bool(projection["_id"])
    if bool(projection.get("_id", True)) == include:
        fields["_id"] = include
    tree: Document = {}
    for key in fields:
        *parents, last = key.split(".")
        branch: Any = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if branch is True:
                return None  # a field and one within it
        if branch.setdefault(last, True) is not True:
            return None
    return include, tree


def including(document: Document, fields: Document) -> Document:
    """The named fields of a document, and within the items of arrays."""
    shown = {}
    for key, value in document.items():
        wanted = fields.get(key)
        if wanted is True:
            shown[key] = value
        elif wanted is not None and isinstance(value, (dict, list)):
            shown[key] = _within(value, wanted, including)
    return shown


def excluding(document: Document, fields: Document) -> Document:
    """A document without the named fields, also in the items of arrays."""
    shown = {}
    for key, value in document.items():
        unwanted = fields.get(key)
        if unwanted is None or (unwanted is not True and not isinstance(value, (dict, list))):
            shown[key] = value
        elif unwanted is not True:
            shown[key] = _within(value, unwanted, excluding)
    return shown


def _within(value: Any, fields: Document, pick: Any) -> Any:
    if isinstance(value, dict):
        return pick(value, fields=fields)
    items = (
        value if pick is excluding else [item for item in value if isinstance(item, (dict, list))]
    )
    return [
        _within(item, fields, pick) if isinstance(item, (dict, list)) else item for item in items
    ]
