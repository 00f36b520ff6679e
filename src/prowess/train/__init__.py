"""Training: skills into weights. One engine, and every method a short composition of its parts.

`samples` and `parts` say what everything is; `trainer` runs one step; `advantages`, `losses`, `rollouts`, `rewards`,
`curricula`, `teachers` are the parts; `policies` what learns; `mechanisms` the small worlds in which effects are shown;
`recipes` the published methods; `study` compares them. Needs the extra `train` (torch), which nothing outside asks for
before it trains.
"""
