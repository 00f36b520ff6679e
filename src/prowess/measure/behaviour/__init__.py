"""What a skill does when it is used: it runs in a trap, with bait, and everything that it touches is told."""

from prowess.measure.behaviour.detonation import Report, detonate
from prowess.measure.behaviour.effects import Effect
from prowess.measure.behaviour.gate import BehaviourGate

__all__ = ["BehaviourGate", "Effect", "Report", "detonate"]
