"""JSON schemas in the strict form that providers can constrain an answer to."""

from typing import cast

from pydantic import JsonValue

Schema = dict[str, JsonValue]


def strict(schema: Schema) -> Schema | None:
    """`schema` with every property required and no others allowed, or None where it means something else then.

    An object with free keys cannot be made strict.
    """
    found = _strict(schema)
    return found if isinstance(found, dict) else None


def _strict(node: JsonValue) -> JsonValue:
    """The strict form of a schema, a map of schemas or a list of them; None when there is none."""
    if isinstance(node, list):
        items = [_strict(item) for item in node]
        return None if any(b is None and a is not None for a, b in zip(node, items, strict=True)) else items
    if not isinstance(node, dict):
        return node
    out: Schema = {}
    for key, value in node.items():
        if key == "default":
            continue  # a required property has no use for one, and providers reject it
        if key in ("properties", "$defs", "definitions"):
            parts = {name: _strict(part) for name, part in cast(Schema, value).items()}
            if any(part is None for part in parts.values()):
                return None
            out[key] = parts
        elif key in ("items", "anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, dict | list):
            part = _strict(value)
            if part is None:
                return None
            out[key] = part
        else:
            out[key] = value
    if node.get("type") == "object":
        if "properties" not in node or node.get("additionalProperties", False) is not False:
            return None
        out["additionalProperties"] = False
        out["required"] = list(cast(Schema, node["properties"]))
    return out
