"""The options of Java for a driver or an executor that lives for minutes at most."""

import os
from typing import Final

# Such a process gains nothing from the second compiler and from a collector with many threads. What the first compiler
# makes needs more of the stack: the history of ALS's factors is deep. tests/run.sh makes the archive of classes.
QUICK_JAVA: Final = f"-XX:TieredStopAtLevel=1 -Xss4m -XX:+UseSerialGC {os.environ.get('CLASS_ARCHIVE', '')}".strip()
