"""How to train: all options, schedules of the learning rate, presets that work well.

It imports the compiled core and the checks of arguments.
"""

from makemore_cpp.recipe.options import OPTIONS, Recipe, UpdateOptions
from makemore_cpp.recipe.presets import PRESETS, Preset
from makemore_cpp.recipe.schedules import SCHEDULES, learning_rates

__all__ = [
    "OPTIONS",
    "PRESETS",
    "SCHEDULES",
    "Preset",
    "Recipe",
    "UpdateOptions",
    "learning_rates",
]
