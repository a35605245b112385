"""What is wrong in a document is said at the place where it stands, with the nearest name: in lists of rules and steps too.

Belongs here: how pydantic's errors and a model's JSON schema are told. Does not: what a document may hold.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from flowforge_assets.components.retold import retold
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails, InitErrorDetails

# The fields by which a list's entries are told apart.
_KINDS = ("rule", "transform")
Way = tuple[str | int, ...]
Schema = dict[str, Any]


@cache
def explained(model: type[BaseModel]) -> type[BaseModel]:
    """A model as it is, but for how its errors and its JSON schema tell what is wrong.

    Dagster takes a text in place of every value, so that every field is a union: pydantic reports all alternatives and
    names them in the place, and `dg check yaml` says of a whole list that it fits none.
    """

    def placed(written: Any, error: ValidationError) -> Iterator[InitErrorDetails]:
        found = [(_way(written, one), one) for one in error.errors(include_url=False)]
        schema = model.model_json_schema()
        return (_told(written, way, one, schema) for way, one in found if not _is_of_a_template(way, one, found))

    made = retold(model, placed)
    plain = made.model_json_schema
    made.model_json_schema = lambda *args, **options: one_by_one(plain(*args, **options))  # type: ignore[method-assign]
    return made


def _way(written: Any, error: ErrorDetails) -> Way:
    """The place of an error in what was written: without the names of the alternatives that were tried."""
    way: list[str | int] = []
    here: Any = written
    kind = None
    for step in cast("tuple[Any, ...]", error["loc"]):
        if kind is not None and step == kind:
            kind = None
        elif (isinstance(here, dict) and step in here) or (isinstance(here, list) and step in range(len(here))):
            way.append(step)
            here = here[step]
            kind = _kind_of(here)
    return (*way, error["loc"][-1]) if error["type"] == "missing" else tuple(way)


def _kind_of(written: Any) -> Any:
    """Which rule or step an entry of a list says it is; None of anything else."""
    return next((written[name] for name in _KINDS if name in written), None) if isinstance(written, dict) else None


def _is_of_a_template(way: Way, error: ErrorDetails, found: list[tuple[Way, ErrorDetails]]) -> bool:
    """It only says that the value is no text, which a template would be; another error says what it should be."""
    others = (other for other, one in found if one is not error)
    return (
        error["type"] == "string_type"
        and error["loc"][-1] == "str"
        and any(other[: len(way)] == way for other in others)
    )


def _told(written: Any, way: Way, error: ErrorDetails, schema: Schema) -> InitErrorDetails:
    """An error as pydantic takes it, at its place; of a name that is none with the nearest one."""
    said = {**error, "loc": way}
    instead = _with_nearest(written, way, error, schema)
    if instead:
        said |= {"type": "value_error", "ctx": {"error": ValueError(instead)}}
    return cast("InitErrorDetails", said)


def _with_nearest(written: Any, way: Way, error: ErrorDetails, schema: Schema) -> str:
    context = error.get("ctx", {})
    if error["type"] == "union_tag_invalid":
        known = [name.strip(" '") for name in context["expected_tags"].split(",")]
        return f"There is no {context['discriminator'].strip(chr(39))} '{context['tag']}'.{did_you_mean(context['tag'], known)}"
    if error["type"] == "union_tag_not_found":
        kind = context["discriminator"].strip("'")
        return f"`{kind}` is missing: it says which {kind} this is, e.g. `{kind}: …`."
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        return 'YAML reads this as true or false. In quotes it is a text: `"no"`, `"on"`, `"yes"`.'
    if error["type"] == "extra_forbidden":
        return f"There is no field '{way[-1]}' here.{did_you_mean(str(way[-1]), _fields(written, way[:-1], schema))}"
    return ""


def _fields(written: Any, way: Way, schema: Schema) -> list[str]:
    """The fields that may stand at a place, by the JSON schema of the document."""
    kinds, here = [schema], written
    for step in way:
        here = here[step]
        below = [one.get("items") if isinstance(step, int) else one.get("properties", {}).get(step) for one in kinds]
        kinds = [one for part in below if part for one in _alternatives(part, schema["$defs"])]
        kinds = [one for one in kinds if _may_be(one, _kind_of(here))]
    return [name for one in kinds for name in one.get("properties", {})]


def _alternatives(part: Schema, defs: Schema) -> Iterator[Schema]:
    """What a part of a schema allows, references followed."""
    if "$ref" in part:
        yield from _alternatives(defs[part["$ref"].rsplit("/", 1)[-1]], defs)
    elif "anyOf" in part or "oneOf" in part:
        for one in part.get("anyOf", []) + part.get("oneOf", []):
            yield from _alternatives(one, defs)
    else:
        yield part


def _may_be(schema: Schema, kind: Any) -> bool:
    said = [schema.get("properties", {}).get(name, {}).get("const") for name in _KINDS]
    return kind is None or kind in said


def one_by_one(schema: Any) -> Any:
    """A JSON schema that allows the same, and in which what is wrong is found at its own place.

    A union by a field becomes `if … then …` of each kind, one of different JSON types the same of each type: a validator
    then says what is wrong with the entry, where of `anyOf` it says that nothing fits.
    """
    return _rewritten(schema, schema.get("$defs", {}))


def _rewritten(node: Any, defs: Schema) -> Any:
    if isinstance(node, list):
        return [_rewritten(one, defs) for one in node]
    if not isinstance(node, dict):
        return node
    known = {name: _rewritten(part, defs) for name, part in node.items()}
    if "oneOf" in known and "discriminator" in known:
        return _by_kind(known)
    types = [_type_of(one, defs) for one in node.get("anyOf", [])]
    if types and all(types) and len({"number" if one == "integer" else one for one in types}) == len(types):
        return _by_type(known, cast("list[str]", types))
    return known


def _by_kind(node: Schema) -> Schema:
    name, kinds = node["discriminator"]["propertyName"], node["discriminator"]["mapping"]
    rest = {key: part for key, part in node.items() if key not in {"oneOf", "discriminator"}}
    one_each = [{"if": {"properties": {name: {"const": kind}}}, "then": {"$ref": ref}} for kind, ref in kinds.items()]
    # Behind `required` and the list of kinds, whose messages say enough: of an unknown kind no branch is asked.
    return {
        **rest,
        "type": "object",
        "required": [name],
        "properties": {name: {"enum": list(kinds)}},
        "allOf": one_each,
    }


def _by_type(node: Schema, types: list[str]) -> Schema:
    rest = {key: part for key, part in node.items() if key != "anyOf"}
    one_each = [{"if": {"type": kind}, "then": one} for kind, one in zip(types, node["anyOf"], strict=True)]
    return {**rest, "type": types, "allOf": one_each}


def _type_of(part: Schema, defs: Schema) -> str | None:
    """The one JSON type of a part of a schema; None where it is open."""
    if "$ref" in part:
        return _type_of(defs[part["$ref"].rsplit("/", 1)[-1]], defs)
    kind = "object" if "discriminator" in part else part.get("type")
    return kind if isinstance(kind, str) else None
