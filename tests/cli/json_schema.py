"""The part of JSON Schema that the schemas here use: type, enum, minimum, minItems, required, properties, additionalProperties
(false), items, oneOf."""

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
KNOWN = {"title", "type", "enum", "minimum", "minItems", "required", "properties", "additionalProperties", "items", "oneOf"}


def problems(value, schema, where="$"):
    """What is wrong with a value, one text each."""
    assert not schema.keys() - KNOWN, f"the checker does not know {schema.keys() - KNOWN}"
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        return [f"{where}: no {wanted}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if "minimum" in schema and value < schema["minimum"]:
        found.append(f"{where}: {value} is less than {schema['minimum']}")
    if "minItems" in schema and len(value) < schema["minItems"]:
        found.append(f"{where}: fewer than {schema['minItems']}")
    if isinstance(value, dict):
        found += [f"{where}: no {name}" for name in schema.get("required", []) if name not in value]
        properties = schema.get("properties", {})
        for name, item in value.items():
            if name in properties:
                found += problems(item, properties[name], f"{where}.{name}")
            elif schema.get("additionalProperties", True) is False:
                found.append(f"{where}: {name} is unknown")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += problems(item, schema["items"], f"{where}[{index}]")
    if "oneOf" in schema:
        tried = [problems(value, choice, where) for choice in schema["oneOf"]]
        if sum(not problem for problem in tried) != 1:
            found.append(f"{where}: {value} fits {sum(not problem for problem in tried)} choices: {tried}")
    return found
