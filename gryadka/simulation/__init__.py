"""A simulator: the real proposers and registers, on virtual time, over a network that one seed makes misbehave.

    from gryadka.simulation.run import simulate

    result = simulate("loss-2-2-2", seed=7)
    print(result.verdict)

Read in this order: `scenarios` (what may be run), `plan` (what a seed decides), `network` (what happens to a
packet), `clients` (who asks, and who judges), `run` (one run), `loop` (how time is virtual); then `record`,
`shrink` and `campaign`.
"""
