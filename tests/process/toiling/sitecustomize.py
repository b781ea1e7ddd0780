"""Gives the workers of a server the job of the tests (tests.process.labourer). Python imports this by itself when its
folder is on PYTHONPATH."""

import os

if "LABOUR" in os.environ:
    from tests.process import labourer

    labourer.arm()
