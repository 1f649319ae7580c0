"""Should I use a liquid network here? An experiment whose numbers can be believed.

Tasks, training, judging and reporting; ``liquidbench run STUDY.yaml`` is the way in (see
`liquidbench.__main__`).
"""

__version__ = "0.1.0"
