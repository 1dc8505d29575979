"""The published schemas of all JSON that tlsoak writes (tests/data/schemas), held against what the tests make it write."""
import functools
import json
import pathlib

import jsonschema

FOLDER = pathlib.Path(__file__).parents[1] / "data" / "schemas"


@functools.lru_cache(None)
def validator(name):
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check(name, document):
    """The document, which must be as the schema says."""
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(document))
    assert error is None, f"{name}.json at {error.json_path}: {error.message}"
    return document


FILES = {"run.json": "run", "verdict.json": "verdict", "bench.smaller.json": "bench", "bench.bigger.json": "bench",
         "bmf.json": "bmf"}


def check_run(folder):
    """What a run directory has so far."""
    for name, schema in FILES.items():
        path = pathlib.Path(folder) / name
        if path.exists():
            check(schema, json.loads(path.read_text()))


def check_output(words, out, cwd):
    """What a command line asked for as JSON: a run directory, verdicts, a comparison or a baseline."""
    for option, value in zip(words, words[1:]):
        if option in ("-o", "--output") and words[0] in ("run", "demo"):
            check_run(pathlib.Path(cwd) / value)
        if (option, value) == ("--format", "json") and words[0] in ("analyse", "report"):
            for text in [out] if out.startswith("{\n") else out.splitlines():
                check("verdict", json.loads(text))
        if (option, value) == ("--format", "json") and words[0] == "compare" and out:
            check("compare", json.loads(out))
        if option == "--save" and words[0] == "compare" and (path := pathlib.Path(cwd) / value).exists():
            check("baseline", json.loads(path.read_text()))
