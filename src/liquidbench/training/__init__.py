"""How networks learn: a study's fits and `liquidbench train`, by one process or by several.

`fit` makes a run of a study, `distributed` one training by several processes; both drive the one loop in `trainer`.
"""
