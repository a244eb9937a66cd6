"""A simulated carrier and borrower: a real client of the media socket, hearing and speaking in real time.

``python -m agent.telephony.simulator --help`` runs one call as a process of its own. The person acts by ear
alone: there is no text channel between the agent and the simulation.
"""

from agent.telephony.simulator.carrier import run_call
from agent.telephony.simulator.faults import FAULTS, Fault
from agent.telephony.simulator.report import BorrowerReport, Turn
from agent.telephony.simulator.scenario import (
    LINES,
    SCENARIOS,
    Scenario,
    ScenarioError,
    Step,
    load_scenario,
    read_scenario,
)
from agent.telephony.simulator.voices import VOICES

__all__ = [
    "FAULTS",
    "LINES",
    "SCENARIOS",
    "VOICES",
    "BorrowerReport",
    "Fault",
    "Scenario",
    "ScenarioError",
    "Step",
    "Turn",
    "load_scenario",
    "read_scenario",
    "run_call",
]
