"""Pictures nobody vouches for are read in processes of their own, which may die (DESIGN.md rule 6).

    caller ── pool.DecodingPool.run ── process.DecodingProcess ══ socket ══ child (the program) ── answering.Answers

`requests` holds what is asked and answered, `wire` how it crosses the socket, `tiles` which stored tile a region is.
"""
