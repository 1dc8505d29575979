"""Short rows of the matrix as tests: run some at a time, each once, whatever becomes of the others.

What a busy machine made invalid is asked for again, and once more a leak that can't be told on it in so short a run; a
wrong answer never is."""
import concurrent.futures
import pathlib

import pytest

import fixtures
import fleet
import thirdparty
from servers import RELEASE, TRIES, unless_stolen

BINARY = str(pathlib.Path(RELEASE).resolve())
MISSING = (fixtures.Missing, thirdparty.Missing)


def labelled(label):
    return {row.name: row for row in fleet.read_matrix() if label in row.labels}


def measured(row, pki, folder):
    asked_again = False
    for attempt in range(TRIES):
        result = fleet.perform(row, pki, folder / f"{attempt}", BINARY, short=True)
        if result["verdict"] != "invalid":
            if asked_again or row.expect != "leak" or result["class"] != "inconclusive":
                break
            asked_again = True
        print(f"{row.name} again, since {result['reason']}")
    return result


def all_of(rows, pki, folder, at_a_time):
    """Of each row, by its name, its result or the exception that kept it from one."""
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        running = {name: pool.submit(measured, row, pki, fleet.folder_of(folder, row)) for name, row in rows.items()}
        return {name: future.exception() or future.result() for name, future in running.items()}


def result_of(results, name):
    """That of a row which was measured; else the test ends here."""
    result = results[name]
    if isinstance(result, MISSING):
        pytest.skip(f"{name.split('/')[0]}: {result}")
    if isinstance(result, Exception):
        raise result
    if result["verdict"] == "invalid":
        unless_stolen(result["reason"])
    return result
