"""Signals of a junction: plans, controllers, priority, forecasts, and the monitor of the phase rules."""

from roadside.signals.bank import FixedTimeBank, SignalControllerUnit
from roadside.signals.config import PedestrianPlan, PriorityPlan, SignalPlan, StagePlan
from roadside.signals.controller import Controller
from roadside.signals.forecast import Forecaster, GroupForecast
from roadside.signals.layout import JunctionLayout, junction_layout
from roadside.signals.priority import Answer, PriorityRequest
from roadside.signals.timing import Timing, compile_plan

__all__ = [
    "Answer",
    "Controller",
    "FixedTimeBank",
    "Forecaster",
    "GroupForecast",
    "JunctionLayout",
    "PedestrianPlan",
    "PriorityPlan",
    "PriorityRequest",
    "SignalControllerUnit",
    "SignalPlan",
    "StagePlan",
    "Timing",
    "compile_plan",
    "junction_layout",
]
