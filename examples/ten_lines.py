import math

import anyjob
from anyjob import Command

backend = anyjob.get_backend()  # the one that the configuration names
job = backend.run(Command(["uname", "-sm"]), walltime="1m")
print(job.result().stdout.text().strip())
for call in anyjob.as_completed(backend.map(math.factorial, range(20)), timeout=60):
    print(call.spec().args[0], call.result())
