"""What an update may say: fields to change by operators, a replacement, or a pipeline."""

from __future__ import annotations

from typing import Any

from mongomock_ng import aggregate

from sse_flows.testing.mongo_wire import CommandError, Document

_FIELDS = ("$set", "$unset", "$inc", "$min", "$max", "$rename", "$setOnInsert", "$currentDate")
_ARRAYS = ("$push", "$pull", "$pullAll", "$addToSet", "$pop")
_OPERATORS = frozenset(_FIELDS + _ARRAYS)
_NOT_HERE = frozenset({"$mul", "$bit"})
_STAGES = frozenset(
    {"$set", "$addFields", "$unset", "$project", "$replaceRoot", "$replaceWith"}
)  # what MongoDB takes in the pipeline of an update


def has_operators(update: Any) -> bool:
    """Whether an update modifies fields (True) or replaces the document (False).

    Raises
    ------
    CommandError
        Operators and fields are mixed, or an operator does not exist.
    NotImplementedError
        An operator that mongomock lacks.
    """
    if isinstance(update, list):
        return _is_pipeline(update)
    operators = [key for key in update if key.startswith("$")]
    if operators and len(operators) != len(update):
        raise CommandError(9, "FailedToParse", "operators and fields are mixed in an update")
    for operator in operators:
        if operator in _NOT_HERE:
            raise NotImplementedError(operator)
        if operator not in _OPERATORS:
            raise CommandError(9, "FailedToParse", f"Unknown modifier: {operator}")
    return bool(operators)


def _is_pipeline(stages: list[Document]) -> bool:
    for stage in stages:
        if len(stage) != 1 or not _STAGES.issuperset(stage):
            names = ", ".join(stage)
            raise CommandError(72, "InvalidOptions", f"{names} is no stage of an update")
    return True


def piped(document: Document, stages: list[Document], database: Any) -> Document:
    """A document as the pipeline of an update leaves it.

    Parameters
    ----------
    document
        The document before; it is not changed.
    stages
        Checked by :func:`has_operators`.
    database
        Of mongomock.
    """
    (after,) = aggregate.process_pipeline([document], database, stages, None)
    return {"_id": document["_id"], **after} if "_id" in document else after
