"""Training: the fits of a study, and `liquidbench train` with one or several processes.

`fit` carries out one run of a study, `distributed` trains one network with several processes. Both use the training
loop in `trainer`.
"""
