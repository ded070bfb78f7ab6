"""From words to runs: expansion, sweeps, shards, repetitions and names. The same everywhere, and nothing asked for is lost."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from protocols.errors import ConfigError
from scenarios.suites import Entry, Expansion, Problem, expand
from scenarios.suites.spec import Sweep
from scenarios.suites.sweep import rows, toml_value
from scenarios.verdict import Outcome
from sim.suite.plan import folder_name, group, make_plan, parse_shard, shards

SWEEP: TypeAdapter[Any] = TypeAdapter(Sweep)


def sweep(seed: int = 1, **table: Any) -> list[dict[str, Any]]:
    return rows(SWEEP.validate_python(table), seed, "place")


def ids(expansion: Expansion) -> list[str]:
    return [item.id for item in expansion.items]


# --- sweeps --------------------------------------------------------------------------------------------------------------


def test_a_grid_is_every_combination_with_the_last_axis_fastest() -> None:
    axes = {"a": [1, 2], "b": {"from": 0.0, "to": 1.0, "count": 3}}
    found = sweep(kind="grid", axes=axes)
    assert [tuple(row.values()) for row in found] == [
        (1, 0.0), (1, 0.5), (1, 1.0), (2, 0.0), (2, 0.5), (2, 1.0),
    ]  # fmt: skip
    log = sweep(kind="grid", axes={"a": {"from": 1, "to": 100, "count": 3, "log": True}})
    assert [row["a"] for row in log] == [1.0, 10.0, 100.0]


def test_random_draws_depend_on_seed_and_key_alone() -> None:
    axis = {"from": 0.0, "to": 1.0}
    one = sweep(kind="random", count=50, axes={"a": axis})
    two = sweep(kind="random", count=50, axes={"b": axis, "a": axis})
    assert [row["a"] for row in one] == [row["a"] for row in two]
    assert sweep(seed=2, kind="random", count=50, axes={"a": axis}) != one
    # A sweep's own seed comes before the suite's.
    table = {"kind": "random", "count": 50, "seed": 1, "axes": {"a": axis}}
    assert rows(SWEEP.validate_python(table), 9, "place") == one


@pytest.mark.parametrize("count", [1, 7, 64])
def test_a_latin_hypercube_hits_every_share_of_every_axis_once(count: int) -> None:
    axes = {"a": {"from": 10.0, "to": 20.0}, "b": {"from": -1.0, "to": 1.0}}
    found = sweep(kind="latin_hypercube", count=count, axes=axes)
    for key, start, width in (("a", 10.0, 10.0), ("b", -1.0, 2.0)):
        # Half a millionth: values are rounded to six digits.
        shares = [int((row[key] - start) / width * count + 1e-4) for row in found]
        assert sorted(min(s, count - 1) for s in shares) == list(range(count))


def test_the_draws_of_a_sweep_are_these() -> None:
    """Golden: another version of a library must not change a suite behind one's back."""
    axes = {"a": {"from": 0.0, "to": 1.0}, "n": {"from": 1, "to": 6, "integer": True}}
    assert sweep(kind="random", count=3, axes=axes) == [
        {"a": 0.58798, "n": 5},
        {"a": 0.231804, "n": 1},
        {"a": 0.66392, "n": 5},
    ]
    assert sweep(kind="latin_hypercube", count=3, axes=axes) == [
        {"a": 0.273804, "n": 1},
        {"a": 0.670864, "n": 3},
        {"a": 0.480118, "n": 5},
    ]


@given(
    low=st.integers(-50, 50), span=st.integers(1, 100), seed=st.integers(0, 2**32),
    kind=st.sampled_from(["random", "latin_hypercube"]),
)  # fmt: skip
def test_whole_numbers_stay_whole_and_between_the_ends(
    low: int, span: int, seed: int, kind: str
) -> None:
    axis = {"from": low, "to": low + span, "integer": True}
    for row in sweep(seed=seed, kind=kind, count=5, axes={"a": axis}):
        assert isinstance(row["a"], int)
        assert low <= row["a"] <= low + span


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"kind": "grid", "axes": {}}, "at least 1"),
        ({"kind": "grid", "axes": {"a": []}}, "at least 1"),
        ({"kind": "grid", "axes": {"a": {"from": 0, "to": 1}}}, "needs `count`"),
        ({"kind": "random", "count": 3, "axes": {"a": {"from": 0, "to": 1, "count": 3}}}, "belongs to a grid"),
        ({"kind": "random", "count": 3, "axes": {"a": {"from": 2, "to": 1}}}, "must be above"),
        ({"kind": "random", "count": 3, "axes": {"a": {"from": 0, "to": 1, "log": True}}}, "above 0"),
        ({"kind": "random", "count": 0, "axes": {"a": [1]}}, "greater than or equal to 1"),
        ({"kind": "random", "count": 3, "axes": {"a b": [1]}}, "pattern"),
        ({"kind": "random", "count": 3, "axes": {"a": {"from": 0, "to": float("nan")}}}, "finite"),
        ({"kind": "latin", "count": 3}, "latin_hypercube"),
        ({"kind": "list", "rows": []}, "at least 1"),
    ],
)  # fmt: skip
def test_a_sweep_that_makes_no_sense_is_refused(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SWEEP.validate_python(table)


def test_a_grid_beyond_all_measure_is_refused_before_it_is_made() -> None:
    axes = {f"a{k}": {"from": 0, "to": 1, "count": 10_000} for k in range(8)}
    with pytest.raises(ConfigError, match=f"the grid has {10_000**8} points"):
        sweep(kind="grid", axes=axes)


JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_any_value_survives_as_toml_on_one_line(value: Any) -> None:
    text = toml_value(value)
    assert "\n" not in text
    assert tomllib.loads(f"value = {text}")["value"] == value


# --- expansion -----------------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_words_become_runs_in_the_order_given(tmp_path: Path) -> None:
    for name in ("b", "a", "sub/c"):
        write(tmp_path / f"folder/{name}.toml", 'name = "x"')
    write(tmp_path / "folder/note.txt", "no scene")
    found = expand([str(tmp_path / "folder"), "smart_island", str(tmp_path / "folder/a.toml")])
    # The same file a second time is the same run.
    assert ids(found) == ["folder/a", "folder/b", "folder/sub/c", "smart_island"]
    assert found.name == "suite"


def test_ids_do_not_depend_on_where_things_lie(tmp_path: Path) -> None:
    text = (
        'name = "s"\n[[scenes]]\nscene = "x.toml"\n[scenes.sweep]\nkind = "list"\n'
        'rows = [{ seed = 1, "radio.model" = "ideal" }, { seed = 2, title = "two words" }]\n'
    )
    found = []
    for place in ("one", "two/deeper"):
        write(tmp_path / place / "x.toml", 'name = "x"')
        found.append(ids(expand([str(write(tmp_path / place / "s.toml", text))])))
    assert found[0] == found[1] == ["x[seed=1,radio.model=ideal]", 'x[seed=2,title="two words"]']


def test_different_runs_of_one_name_keep_apart(tmp_path: Path) -> None:
    one = write(tmp_path / "one/x.toml", 'name = "x"')
    two = write(tmp_path / "two/x.toml", 'name = "x"')
    assert ids(expand([str(one), str(two)])) == ["x", "x~2"]


def test_entries_of_a_suite_with_names_of_their_own_are_runs_of_their_own(tmp_path: Path) -> None:
    entry = '[[scenes]]\nscene = "smart_island"\n'
    path = write(
        tmp_path / "s.toml", f'name = "s"\n{entry}{entry}{entry}name = "a"\n{entry}name = "b"\n'
    )
    assert ids(expand([str(path)])) == ["smart_island", "a", "b"]


def test_what_cannot_be_used_is_a_problem_and_the_rest_is_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wrong = write(tmp_path / "wrong.toml", 'name = "w"\n[[scenes]]\nscene = "a"\nspeed = 3\n')
    found = expand([str(tmp_path / "empty"), str(wrong), "smart_islnd", "smart_island"])
    kinds = [item.outcome.value if isinstance(item, Problem) else "run" for item in found.items]
    assert kinds == ["nothing_ran", "bad_input", "bad_input", "run"]
    assert "unknown key 'scenes.0.speed'" in found.items[1].sentence  # type: ignore[union-attr]
    assert "smart_island" in found.items[2].sentence  # type: ignore[union-attr]


def test_the_scenes_own_changes_come_after_the_suites_and_sweeps_last(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.toml",
        'name = "s"\ntimeout_s = 7.0\n[set]\nseed = 1\nduration_s = 5.0\n[[scenes]]\nscene = "smart_island"\n'
        'name = "n"\nset = { duration_s = 6.0 }\nmemory_mb = 100\n[scenes.sweep]\nkind = "grid"\naxes = { seed = [8, 9] }\n',
    )
    for item, seed in zip(expand([str(path)]).items, (8, 9), strict=True):
        assert isinstance(item, Entry)
        assert item.overrides == (f"seed={seed}", "duration_s=6.0")
        assert item.id == f"n[seed={seed}]"
        assert (item.timeout_s, item.memory_mb, item.suite) == (7.0, 100, "s")


# --- plans ---------------------------------------------------------------------------------------------------------------

FIVE = Expansion("five", tuple(Entry(f"e{k}", "smart_island") for k in range(5)), 1)


@given(count=st.integers(1, 9), repeat=st.integers(1, 3))
def test_shards_together_are_the_whole_and_never_part_repetitions(count: int, repeat: int) -> None:
    whole = make_plan(FIVE, repeat=repeat)
    assert len(whole.tasks) == 5 * repeat
    parts = [make_plan(FIVE, repeat=repeat, shard=(k, count)).tasks for k in range(1, count + 1)]
    assert sorted(t.id for part in parts for t in part) == sorted(t.id for t in whole.tasks)
    for part in parts:
        for name in {group(task) for task in part}:
            assert sum(group(task) == name for task in part) == repeat


def test_shards_are_of_equal_size_and_one_more_run_anywhere_moves_few_of_the_others() -> None:
    names = [f"dense[seed={k}]" for k in range(200)]
    for count in (1, 2, 7, 40, 200, 300):
        before = dict(zip(names, shards(names, count), strict=True))
        sizes = [sum(at == part for at in before.values()) for part in range(count)]
        assert max(sizes) - min(sizes) <= 1
        assert dict(zip(names[::-1], shards(names[::-1], count), strict=True)) == before
        if count > 40:
            continue  # with a run or five in each, a place more is felt by many
        for place in (0, 100, 200):
            more = [*names[:place], "new", *names[place:]]
            after = dict(zip(more, shards(more, count), strict=True))
            # 1 to 3 % on average; a cut of the plan into slices, or every count-th, would move half of them and more.
            assert sum(after[name] != before[name] for name in names) <= 0.1 * len(names)


def test_overrides_of_the_command_line_show_in_the_id_and_win() -> None:
    (task, *_) = make_plan(FIVE, overrides=("duration_s=3", "seed = 4")).tasks
    assert task.id == "e0[duration_s=3,seed=4]"
    assert task.overrides == ("duration_s=3", "seed=4")
    swept = Expansion("s", (Entry("a[seed=1]", "a", ("seed=1",)),), 1)
    with pytest.raises(ConfigError, match="varies 'seed' itself"):
        make_plan(swept, overrides=("seed=2",))


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1/0", "a/b", "1", "-1/2", "1/2/3"])
def test_a_shard_is_i_of_n(text: str) -> None:
    with pytest.raises(ConfigError, match="expected i/n"):
        parse_shard(text)
    assert parse_shard("2/4") == (2, 4)


@given(st.text(min_size=1), st.text(min_size=1))
def test_folder_names_are_safe_and_keep_ids_apart(a: str, b: str) -> None:
    for id_ in (a, b):
        name = folder_name(id_)
        assert name not in (".", "..")
        assert not set(name) & set('/\\:*?"<>|[]#\0\n ')
        assert 0 < len(name.encode()) < 130
        assert not name.startswith((".", "~"))
    assert (folder_name(a) == folder_name(b)) == (a == b)


def test_a_problem_keeps_its_place_in_the_plan() -> None:
    items = (Entry("a", "a"), Problem("b", "b", Outcome.BAD_INPUT, "b: no."), Entry("c", "c"))
    plan = make_plan(Expansion("x", items, 1), repeat=2)
    assert [task.id for task in plan.tasks] == ["a", "a#2", "b", "c", "c#2"]
    assert [result.task.id for result in plan.known] == ["b"]
