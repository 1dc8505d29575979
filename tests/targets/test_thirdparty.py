"""Servers of Debian's packages are never called leaky: a crossover of a minute each, some at a time.

That they pass within their budgets needs longer runs: ./dev targets --only 'thirdparty/*'."""
import concurrent.futures
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import fleet  # noqa: E402
import thirdparty  # noqa: E402
from servers import RELEASE, make_pki  # noqa: E402

BINARY = str(pathlib.Path(RELEASE).resolve())
ROWS = {row.name: row for row in fleet.read_matrix() if "thirdparty" in row.labels}
AT_A_TIME = 4


def measured(row, pki, folder):
    """Once more where the machine was too busy to measure; why it can't be run, if so."""
    try:
        result = fleet.perform(row, pki, folder / "row", BINARY, short=True)
        return fleet.perform(row, pki, folder / "again", BINARY, short=True) if result["verdict"] == "invalid" else result
    except thirdparty.Missing as why:
        return str(why)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thirdparty")
    pki = make_pki(folder / "pki")
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        running = {name: pool.submit(measured, row, pki, fleet.folder_of(folder, row)) for name, row in ROWS.items()}
        return {name: future.exception() or future.result() for name, future in running.items()}


@pytest.mark.parametrize("name", ROWS)
def test_is_not_called_leaky(results, name):
    result = results[name]
    if isinstance(result, Exception):
        raise result
    if isinstance(result, str):
        pytest.skip(result)
    assert not result["wrong"] and result["class"] != "leak", result
