"""Signals of a junction: plans, controllers, priority, forecasts, and the monitor of the phase rules."""

from roadside.signals.bank import FixedTimeBank, SignalControllerUnit
from roadside.signals.cabinet import Act, Cabinet, Command
from roadside.signals.config import PedestrianPlan, PriorityPlan, SignalPlan, StagePlan
from roadside.signals.controller import Controller
from roadside.signals.forecast import Forecaster, GroupForecast
from roadside.signals.invariants import PhaseMonitor, PhaseRules, Violation, phase_rules
from roadside.signals.layout import JunctionLayout, group_junctions, junction_layout
from roadside.signals.machine import (
    SignalForecaster,
    SignalMachine,
    check_plan,
    signal_forecaster,
    signal_machine,
)
from roadside.signals.outlook import Outlook
from roadside.signals.phases import default_plan, default_plans
from roadside.signals.priority import Answer, PriorityRequest
from roadside.signals.timing import Timing, compile_plan

__all__ = [
    "Act",
    "Answer",
    "Cabinet",
    "Command",
    "Controller",
    "FixedTimeBank",
    "Forecaster",
    "GroupForecast",
    "JunctionLayout",
    "Outlook",
    "PedestrianPlan",
    "PhaseMonitor",
    "PhaseRules",
    "PriorityPlan",
    "PriorityRequest",
    "SignalControllerUnit",
    "SignalForecaster",
    "SignalMachine",
    "SignalPlan",
    "StagePlan",
    "Timing",
    "Violation",
    "check_plan",
    "compile_plan",
    "default_plan",
    "default_plans",
    "group_junctions",
    "junction_layout",
    "phase_rules",
    "signal_forecaster",
    "signal_machine",
]
