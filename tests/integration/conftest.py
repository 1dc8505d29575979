"""A test of a run that a busy machine left no CPU is done again: servers.patient."""
import servers


def pytest_itemcollected(item):
    item.obj = servers.patient(item.obj)
