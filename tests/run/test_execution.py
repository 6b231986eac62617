"""The inputs of a stage: a table that a commit may lack is None, any other that it lacks is an error."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.literal_store import open_store

from recommender.errors import InputError
from recommender.run.execution import read_inputs
from recommender.stage import Needs


def stage(table: str) -> Any:
    needs = Needs({"rows": ("stage2", table)}, {}, {})
    return SimpleNamespace(needs=lambda: needs, continues=lambda: None, compares=lambda: None)


def test_neighbours_that_were_not_chosen_are_none_and_other_tables_must_be_there(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit = store.commit(store.begin("stage2", "monday"), {"files": {}, "tables": {}})
    assert read_inputs(store, stage("neighbours"), {"stage2": commit}, None) == {"rows": None}
    with pytest.raises(InputError, match="UPSTREAM_OUTDATED stage2 commit 1 has no table popularity"):
        read_inputs(store, stage("popularity"), {"stage2": commit}, None)
