"""What a plan may say, sentence by sentence, and plans derived from a map alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from protocols.errors import ConfigError
from roadside.signals import (
    SignalPlan,
    compile_plan,
    default_plan,
    default_plans,
    group_junctions,
    junction_layout,
)
from tests.roadside.signals.crossroads_plans import STAGES, network, plan
from tests.roadside.signals.test_rules_hold import HAND

CORPORA = Path(__file__).resolve().parents[4] / "shared" / "corpora"


def stages(**changes):
    """The usual stages with keys of the first one changed."""
    rows = [{"name": n, "groups": list(g), "green_s": s} for n, g, s in STAGES]
    rows[0].update(changes)
    rows[3]["green_s"] = 8.0
    return rows


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"stages": stages(), "yellow_s": 1.0}, "yellow_s"),
        ({"stages": stages(), "gap": 3.0}, "gap"),
        ({"stages": stages(green_s=26.05)}, "stages.0.green_s"),
        ({"stages": stages(green_s=5.0)}, "stages.0"),
        ({"stages": stages(permissive=["N.left"])}, "stages.0"),
        ({"stages": []}, "stages"),
        ({"stages": stages(), "mode": "manual"}, "mode"),
        ({"stages": stages(), "priority": {"max_extension_s": 16.0}}, "priority.max_extension_s"),
        ({"stages": stages(), "priority": {"max_early_s": 10.1}}, "priority.max_early_s"),
        ({"stages": stages(), "mode": "actuated", "cycle_s": 84.0}, ""),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_at_its_key(changes, key):
    with pytest.raises(ValidationError) as caught:
        SignalPlan.model_validate({"junction": "X", **changes})
    assert ".".join(str(part) for part in caught.value.errors()[0]["loc"]) == key


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"junction": "Y"}, "junction 'Y' is not on road network 'crossroads'. Its junctions: 100"),
        (
            {"stages": stages(groups=["E.through", "W.through", "N.ped", "S.ped", "Q"])},
            "stages[0].groups[4]: 'Q' is no signal group of junction '100'",
        ),
        (
            {"stages": stages(groups=["E.through", "W.through", "N.ped"])},
            "stages never give green to group '312' (S.ped)",
        ),
        (
            {"stages": stages(groups=["E.through", "W.through", "N.ped", "S.ped", "N.through"])},
            "stages[0] ('ew') gives green to 'E.through' and 'N.through', whose paths conflict. Put them",
        ),
        (
            {"stages": stages(groups=["E.through", "W.through", "N.ped", "S.ped", "E.left"])},
            "List 'E.left' in stages[0].permissive",
        ),
        ({"stages": stages(), "cycle_s": 90.0}, "cycle_s = 90.0 s, but greens and changes add up to 84.0 s"),
        ({"stages": stages(green_s=16.0)}, "stages[0].green_s = 16.0 s is shorter than walk plus clearance"),
        (
            {"stages": stages(), "priority": {"enabled": True, "side_max_red_s": 70.0}},
            "group '010' (E.left) waits up to 74.0 s without any priority",
        ),
        (
            {"stages": stages(), "pedestrians": [{"group": "E.left"}]},
            "pedestrians[0].group = 'E.left' holds no crossing",
        ),
    ],
)  # fmt: skip
def test_a_plan_that_does_not_fit_its_junction_is_refused_with_a_sentence(changes, sentence):
    signal_plan = SignalPlan.model_validate({"junction": "X", "stages": stages(), **changes})
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        compile_plan(network(), signal_plan, "signals.0")


def test_a_permissive_left_turn_may_run_with_the_oncoming_traffic():
    groups = ["E.through", "W.through", "N.ped", "S.ped", "E.left", "W.left"]
    signal_plan = SignalPlan.model_validate(
        {"junction": "X", "stages": stages(groups=groups, permissive=["E.left", "W.left"])}
    )
    timing = compile_plan(network(), signal_plan)
    # From the permissive stage into the protected one, the left turn stays green.
    k = timing.layout.group_name.index("E.left")
    assert [timing.level[i][k] for i in range(4)] == [4, 5, 2, 2]


def test_intergreen_between_two_groups_lengthens_only_the_change_between_them():
    pair = {"from_group": "E.through", "to_group": "E.left", "intergreen_s": 7.5}
    timing = compile_plan(network(), plan(intergreens=[pair]))
    assert timing.change_ns[0] == (0, 7_500_000_000, 5_000_000_000, 5_000_000_000)


def test_default_plan_serves_every_group_and_never_lets_conflicting_ones_share():
    derived = default_plan(network(), 0)
    assert derived is not None
    layout = junction_layout(network(), 0)
    name = dict(zip(layout.group_id, layout.group_name, strict=True))
    served = [{name[g] for g in stage.groups} for stage in derived.stages]
    assert set().union(*served) == set(layout.group_name)
    for a, b in HAND:
        assert not any({a, b} <= together for together in served), (a, b)
    # Four stages are the fewest that a four-leg junction with protected left turns can have.
    assert len(served) == 4
    assert {"E.through", "W.through"} <= served[0]


def test_default_plan_gives_busier_stages_more_green():
    even = default_plan(network(), 0)
    busy = default_plan(network(), 0, {"E.left": 700.0})
    assert even is not None and busy is not None
    left = next(i for i, s in enumerate(even.stages) if "010" in s.groups)  # E.left
    assert busy.stages[left].green_s > 2 * even.stages[left].green_s


def test_default_plan_of_a_junction_without_signals_is_none():
    net = network()
    bare = type(net.groups)(id=(), name=(), junction=np.zeros(0, np.int32))
    fields = {n: getattr(net, n) for n in net.__slots__}
    stop = net.stop_lines
    stops = type(stop)(
        lane=stop.lane[:0], s_m=stop.s_m[:0], to_lane=stop.to_lane[:0], group=stop.group[:0],
        kind=stop.kind[:0], start=np.zeros_like(stop.start),
    )  # fmt: skip
    crossing = net.crossings
    crossings = type(crossing)(
        **{n: getattr(crossing, n) for n in crossing.__slots__ if n != "group"},
        group=np.full_like(crossing.group, -1),
    )
    unsigned = type(net)(**{**fields, "groups": bare, "stop_lines": stops, "crossings": crossings})
    assert default_plan(unsigned, 0) is None
    assert default_plans(unsigned) == ()


def test_groups_without_a_junction_go_to_the_one_their_stop_lines_lead_into():
    net = network()
    lost = type(net.groups)(
        id=net.groups.id, name=net.groups.name, junction=np.full_like(net.groups.junction, -1)
    )
    orphan = type(net)(**{**{n: getattr(net, n) for n in net.__slots__}, "groups": lost})
    assert group_junctions(orphan).tolist() == [0] * 12


def test_scene_maps_and_public_maps_get_plans_that_pass_every_check():
    """`default_plan` compiles what it derives, so a plan with conflicting greens would raise here."""
    from scenarios.formats.opendrive import read

    roads = Path(__file__).resolve().parents[3] / "scenarios" / "roads"
    files = [roads / "brt_corridor.xodr", roads / "smart_island.xodr"]
    files += sorted(CORPORA.rglob("multi_intersections.xodr"))
    files += sorted(CORPORA.rglob("fabriksgatan_traffic_lights.xodr"))
    for path in files:
        net = read(path)
        derived = default_plans(net)
        assert derived, path
        served = {(p.junction, g) for p in derived for stage in p.stages for g in stage.groups}
        owners = group_junctions(net)
        expected = {(net.junctions.id[j], net.groups.id[h]) for h, j in enumerate(owners) if j >= 0}
        assert served == expected, path
