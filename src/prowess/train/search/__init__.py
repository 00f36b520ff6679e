"""What a policy can still do at test time: ways of asking, judges of answers, and controllers that spend tokens.

The survey's toolbox (2407.11511) in three kinds of parts that combine freely. *Generate*: how a task is asked
(`prompts`). *Evaluate*: what an answer seems worth (`judges`). *Control*: what is sampled next, and which answer is
given at last (`control`, `correct`, `deepening`, `tree`). A controller is given a budget of tokens for each task and
never exceeds it, so that methods are compared at equal tokens and not at equal numbers of attempts.
"""
