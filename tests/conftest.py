"""Set before numpy is imported, as the command line does: threads that spin make small matrices slow on a busy machine."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
