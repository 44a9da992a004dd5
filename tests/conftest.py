"""Shared by all tests: data goes to a cache of the session's own, and torch uses one thread of the CPU, where numbers repeat."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a GPU is tried by `python -m tests.bench.gpu`
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    before = os.environ.get("LMRL_LAB_CACHE")
    os.environ["LMRL_LAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("LMRL_LAB_CACHE") if before is None else os.environ.update(LMRL_LAB_CACHE=before)
