"""Rows of matrix.csv labelled short, a crossover of two minutes each, of a JVM four: in each framework a leak and its remedy.

A leak must be found, its driver blamed first, with bytes per event within 30 % of the server's own account; a remedy may be
inconclusive in two minutes, but never a leak. The whole matrix, in runs of 320 s, is ./dev targets."""
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import fixtures  # noqa: E402
import fleet  # noqa: E402
import short_rows  # noqa: E402
from servers import make_pki  # noqa: E402

AT_A_TIME = 2  # a row keeps a third of a core busy, one with a JVM more
ROWS = short_rows.labelled("short")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.mark.parametrize("name", sorted({row.fixture for row in ROWS.values()}))
def test_the_matrix_has_every_mode(name):
    """And says of each what the server says of itself."""
    try:
        command = fixtures.build(name)
    except fixtures.Missing as why:
        pytest.skip(f"{name}: {why}")
    told = subprocess.run([*command, "--modes"], capture_output=True, text=True, check=True).stdout
    modes = {mode: (verdict, driver) for mode, verdict, driver in map(str.split, told.strip().splitlines())}
    rows = [row for row in fleet.read_matrix() if row.fixture == name]
    assert {row.mode for row in rows} == set(modes)
    for row in rows:
        verdict, driver = modes[row.mode]
        assert verdict == ("leak" if row.expect in ("leak", "control") else "pass"), row.name
        assert verdict == "pass" or driver == row.driver, row.name


@pytest.fixture(scope="module")
def results(tmp_path_factory, pki):
    """Behind the tests above, which build the servers."""
    return short_rows.all_of(ROWS, pki, tmp_path_factory.mktemp("rows"), AT_A_TIME)


@pytest.mark.parametrize("name", ROWS)
def test_row(results, name):
    result = short_rows.result_of(results, name)
    assert not result["wrong"], result
