"""docs/protocol.schema.json with Python's jsonschema, which knows all of JSON Schema: the schema is
one, has every example of docs/protocol.md, and refuses each of them with a field less, a field more
or a field of another type. Used by other scripts to check what a server sends."""

import json
import pathlib
import re

from jsonschema import Draft202012Validator

DOCS = pathlib.Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "protocol.schema.json").read_text())


def validator(definition):
    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]})


REQUEST, SENT = validator("request"), validator("sent")


def examples():
    page = (DOCS / "protocol.md").read_text()
    for kind, block in re.findall(r"^```json( request)?\n(.*?)^```$", page, re.S | re.M):
        for line in block.splitlines():
            yield (REQUEST if kind else SENT), json.loads(line)


def neighbours(example):
    """The example with one mistake each, but for fields that need not be there."""
    yield {**example, "another": 1}
    yield {**example, "type": "another"}
    for name in example:
        yield {**example, name: {"another": [1.5]}}


def check():
    Draft202012Validator.check_schema(SCHEMA)
    count = 0
    for schema, example in examples():
        schema.validate(example)
        for wrong in neighbours(example):
            assert not schema.is_valid(wrong), wrong
        count += 1
    assert count > 30, f"only {count} examples"


if __name__ == "__main__":
    check()
