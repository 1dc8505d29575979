"""Some cases of the benchmark of verdicts on live servers (./dev bench judge-live), as short as they stay sure."""
import dataclasses
import functools
import pathlib
import sys

import pytest

from servers import RELEASE, Starved, all_at_once, lagged, make_pki

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "bench"))
import judge_live  # noqa: E402

SHORT = {"warmup_s": 6, "dwell_s": 1, "modulated_s": 32}
# A store that holds more than comes: what it declares must keep it from being called a leak.
BOUNDED = judge_live.Case("bounded", serve=("--innocent", "bounded_cache", "--cap", 100000),
                          judge="[judge]\nexpect_bound.client_certificate = 100k\nexpect_bound.api_key = 100k\n"
                                "expect_bound.jwt = 100k\n")
NAMES = ["client_certificate", "aborted", "rotation", "aborted+client_certificate+jwt"]


def shortened(case):
    """Leaks are larger where there is less time to see them."""
    return dataclasses.replace(case, leaks={driver: 4 * size for driver, size in case.leaks.items()}, **SHORT)


CASES = {case.name: shortened(case) for case in [*judge_live.CASES, BOUNDED] if case.name in [*NAMES, "bounded"]}


def measured(case, pki, folder):
    result = judge_live.perform(case, pki, folder / "case", RELEASE)
    if result["verdict"] == "invalid" or (result["wrong"] and lagged(folder)):
        raise Starved(result["reason"])
    return result


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    pki = make_pki(tmp_path_factory.mktemp("pki"))
    return all_at_once(tmp_path_factory, {name: functools.partial(measured, case, pki) for name, case in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_agrees_with_the_server(results, name):
    result = results[name]
    assert not result["wrong"], result
    if CASES[name].leaks:
        assert set(result["blamed"]) == set(CASES[name].leaks) and result["exit_code"] == 1
    else:
        assert result["class"] in ("inconclusive", "bounded") and result["exit_code"] == 3
