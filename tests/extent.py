"""How much of the long tests is run, and where: by variables of the environment."""

import os

CAMPAIGN = os.environ.get("MAKEMORE_CAMPAIGN") == "1"
SLOW = os.environ.get("MAKEMORE_SLOW") == "1"
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
