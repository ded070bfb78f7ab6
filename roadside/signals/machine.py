"""The right controller for a plan, and its forecasts: what units that run signals call.

A plain stage plan runs on `Controller`; rings, further plans, a schedule, modes or an inserted stage need a `Cabinet`. Both are a
`SignalMachine`, and both forecasters answer `forecast()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from protocols.roads.network import U8, RoadNetwork
from roadside.signals.cabinet import Cabinet
from roadside.signals.config import SignalPlan
from roadside.signals.controller import Controller
from roadside.signals.forecast import Forecaster, GroupForecast
from roadside.signals.outlook import Outlook
from roadside.signals.phasetable import phase_table
from roadside.signals.requests import Answer, Grant, PriorityRequest
from roadside.signals.timing import Timing, compile_plan


class SignalMachine(Protocol):
    """What runs the signals of one junction."""

    timing: Timing
    grant: Grant | None

    def step(
        self,
        t_ns: int,
        occupied: Sequence[bool],
        pressed: Sequence[bool],
        requests: Sequence[PriorityRequest] = (),
        has_detector: Sequence[bool] | None = None,
    ) -> U8:
        """Advance to `t_ns`; (G,) lights, the same array object until one changes."""

    def take_answers(self) -> list[Answer]:
        """Answers to priority requests since the last call."""


class SignalForecaster(Protocol):
    """What foretells a machine's lights."""

    def forecast(self) -> tuple[GroupForecast, ...]:
        """(G,) forecasts; the same tuple object while nothing has changed."""


def signal_machine(
    net: RoadNetwork, plan: SignalPlan, where: str = "signal plan", t0_ns: int = 0
) -> Controller | Cabinet:
    """A controller for `plan`; ConfigError, with the key below `where`, for a plan that does not fit its junction."""
    if plan.is_plain:
        return Controller(compile_plan(net, plan, where), t0_ns)
    return Cabinet(phase_table(net, plan, where), t0_ns)


def signal_forecaster(machine: Controller | Cabinet) -> SignalForecaster:
    """Forecasts for `machine`, which others step."""
    return Outlook(machine) if isinstance(machine, Cabinet) else Forecaster(machine)


def check_plan(net: RoadNetwork, plan: SignalPlan, where: str = "signal plan") -> Timing:
    """Compile all of `plan` and drop what only its machine needs; ConfigError as in `signal_machine`."""
    return compile_plan(net, plan, where) if plan.is_plain else phase_table(net, plan, where).timing
