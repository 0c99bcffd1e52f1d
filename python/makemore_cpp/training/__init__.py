"""The training loop, its history, and the state from which a run goes on.

It imports the recipe, models and data.
"""

from makemore_cpp.training.course import Course
from makemore_cpp.training.history import DivergenceWarning, History, Progress
from makemore_cpp.training.loop import train, train_quietly
from makemore_cpp.training.ranks import MpiRanks, Ranks
from makemore_cpp.training.state import Evaluation, TrainingState

__all__ = [
    "Course",
    "DivergenceWarning",
    "Evaluation",
    "History",
    "MpiRanks",
    "Progress",
    "Ranks",
    "TrainingState",
    "train",
    "train_quietly",
]
