"""Predictions that are computed: runs of models over slides, as durable jobs, and what is told of them.

analyser ─ the run of one slide, from its bytes to the annotation that is shown
 ├─ team        processes that compute it side by side (`imaging.analysis`)
 ├─ plans       what is settled before the first tile is scored, and the scores so far
 ├─ document    findings as annotation and figures
 ├─ results     where a result comes from
 └─ models      what operators installed (`packing`)
analysis ─ starting, stopping and looking, for people
heat ─ the scores as a picture over the slide, also while they are still coming
"""
