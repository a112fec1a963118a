"""Estimate pi by throwing darts at a square: how many hit the circle in it?"""

import json
import math
import random
import sys

throws, seed = map(int, sys.argv[1:])
thrown = random.Random(seed)
hits = sum(thrown.random() ** 2 + thrown.random() ** 2 < 1 for _ in range(throws))
print(json.dumps({"pi": 4 * hits / throws, "off": round(abs(4 * hits / throws - math.pi), 4)}))
