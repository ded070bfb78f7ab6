"""Criteria: what a scene may ask of a run, and the judge that answers."""

from scenarios.criteria.context import RearSection
from scenarios.criteria.judge import Judge
from scenarios.criteria.limits import Limit, limit, table
from scenarios.criteria.models import ADAPTER, kinds, parse

__all__ = ["ADAPTER", "Judge", "Limit", "RearSection", "kinds", "limit", "parse", "table"]
