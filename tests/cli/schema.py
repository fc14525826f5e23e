"""Holds JSON files of runs to their schemas in docs/, and the schemas to files that were changed for the worse.

schema.py DOCS RUN...
"""
import copy
import json
import sys
from pathlib import Path

import jsonschema


def changes(value, path=()):
    """Places and values that no document may have there. Objects whose keys the schema leaves open (recipe, libraries)
    take anything."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "recipe":
                yield from changes(item, path + (key,))
        if path and path[-1] != "libraries" or not path:
            yield path + ("a_key_that_nobody_knows",), 1
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from changes(item, path + (i,))
        yield path, {"not": "a list"}
    elif isinstance(value, str):
        yield path, 7
    else:
        yield path, "text"


def shortened(value):
    """The same document with two items of each list: what a change is refused for lies in those."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    return [shortened(item) for item in value[:2]] if isinstance(value, list) else value


def changed(document, path, value):
    out = copy.deepcopy(document)
    if not path:
        return value
    at = out
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return out


def without_required(document, schema):
    for key in schema["required"]:
        yield key, {k: v for k, v in document.items() if k != key}


def main() -> int:
    docs, checked, refused = Path(sys.argv[1]), 0, 0
    for name in ("results", "statistics"):
        schema = json.loads((docs / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for run in sys.argv[2:]:
            path = Path(run) / f"{name}.json"
            document = json.loads(path.read_text())
            errors = list(validator.iter_errors(document))
            for error in errors[:5]:
                print(f"{path}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
            if errors:
                return 1
            checked += 1
            document = shortened(document)
            if not validator.is_valid(document):
                print(f"{path}: with two items of each list no longer valid, so that no change to it says anything")
                return 1
            seen = set()  # the items of a list are alike
            for place, value in changes(document):
                kind = tuple(0 if isinstance(key, int) else key for key in place)
                if kind in seen:
                    continue
                seen.add(kind)
                if validator.is_valid(changed(document, place, value)):
                    print(f"{path}: the schema takes {value!r} at {'/'.join(map(str, place))}")
                    return 1
                refused += 1
            for key, less in without_required(document, schema):
                if validator.is_valid(less):
                    print(f"{path}: the schema does not miss {key}")
                    return 1
                refused += 1
            other = dict(document, format=document["format"][:-1] + "2")
            if validator.is_valid(other):
                print(f"{path}: the schema takes another format")
                return 1
    print(f"{checked} documents valid, {refused} changed ones refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
