"""The semantic model beside the rules: it knows likeness where rules know words, and can only add refusals.

``Gate.load(semantic=...)`` takes ``"embedded"`` (the model shipped here), the path of another ``.npz`` made by
:mod:`compliance_checks.semantic.train`, or the name or folder of any transformers text-classification model.
"""

from compliance_checks.semantic.check import SemanticCheck
from compliance_checks.semantic.load import EMBEDDED, load_model
from compliance_checks.semantic.model import Judgement, SemanticError, SemanticModel

__all__ = ["EMBEDDED", "Judgement", "SemanticCheck", "SemanticError", "SemanticModel", "load_model"]
