"""Rows of matrix.csv labelled short, a crossover of two minutes each: in each framework a leak and its remedy, of Ring the latter.

A leak must be found, its driver blamed first, with bytes per event within 30 % of the server's own account; a remedy may be
inconclusive in two minutes, but never a leak. What a busy machine made invalid is asked for again, and once more a leak
that can't be told on it in so short a run; a wrong answer never is. The whole matrix, in runs of 320 s, is ./dev targets."""
import concurrent.futures
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import fixtures  # noqa: E402
import fleet  # noqa: E402
from servers import RELEASE, TRIES, make_pki, unless_stolen  # noqa: E402

BINARY = str(pathlib.Path(RELEASE).resolve())
AT_A_TIME = 2  # a row keeps a third of a core busy, one with a JVM more
ROWS = [row for row in fleet.read_matrix() if "short" in row.labels]


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.mark.parametrize("name", sorted({row.fixture for row in ROWS}))
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


def measured(row, pki, folder):
    """Its result, or why there is none."""
    try:
        asked_again = False
        for attempt in range(TRIES):
            result = fleet.perform(row, pki, folder / f"{attempt}", BINARY, short=True)
            if result["verdict"] != "invalid":
                if asked_again or row.expect != "leak" or result["class"] != "inconclusive":
                    break
                asked_again = True
            print(f"{row.name} again, since {result['reason']}")
        return result
    except (fixtures.Missing, RuntimeError, OSError, AssertionError) as why:
        return why


@pytest.fixture(scope="module")
def results(tmp_path_factory, pki):
    """Behind the tests above, which build the servers."""
    folder = tmp_path_factory.mktemp("rows")
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        done = pool.map(lambda row: measured(row, pki, fleet.folder_of(folder, row)), ROWS)
        return dict(zip((row.name for row in ROWS), done))


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_row(results, name):
    result = results[name]
    if isinstance(result, fixtures.Missing):
        pytest.skip(f"{name.split('/')[0]}: {result}")
    if isinstance(result, Exception):
        raise result
    if result["verdict"] == "invalid":
        unless_stolen(result["reason"])
    assert not result["wrong"], result
