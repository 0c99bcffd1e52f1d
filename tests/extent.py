"""Variables of the environment that say which of the long tests are run."""

import os

CAMPAIGN = os.environ.get("MAKEMORE_CAMPAIGN") == "1"
SLOW = os.environ.get("MAKEMORE_SLOW") == "1"
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
