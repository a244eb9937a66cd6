"""Who answered: a person, or one of the machines that stand in for people."""

from agent.answering.detector import Answer, AnswerDetector, Answerer
from agent.answering.words import Machine, machine_in

__all__ = ["Answer", "AnswerDetector", "Answerer", "Machine", "machine_in"]
