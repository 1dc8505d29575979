"""Servers of Debian's packages are never called leaky: a crossover of a minute each, some at a time.

That they pass within their budgets needs longer runs: ./dev targets --only 'thirdparty/*'."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import short_rows  # noqa: E402
from servers import make_pki  # noqa: E402

ROWS = short_rows.labelled("thirdparty")
AT_A_TIME = 4


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thirdparty")
    return short_rows.all_of(ROWS, make_pki(folder / "pki"), folder, AT_A_TIME)


@pytest.mark.parametrize("name", ROWS)
def test_is_not_called_leaky(results, name):
    result = short_rows.result_of(results, name)
    assert not result["wrong"] and result["class"] != "leak", result
